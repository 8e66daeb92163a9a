"""A program that runs a playbook in a workspace: `start_run.py FOLDER PLAYBOOK`. For tests that end it from outside."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from arriero.clock import SystemClock
from arriero.deploy import runner
from arriero.deploy.workspace import Workspace
from arriero.events import ignore

try:
    runner.run(Workspace(Path(sys.argv[1])), sys.argv[2], os.environ, ["here", "there"], ignore, SystemClock())
except runner.Interrupted as interrupted:
    print("interrupted:", ", ".join(sorted(interrupted.outcome.failed)))
