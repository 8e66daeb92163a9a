from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from emulated_cloud import Cloud


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    made = Cloud(tmp_path)
    yield made
    made.close()
