"""Changing the file of keys: add, rotate, revoke. Pure but for `changing`, which locks, reads and writes the file."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from arriero.control import keys as keys_file
from arriero.control.keys import NAME, Key, Lock
from arriero.errors import Problem, Refused


class Keyring:
    """The keys of one file, in their order."""

    def __init__(self, keys: tuple[Key, ...]) -> None:
        self.keys = keys

    def add(self, key: Key) -> None:
        """Raises Refused when there is one of that name."""
        if not NAME.fullmatch(key.name):
            what = f"{key.name!r} is not a name of letters, digits, dots, dashes and underscores"
            raise Refused(Problem(what, "write it like mobile-app", key="NAME"))
        if any(known.name == key.name for known in self.keys):
            raise Refused(Problem(f"there is a key {key.name} already", f"see: arriero keys rotate {key.name}"))
        self.keys += (key,)

    def rotate(self, name: str, lock: Lock, now: datetime, overlap_seconds: float) -> None:
        """Puts a new lock on the key; the present one stays valid for the overlap, those from before for their time."""
        key = self._find(name)
        present, *former = key.locks
        until = now + timedelta(seconds=overlap_seconds)
        kept = [old for old in (replace(present, until=until), *former) if old.until and old.until > now]
        self._put(replace(key, locks=(lock, *kept)))

    def revoke(self, name: str) -> None:
        key = self._find(name)
        self.keys = tuple(known for known in self.keys if known is not key)

    def _find(self, name: str) -> Key:
        found = next((key for key in self.keys if key.name == name), None)
        if found is None:
            raise Refused(Problem(f"there is no key {name}", "see: arriero keys list"))
        return found

    def _put(self, key: Key) -> None:
        self.keys = tuple(key if known.name == key.name else known for known in self.keys)


@contextmanager
def changing(path: Path) -> Iterator[Keyring]:
    """The keys of `path`, written when the block ends well; one change at a time. Raises KeysError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ring = Keyring(read_or_none(path))
        yield ring
        keys_file.write(path, ring.keys)


def read_or_none(path: Path) -> tuple[Key, ...]:
    """No keys where there is no file."""
    try:
        return keys_file.read(path)
    except FileNotFoundError:
        return ()
