"""How a file is against its new content, and how it gets that: in one piece, so that nobody reads half of it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Literal

from arriero.errors import ArrieroError, Problem

FileState = Literal["missing", "differs", "same", "written"]


def state_of(path: Path, content: bytes) -> FileState:
    """Raises ArrieroError where it can't be read."""
    try:
        return "same" if path.read_bytes() == content else "differs"
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        raise _unusable(path, "read", error) from None


def replace_file(path: Path, content: bytes) -> None:
    """Makes its folders, too. Raises ArrieroError where that can't be done; then the former content stands."""
    # Hidden, and with an ending of its own: patterns such as *.json don't match it.
    new = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_bytes(content)
        if path.exists():
            new.chmod(path.stat().st_mode & 0o777)
        new.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise _unusable(path, "written", error) from None


def _unusable(path: Path, done: str, error: OSError) -> ArrieroError:
    return ArrieroError(Problem(f"can't be {done}: {error.strerror}", "name another folder with --out", file=str(path)))
