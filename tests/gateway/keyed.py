"""Files of keys for tests, and the header that shows one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from arriero.control import keys as keys_file
from arriero.control.keys import Key, make_lock

CREATED = datetime(2026, 1, 1, tzinfo=UTC)


def made(name: str = "app", **values: object) -> tuple[str, Key]:
    """The text of a new key, and the key."""
    text, lock = make_lock()
    return text.reveal(), Key(name, (lock,), CREATED, **values)  # type: ignore[arg-type]


def written(folder: Path, *keys: Key) -> str:
    path = folder / "keys.json"
    keys_file.write(path, keys)
    return str(path)


def bearer(text: str) -> str:
    return f"Authorization: Bearer {text}\r\n"
