"""The project of the main story; what stories are told with is in `places.py`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from places import ROOT, Place, open_place


@pytest.fixture(scope="module")
def two_clouds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from open_place(tmp_path_factory.mktemp("two-clouds"), ROOT / "examples/two-clouds/arriero.yaml")
