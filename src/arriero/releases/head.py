"""The ledger's head: one object in the authority store that every writer replaces on its tag. Pure.

It holds the lease, the newest number, and the deployment that has not ended. Whatever counts is in force only once the
head says so: a record of a number that the head has not reached was never released, and is never shown. So a holder
that was overtaken can't add anything: its replacement of the head is refused, because the tag it knows is an old one.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

SCHEMA = 1
KEY = "head.json"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the lease: `who` is user@host with the process, `since` an ISO time of its clock."""

    who: str
    verb: str
    since: str

    @property
    def sentence(self) -> str:
        return f"{self.who} ({self.verb}) has held it since {self.since}"


@dataclass(frozen=True, slots=True)
class Open:
    """A deployment that began and has not ended: `epoch` is its lease's, and names its journal."""

    epoch: int
    release: int
    who: str
    since: str


@dataclass(frozen=True, slots=True)
class Head:
    """`epoch` grows with every lease; `last` is the newest release (0: none yet), `last_key` its record's key;
    `nonce` is new at every write.
    """

    epoch: int = 0
    last: int = 0
    last_key: str = ""
    stable: int | None = None
    lease_seconds: float = 0.0
    holder: Holder | None = None
    open: Open | None = None
    nonce: str = ""

    @property
    def is_held(self) -> bool:
        return self.holder is not None

    def taken(self, holder: Holder, lease_seconds: float) -> Head:
        """The head under a new lease."""
        return replace(self, epoch=self.epoch + 1, holder=holder, lease_seconds=lease_seconds)

    def freed(self) -> Head:
        return replace(self, holder=None)

    def released(self, number: int, key: str, who: str, since: str) -> Head:
        """With a deployment begun of `number`: a new one, or an old one again (then `key` stays what it is)."""
        return replace(self, last=max(self.last, number), last_key=key, open=Open(self.epoch, number, who, since))


def encoded(head: Head) -> bytes:
    return json.dumps({"schema": SCHEMA, **asdict(head)}, indent=1).encode()


def head_from(data: bytes) -> Head:
    """Raises ValueError, KeyError or TypeError where the bytes are no head."""
    found: dict[str, Any] = json.loads(data)
    if found.pop("schema") != SCHEMA:
        raise ValueError("it was written by another version of arriero")
    holder, unfinished = found.pop("holder"), found.pop("open")
    return Head(**found, holder=Holder(**holder) if holder else None, open=Open(**unfinished) if unfinished else None)
