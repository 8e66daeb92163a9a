"""A path as nginx's configuration has it."""

from __future__ import annotations

from pathlib import Path

from arriero.errors import Problem, Refused


def quoted(home: Path, name: str) -> str:
    """A file that the spec names, as nginx reads it: a `$` in it can't be said there."""
    path = str(home / Path(name).expanduser())
    if "$" in path or any(ord(letter) < 32 for letter in path):
        raise Refused(
            Problem(f"nginx can't read a path like {path!r}", "rename the file or its folder", "ingress.nginx")
        )
    text = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
