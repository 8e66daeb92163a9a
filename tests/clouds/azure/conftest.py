from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from azure_sites import Azure


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[Azure]:
    with Azure.running(tmp_path) as running:
        yield running
