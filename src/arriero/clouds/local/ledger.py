"""Where a service that runs nowhere else keeps its ledger: a folder of this user, beside the servers' state."""

from __future__ import annotations

import os
from pathlib import Path

from arriero.clouds.local.state import state_home


def folder(service: str) -> Path:
    return state_home(os.environ).with_name("arriero-ledger") / service
