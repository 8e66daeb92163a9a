"""Projects that several stories share; what stories are told with is in `places.py`, for images in `shop.py`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from places import ROOT, Place, open_place
from shop import Shop, opened


@pytest.fixture(scope="module")
def two_clouds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from open_place(tmp_path_factory.mktemp("two-clouds"), ROOT / "examples/two-clouds/arriero.yaml")


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    yield from opened(tmp_path_factory.mktemp("workshop"))
