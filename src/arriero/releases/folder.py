"""A store in a folder of this machine, for services that run nowhere else.

obstore's local store can't replace on a condition, so this one does: one lock for all writers of the folder, files that
appear whole, and a tag made from the content (each write of the ledger's head holds a new random word).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from arriero.releases.store import Absent, Conflict, Found, StoreError


@dataclass(frozen=True, slots=True)
class Folder:
    """The store `local` in `root`, which the first write makes, readable by its owner only."""

    root: Path
    name: str = "local"

    def read(self, key: str) -> Found | None:
        try:
            data = (self.root / key).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{self.root}: {error.strerror}") from error
        return Found(data, _tag(data))

    def create(self, key: str, data: bytes) -> str:
        with self._locked():
            if self.read(key) is not None:
                raise Conflict(key)
            return self._write(key, data)

    def replace(self, key: str, data: bytes, tag: str) -> str:
        with self._locked():
            found = self.read(key)
            if found is None or found.tag != tag:
                raise Conflict(key)
            return self._write(key, data)

    def overwrite(self, key: str, data: bytes) -> None:
        with self._locked():
            self._write(key, data)

    def names(self, prefix: str = "") -> Sequence[str]:
        if not self.root.is_dir():
            raise Absent(f"there is no folder {self.root}")
        files = (path.relative_to(self.root) for path in self.root.rglob("*") if path.is_file())
        return sorted(str(path) for path in files if path.name[0] != "." and str(path).startswith(prefix))

    def remove(self) -> None:
        """Everything that was recorded here goes."""
        shutil.rmtree(self.root, ignore_errors=True)

    def _write(self, key: str, data: bytes) -> str:
        file = self.root / key
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fresh = file.with_name(f".{uuid4().hex}")
            with fresh.open("wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            fresh.replace(file)
        except OSError as error:
            raise StoreError(f"{file}: {error.strerror}") from error
        return _tag(data)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = (self.root / ".lock").open("w")
        except OSError as error:
            raise StoreError(f"{self.root}: {error.strerror}") from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _tag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
