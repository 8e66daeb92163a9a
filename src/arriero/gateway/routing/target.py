"""One Ollama server as the gateway sees it: a state with a name, its models, and the requests open there. Pure.

States: `new` (has not answered yet), `up`, `suspect` (missed one probe; still used, after the others), `down`,
`draining` (gets nothing new). Only `become` changes the state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

from arriero.control.messages import TargetEntry, TargetStanding, TargetStatus
from arriero.gateway.routing.memory import Found, Memory
from arriero.gateway.routing.retry import Breaker
from arriero.gateway.words.told import Told

MISSES_UNTIL_DOWN = 2
# Beginnings of conversations that are remembered; a prompt cache holds fewer.
MET_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class Turn:
    """A change of state, to be told."""

    target: str
    was: TargetStanding
    now: TargetStanding
    why: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a probe read: each model on disk and in memory by canonical name, as the server described it."""

    on_disk: Mapping[str, Mapping[str, Any]]
    resident: Mapping[str, Mapping[str, Any]]
    version: str = ""

    def digest(self, model: str) -> str:
        return str(self.on_disk.get(model, {}).get("digest", model))


class Target:
    """Mutable, changed only from the event loop's thread, and never across an await.

    `in_flight` and `running` count this gateway's own requests, `others` those that its sidecar has from elsewhere;
    `reading` are those of its own whose answer has not begun: their prompts are read, each at the cost of the others.
    `slots`: how many it answers at a time (its sidecar knows best); `weight` is the entry's, or what was put over it;
    `names` are the header lines that tell a client where its answer is from.
    `has_sidecar` is None as long as nobody knows.
    From `look_at` on, a target whose sidecar tells its state is to be probed once more.
    """

    __slots__ = (
        "_has_answered", "_met", "_misses", "_override", "_told",
        "breaker", "cooling_until", "entry", "has_sidecar", "in_flight", "inventory", "look_at", "memory", "names",
        "others", "reading", "reason", "running", "salt", "slots", "state", "tier", "turns", "weight",
    )  # fmt: skip

    def __init__(self, entry: TargetEntry) -> None:
        self.entry = entry
        self.state: TargetStanding = "new"
        self.reason = "has not answered yet"
        self.inventory = Inventory({}, {})
        self.in_flight = self.others = self.reading = 0
        self.running: dict[str, int] = {}
        self.breaker = Breaker()
        self.cooling_until = self.look_at = 0.0
        self.turns = 0
        self._misses = 0
        self._has_answered = False
        self._override: int | None = None
        self.salt = crc32(entry.id.encode())
        self.memory = Memory()
        self._told: Told | None = None
        self.has_sidecar: bool | None = None
        self._read_entry()
        self._met: dict[int, None] = {}

    def become(self, state: TargetStanding, why: str) -> Turn | None:
        """Changes the state; returns what is to be told, or None when nothing changed."""
        self.reason = why
        if state == self.state:
            return None
        turn = Turn(self.entry.id, self.state, state, why)
        self.state = state
        return turn

    def answered(self, inventory: Inventory) -> Turn | None:
        """A probe succeeded."""
        self._misses, self._has_answered = 0, True
        if self._told is None:
            self.others = 0
        # What the sidecar told of its memory is newer than what a probe read a moment ago.
        self._hold(replace(inventory, resident=self.inventory.resident) if self._told else inventory)
        return self._settle("answers")

    def told(self, told: Told) -> Turn | None:
        """Its sidecar says how it is: that counts from now on, more than what this gateway knows by itself."""
        if self._told is None or self._told.disk != told.disk:
            self.look_at = 0.0
        self._told, self.slots, self.has_sidecar = told, told.slots, True
        self.others = max(0, told.in_flight - self.in_flight)
        if told.resident is not None:
            self._hold(replace(self.inventory, resident=told.resident))
        if told.answers:
            self._misses = 0
        elif not self._misses:
            self._misses = 1
        return self._settle("answers" if told.answers else told.why)

    def lost(self, why: str) -> Turn | None:
        """Its sidecar tells nothing any more: until the next probe it is suspect."""
        self._told, self.others = None, 0
        self.slots = self.entry.slots
        self._misses = max(1, self._misses)
        return self._settle(why)

    def was_full(self) -> None:
        """It refused a request for want of a slot: none is free there until it tells, or is probed, again."""
        self.others = max(self.others, self.slots - self.in_flight)

    def missed(self, why: str) -> Turn | None:
        """A probe failed."""
        self._misses += 1
        return self._settle(why)

    def broke(self, why: str) -> Turn | None:
        """A request found nobody there: no need to wait for a second probe."""
        self._misses = max(self._misses, MISSES_UNTIL_DOWN)
        return self._settle(why)

    def cool(self, now: float) -> None:
        """It answered 5xx: others first for a while, so that a server that fails fast does not attract traffic."""
        self.breaker.failed(now)
        self.cooling_until = self.breaker.until

    def recovered(self, sent_at: float) -> None:
        """It answered a request that was sent then."""
        self.breaker.answered(sent_at)
        self.cooling_until = self.breaker.until

    def weigh(self, override: int | None) -> Turn | None:
        """Puts a weight over the entry's own (None takes it away)."""
        self._override = override
        self._read_entry()
        return self._settle("told to drain" if self.weight == 0 else "in use again")

    def renew(self, entry: TargetEntry) -> Turn | None:
        """The list of targets says something new about it (the address stays)."""
        self.entry = entry
        self._read_entry()
        return self._settle("told to drain" if self.weight == 0 else self.reason)

    @property
    def is_followed(self) -> bool:
        """A sidecar tells its state."""
        return self._told is not None

    @property
    def busy(self) -> int:
        """Requests that are open there, whoever sent them."""
        return self.in_flight + self.others

    @property
    def can_take(self) -> bool:
        return self.state == "up" or self.state == "suspect"

    @property
    def has_answered(self) -> bool:
        return self._has_answered

    def has(self, model: str) -> bool:
        return model in self.inventory.on_disk

    def is_resident(self, model: str) -> bool:
        """In memory, by digest: a copy is resident when its original is."""
        return model in self.memory.warm

    def is_loading(self, model: str) -> bool:
        """A request for it is open there, and it was not in memory: it is on its way in."""
        is_told = self._told is not None and model in self._told.loading
        return (is_told or self.memory.loading_since(model) is not None) and not self.is_resident(model)

    def take(self, model: str | None, now: float) -> Found:
        """A request starts here, and finds `model` (None: it runs nothing) like this; `give_back` must follow."""
        self.in_flight += 1
        self.turns += 1
        if self.cooling_until:
            self.breaker.asked(now)
            self.cooling_until = self.breaker.until
        if not model:
            return ""
        self.reading += 1
        self.running[model] = self.running.get(model, 0) + 1
        return self.memory.take(model, now)

    def meets(self, mark: int) -> bool:
        """Whether a conversation that begins like this is new here, so that nothing of it can be in a prompt cache."""
        if mark in self._met:
            return False
        if mark:
            if len(self._met) >= MET_LIMIT:
                del self._met[next(iter(self._met))]
            self._met[mark] = None
        return True

    def has_met(self, mark: int) -> bool:
        """Whether that conversation was here, so that its beginning may be in the prompt cache."""
        return mark in self._met

    def give_back(self, model: str | None, has_begun: bool = False) -> None:
        """A request is over; `has_begun`: its answer had, so its prompt was read."""
        self.in_flight -= 1
        if model and not has_begun:
            self.reading -= 1
        if model and self.running[model] > 1:
            self.running[model] -= 1
        elif model:
            del self.running[model]
            if self.memory.loading:
                self.memory.gave_up(model)

    def begins(self, model: str, is_good: bool = True) -> None:
        """An answer begins, so its prompt is read; if it `is_good`, the model is in memory."""
        self.reading -= 1
        if is_good:
            self.memory.served(model)

    def status(self) -> TargetStatus:
        entry, models = self.entry, sorted(self.inventory.on_disk)
        return TargetStatus(
            id=entry.id,
            site=entry.site,
            address=entry.address,
            state=self.state,
            role=entry.role,
            release=entry.release,
            weight=self.weight,
            in_flight=self.busy,
            models=tuple(models),
            resident=tuple(name for name in models if self.is_resident(name)),
            reason=self.reason,
        )

    def _hold(self, inventory: Inventory) -> None:
        is_new = inventory.resident is not self.inventory.resident
        self.inventory = inventory
        if is_new:
            self.memory.hold(inventory.on_disk, inventory.resident)
        else:
            self.memory.hold_disk(inventory.on_disk)

    def _read_entry(self) -> None:
        entry = self.entry
        self.weight = entry.weight if self._override is None else self._override
        self.slots = entry.slots if self._told is None else self._told.slots
        self.tier = (entry.role != "active", entry.cost)
        self.names = f"X-Arriero-Site: {entry.site}\r\nX-Arriero-Target: {entry.id}\r\n".encode()
        self.memory.expect_room(entry.room)

    def _settle(self, why: str) -> Turn | None:
        if self.weight == 0:
            return self.become("draining", why)
        if self._told is not None and self._told.is_draining:
            return self.become("draining", "its sidecar drains")
        if self._misses >= MISSES_UNTIL_DOWN:
            return self.become("down", why)
        if not self._has_answered:
            return self.become("new", why)
        return self.become("suspect" if self._misses else "up", why)
