"""Which models one target has in memory, as far as the gateway can know it between two looks. Pure.

What the server tells is up to a second old, so what the gateway itself caused counts more: a request for a model that
was not there began a load, and a load pushes out what was used longest ago once there is no more room. How many models
there is room for is learnt: the most that were ever seen in memory at once (a list of targets may say it).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

# What a request finds at a target: its model in memory, on its way in, or on disk only; empty when it runs none.
Found = Literal["", "warm", "loading", "cold"]

Models = Mapping[str, Mapping[str, Any]]


class Memory:
    """Models are told apart by digest: a copy is in memory when its original is. `warm` holds names, for quick asking.

    `loading` tells since when each digest is on its way in, `changed_at` when the last load began.
    """

    __slots__ = (
        "_digest_of", "_digests", "_seen_room", "_served", "_told_room", "_used", "changed_at", "loading", "warm",
    )  # fmt: skip

    def __init__(self) -> None:
        self.warm: frozenset[str] = frozenset()
        self.loading: dict[str, float] = {}
        self._digest_of: dict[str, str] = {}
        self._digests: set[str] = set()
        self._served: set[str] = set()
        self._used: dict[str, float] = {}
        self._told_room = 0
        self.changed_at = 0.0
        self._seen_room = 1

    def hold(self, on_disk: Models, resident: Models) -> None:
        """The server told what it has. What began to answer since it was asked last is there, whatever it says."""
        self._digest_of = {name: str(model.get("digest", name)) for name, model in on_disk.items()}
        seen = {str(model.get("digest", name)) for name, model in resident.items()}
        self._seen_room = max(self._seen_room, len(seen))
        self._digests = (seen - self.loading.keys()) | self._served
        self._served = set()
        self._digests -= self._oldest(len(self._digests) + len(self.loading) - self._room)
        self._used = {digest: at for digest, at in self._used.items() if digest in self._digests}
        self._renew()

    def hold_disk(self, on_disk: Models) -> None:
        """The server told what it has on disk, and nothing new of its memory."""
        self._digest_of = {name: str(model.get("digest", name)) for name, model in on_disk.items()}
        self._renew()

    def expect_room(self, models: int) -> None:
        """How many models fit, if that is known; 0 if it is not."""
        self._told_room = models

    def take(self, model: str, now: float) -> Found:
        """A request for it starts."""
        digest = self._digest_of.get(model, model)
        self._used[digest] = now
        if model in self.warm:
            return "warm"
        if digest in self.loading:
            return "loading"
        self.loading[digest] = self.changed_at = now
        if out := self._oldest(self._too_many(digest)):
            self._digests -= out
            self._served -= out
            self._renew()
        return "cold"

    def served(self, model: str) -> None:
        """It began to answer, so it is in memory now."""
        if model in self.warm:
            return
        digest = self._digest_of.get(model, model)
        self.loading.pop(digest, None)
        self._digests.add(digest)
        self._served.add(digest)
        self._renew()
        self.warm |= {model}

    def gave_up(self, model: str) -> None:
        """Its last request ended; if none was answered, its load came to nothing as far as we know."""
        self.loading.pop(self._digest_of.get(model, model), None)

    def loading_since(self, model: str) -> float | None:
        return self.loading.get(self._digest_of.get(model, model))

    def pushed_out(self, model: str) -> frozenset[str]:
        """Names of the models that would have to leave for it: those used longest ago."""
        digest = self._digest_of.get(model, model)
        return self._names_of(self._oldest(self._too_many(digest)))

    @property
    def has_room(self) -> bool:
        """One more model fits."""
        return self.count < self._room

    @property
    def count(self) -> int:
        return len(self._digests) + len(self.loading)

    @property
    def _room(self) -> int:
        return self._told_room or self._seen_room

    def _too_many(self, digest: str) -> int:
        is_here = digest in self._digests or digest in self.loading
        return self.count + (not is_here) - self._room

    def _names_of(self, digests: Collection[str]) -> frozenset[str]:
        if len(digests) == len(self._digests):
            return self.warm
        return frozenset(name for name in self.warm if self._digest_of.get(name, name) in digests)

    def _oldest(self, count: int) -> frozenset[str]:
        if count <= 0:
            return frozenset()
        if count >= len(self._digests):
            return frozenset(self._digests)
        return frozenset(sorted(self._digests, key=lambda held: (self._used.get(held, 0.0), held))[:count])

    def _renew(self) -> None:
        known = frozenset(name for name, digest in self._digest_of.items() if digest in self._digests)
        self.warm = known | (self._digests - set(self._digest_of.values()))
