"""The file of header lines that goes with each batch: who we are for the receiver. Its values are never shown.

# a comment
Authorization: Bearer ...
X-Scope-OrgID: acme
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from arriero.errors import ArrieroError, Problem
from arriero.secret import Secret

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# What the message itself says.
_OURS = frozenset(("host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection"))


def read(path: Path) -> Mapping[str, Secret]:
    """Raises ArrieroError for a file that can't be read, that others can read, or that holds something else."""
    try:
        if path.stat().st_mode & 0o077:
            raise _problem(path, None, "can be read by others", f"chmod 600 {path.name}")
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise _problem(path, None, f"can't be read: {reason}", "put the header lines there") from None
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, value = line.partition(":")
        if (
            not colon
            or not _NAME.fullmatch(name)
            or not value.strip()
            or not value.isprintable()
            or not value.isascii()
        ):
            raise _problem(path, number, "is no header line", "write it like Authorization: Bearer ...")
        if name.lower() in _OURS:
            raise _problem(path, number, f"{name} is not yours to say", "remove the line")
        found[name] = Secret(value.strip())
    return found


def without(text: str, headers: Mapping[str, Secret]) -> str:
    """The text without their values, nor any word of them: a receiver may say what it was sent."""
    words = {word for secret in headers.values() for word in (secret.reveal(), *secret.reveal().split())}
    for word in sorted(words, key=len, reverse=True):
        # `Bearer` and `acme` are no secrets, and would leave little of a sentence.
        if len(word) >= 8:
            text = text.replace(word, "•••")
    return text


def _problem(path: Path, line: int | None, what: str, remedy: str) -> ArrieroError:
    return ArrieroError(Problem(what, remedy, "logs.ship.headers_file", str(path), line))
