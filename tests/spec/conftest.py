"""A folder with a spec in it, as a user has it before them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from arriero.spec.load import Loaded, load

Write = Callable[..., Loaded]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, so that messages name files as short as a user sees them."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def loaded(folder: Path) -> Write:
    """Writes arriero.yaml (and an overlay) and loads it."""

    def write(text: str, overlay: str | None = None, **environment: str) -> Loaded:
        (folder / "arriero.yaml").write_text(text)
        if overlay is not None:
            (folder / "arriero.staging.yaml").write_text(overlay)
        return load(Path("arriero.yaml"), None if overlay is None else "staging", environment)

    return write
