"""What a store of objects does for the ledger, and how it fails; `objects.py` and `folder.py` are such stores.

Three outcomes of a write must never be mixed up: it was done, it was refused because of what is there (`Conflict`), and
nobody knows (`StoreError`): then the caller reads what is there, and compares it with what it wanted to write.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class StoreError(Exception):
    """The store failed, or may have failed: a write may be there, or not. Its text says why, in one line."""


class Conflict(Exception):
    """What is there is not what the write asked for: it exists already, or was changed meanwhile."""


class Absent(StoreError):
    """The bucket, container or folder itself is not there."""


@dataclass(frozen=True, slots=True)
class Found:
    """An object's content, and the tag that every write of it changes."""

    data: bytes
    tag: str


class Store(Protocol):
    """A named store. `name` is its cloud's: aws, azure or local."""

    @property
    def name(self) -> str: ...

    def read(self, key: str) -> Found | None:
        """The object, or None. Raises StoreError."""

    def create(self, key: str, data: bytes) -> str:
        """Writes an object that must not be there; returns its tag. Raises Conflict, StoreError."""

    def replace(self, key: str, data: bytes, tag: str) -> str:
        """Writes over the object that has this tag; returns the new one. Raises Conflict, StoreError."""

    def overwrite(self, key: str, data: bytes) -> None:
        """Writes it, whatever is there: for copies only. Raises StoreError."""

    def names(self, prefix: str = "") -> Sequence[str]:
        """All keys that begin with `prefix`, sorted. Raises StoreError, Absent."""
