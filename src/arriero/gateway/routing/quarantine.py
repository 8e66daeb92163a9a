"""Requests that targets end under, and how sure it is that they end because of them. Pure.

A body that kills what runs it does so every time; one that was there when a target died of something else is answered
the next time. So what a target ended under is remembered by its hash, and held back once that happened twice in a row:
for ten seconds, then it may go to one target to see, and each further end doubles the time. One answer clears it.
When several different requests come to that at the same moment, it is the targets that die: then a second is enough.
`docs/decisions/0008-a-death-is-blamed-on-what-it-follows.md` weighs this.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

# Targets that may end under one request.
DEATHS_LIMIT = 2
HOLD_SECONDS, HOLD_SECONDS_LIMIT = 10.0, 600.0
# How many different requests must come to be held within how long for none of them to be blamed, and what they wait.
CROWD, CROWD_SECONDS, CROWD_HOLD_SECONDS = 3, 5.0, 1.0
# The one that goes to see; after that long the next one may.
PROBE_SECONDS = 30.0
# For how long the end of a target is remembered, from the end of the hold on.
MEMORY_SECONDS = 600.0
LIMIT = 256


@dataclass(frozen=True, slots=True)
class Suspect:
    """`deaths` one after the other, the last one `at`; held back `until` (in the past: may be asked)."""

    deaths: int
    at: float
    until: float

    @property
    def is_forgotten_at(self) -> float:
        return self.until + MEMORY_SECONDS


@dataclass(frozen=True, slots=True)
class Hold:
    """For how long a request is refused; not blamed are those of a crowd."""

    seconds: float
    is_blamed: bool


class Quarantine:
    """At most LIMIT suspects, the oldest leave for new ones."""

    __slots__ = ("_suspects", "_until")

    def __init__(self) -> None:
        self._suspects: dict[bytes, Suspect] = {}
        # When all of them will be forgotten: almost always there is none, and no request is hashed.
        self._until = -math.inf

    def died(self, path: str, body: bytes, sent_at: float, now: float) -> None:
        """A target ended under this request, which was sent there then."""
        mark = mark_of(path, body)
        known = self._known(mark)
        if known and sent_at < known.at:
            # The same body was at several targets at once: one piece of evidence.
            return
        deaths = known.deaths + 1 if known else 1
        self._set(mark, Suspect(deaths, now, now + _hold_seconds(deaths)), now)
        crowd = {each: known for each, known in self._suspects.items() if _is_new(known, now)}
        if len(crowd) >= CROWD:
            for each, one in crowd.items():
                self._set(each, Suspect(one.deaths, one.at, one.at + CROWD_HOLD_SECONDS), now)

    def answered(self, path: str, body: bytes, now: float) -> None:
        """A target answered this request to its end: whatever was thought of it was wrong."""
        if self._has_any(now):
            mark = mark_of(path, body)
            if self._known(mark):
                self._set(mark, Suspect(0, now, now), now)

    def hold(self, path: str, body: bytes, now: float) -> Hold | None:
        """Whether this request, which comes now, is to be refused. The first one after a hold goes to see."""
        known = self._known(mark_of(path, body)) if self._has_any(now) else None
        if known is None or known.deaths < DEATHS_LIMIT:
            return None
        is_blamed = known.until - known.at > CROWD_HOLD_SECONDS
        if now < known.until:
            return Hold(known.until - now, is_blamed)
        if is_blamed:
            self._set(mark_of(path, body), Suspect(known.deaths, known.at, now + PROBE_SECONDS), now)
        return None

    def is_last_try(self, path: str, body: bytes) -> bool:
        """Whether no other target may be asked once one has ended under it."""
        known = self._known(mark_of(path, body))
        return known is not None and known.deaths >= DEATHS_LIMIT

    def as_json(self, now: float) -> dict[str, list[float]]:
        """By hash: ends, seconds since and left. A clock's reading would mean nothing to the next process."""
        return {mark.hex(): [s.deaths, now - s.at, s.until - now] for mark, s in self._suspects.items()}

    def restore(self, suspects: Mapping[str, Sequence[float]], now: float) -> None:
        for mark, (deaths, since, left) in suspects.items():
            self._set(bytes.fromhex(mark), Suspect(int(deaths), now - float(since), now + float(left)), now)

    def __len__(self) -> int:
        return len(self._suspects)

    # Where it is kept

    def _has_any(self, now: float) -> bool:
        return now < self._until

    def _known(self, mark: bytes) -> Suspect | None:
        return self._suspects.get(mark)

    def _set(self, mark: bytes, suspect: Suspect, now: float) -> None:
        """No deaths: it is none any more."""
        self._forget(now)
        self._suspects.pop(mark, None)
        if not suspect.deaths:
            return
        if len(self._suspects) >= LIMIT:
            del self._suspects[next(iter(self._suspects))]
        self._suspects[mark] = suspect
        self._until = max(self._until, suspect.is_forgotten_at)

    def _forget(self, now: float) -> None:
        for mark in [mark for mark, known in self._suspects.items() if known.is_forgotten_at <= now]:
            del self._suspects[mark]


def mark_of(path: str, body: bytes) -> bytes:
    """What tells a request from others."""
    return blake2b(body, digest_size=16, person=path.encode("utf-8", "replace")[-16:]).digest()


def _hold_seconds(deaths: int) -> float:
    if deaths < DEATHS_LIMIT:
        return 0.0
    return min(HOLD_SECONDS * 2.0 ** (deaths - DEATHS_LIMIT), HOLD_SECONDS_LIMIT)


def _is_new(known: Suspect, now: float) -> bool:
    return known.deaths == DEATHS_LIMIT and now - known.at < CROWD_SECONDS
