from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from aws_site import AwsSite


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsSite]:
    """The emulated AWS, entered: the SDK and the modules find it and nothing else."""
    folder: Path = tmp_path_factory.mktemp("aws")
    made = AwsSite(folder)
    try:
        with made.entered():
            yield made
    finally:
        made.close()
