"""What a request may expect of each target: how soon its first token, and what that costs those who come after. Pure.

Everything is in seconds, so that waiting, loading, pushing out another model and leaving a site can be weighed against
each other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import Enum

from arriero.gateway.routing.speeds import Speeds
from arriero.gateway.routing.target import Target

# A dearer site, or a standby, has to be sooner by this much.
SPILL_SECONDS = 5.0
# One that missed a probe or failed a moment ago has to be sooner by this much.
DOUBT_SECONDS = 10.0
# A model asked for once in this time will come back as likely as not.
HORIZON_SECONDS = 60.0
# A model that is wanted stays this many times what its change costs: more lowers throughput's loss, and adds waits.
TENURE = 3.0
# Copies busier than this can't bear what another copy served.
BEARABLE = 0.7


class Finds(Enum):
    """What a request finds at a target."""

    A_FREE_SLOT = "the model in memory and a free slot"
    A_LOAD = "the model on its way into memory and a free slot"
    A_QUEUE = "the model in memory, all slots taken"
    ROOM = "the model on disk, and room for it in memory"
    ANOTHER_MODEL = "the model on disk; another model has to leave memory for it"
    A_BUSY_SERVER = "the model on disk; another model that is at work has to leave memory for it"


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked: `model` to run. So many go `ahead` of it, it has `waited` seconds; `mark` stands for the beginning
    of its conversation (0: none), and `lines` counts who waits for a model.
    """

    model: str
    tried: Collection[str] = ()
    ahead: int = 0
    waited: float = 0.0
    mark: int = 0
    lines: Callable[[str], int] = lambda _: 0


@dataclass(frozen=True, slots=True)
class Prospect:
    """`seconds` until the first token there; `penalty` is what others pay, or what the target has against it.

    `can_now`: it may be sent there at once. If not, it waits for a place.
    """

    target: Target
    finds: Finds
    seconds: float
    penalty: float
    can_now: bool

    @property
    def cost(self) -> float:
        return self.seconds + self.penalty


def finds(target: Target, model: str) -> Finds:
    is_full = target.busy >= target.slots
    if target.is_resident(model):
        return Finds.A_QUEUE if is_full else Finds.A_FREE_SLOT
    if target.is_loading(model):
        return Finds.A_QUEUE if is_full else Finds.A_LOAD
    if target.memory.has_room:
        return Finds.ROOM
    return Finds.A_BUSY_SERVER if target.busy else Finds.ANOTHER_MODEL


class Forecast:
    """The prospects of one request at all these targets, which may serve it."""

    def __init__(self, targets: Sequence[Target], ask: Ask, speeds: Speeds, now: float) -> None:
        self._ask, self._speeds, self._now = ask, speeds, now
        tiers = sorted({target.tier for target in targets})
        self._spill = {tier: rank * SPILL_SECONDS for rank, tier in enumerate(tiers)}
        self._found = [(target, finds(target, ask.model)) for target in targets]
        self._copies = [target for target, found in self._found if found in _HOLDING]
        self._loads: dict[str, float] = {}
        self._turns: dict[tuple[bool, float], float] = {}
        self._slots: dict[str, int] = {}
        for target in targets:
            for model in target.memory.warm:
                self._slots[model] = self._slots.get(model, 0) + target.slots

    def all(self) -> list[Prospect]:
        return [self._prospect(target, found) for target, found in self._found]

    def _prospect(self, target: Target, found: Finds) -> Prospect:
        is_doubtful = target.state == "suspect" or target.cooling_until > self._now
        penalty = self._spill[target.tier] + (DOUBT_SECONDS if is_doubtful else 0.0)
        if found is Finds.A_FREE_SLOT:
            return Prospect(target, found, 0.0, penalty, True)
        if found is Finds.A_LOAD:
            return Prospect(target, found, self._rest_of_load(target), penalty, True)
        if found is Finds.A_QUEUE:
            return Prospect(target, found, self._turn_in_line(target.tier), penalty, False)
        return self._after_load(target, found, penalty)

    def _after_load(self, target: Target, found: Finds, penalty: float) -> Prospect:
        """A target that would have to load it first."""
        load, is_full = self._load_seconds(target), target.busy >= target.slots
        seconds = load + (self._answer_seconds(target) if is_full or found is Finds.A_BUSY_SERVER else 0.0)
        if found is Finds.ROOM:
            return Prospect(target, found, seconds, penalty, not is_full)
        out = target.memory.pushed_out(self._ask.model)
        harm = sum(self._harm(target, model) for model in out)
        is_wanted = (found is Finds.A_BUSY_SERVER and harm > 0.0) or any(self._ask.lines(model) for model in out)
        can_now = not is_full and (not is_wanted or self._is_due(target, load + harm))
        return Prospect(target, found, seconds, penalty + harm, can_now)

    def _is_due(self, target: Target, cost: float) -> bool:
        """Who would take a server from others that need it waits first as long as that costs them, and they have had it
        for some times that since their own load: models that share a server take turns in batches, and none starves.
        """
        had = self._now - target.memory.changed_at - self._load_seconds(target)
        waits = self._turn_in_line(target.tier) if self._copies else self._ask.waited
        return min(waits, had / TENURE) >= cost

    def _harm(self, target: Target, model: str) -> float:
        """Seconds that the loss of this model here costs its next requests."""
        asked = self._speeds.asked_per_second(model, self._now)
        others = self._slots[model] - target.slots
        load = self._speeds.load_seconds(target.entry.site, model, _size(target, model))
        held = self._speeds.answer_seconds(target.entry.id, model, load)
        waiting = self._ask.lines(model)
        # What the other copies can bear comes back to nobody's cost; what they can't, sooner or later does.
        missed = (asked * held / others - BEARABLE) / (1.0 - BEARABLE) if others and not waiting else 1.0
        is_asked = asked / (asked + 1.0 / HORIZON_SECONDS)
        return load * (min(max(missed, 0.0), 1.0) * is_asked + (1.0 if waiting else 0.0))

    def _turn_in_line(self, tier: tuple[bool, float]) -> float:
        """When its turn comes at any copy of this tier (of any if it has none), those being loaded included."""
        known = self._turns.get(tier)
        if known is None:
            known = self._turns[tier] = self._turn([each for each in self._copies if each.tier == tier] or self._copies)
        return known

    def _turn(self, copies: Sequence[Target]) -> float:
        starts = sorted((self._rest_of_load(copy), copy.slots) for copy in copies)
        each, turns = self._answer_seconds(copies[0]), self._ask.ahead + 1
        slots, done, reached = 0, 0.0, 0.0
        for start, count in starts:
            if slots and done + (start - reached) * slots / each >= turns:
                break
            done += (start - reached) * slots / each
            slots, reached = slots + count, start
        return reached + (turns - done) * each / slots

    def _rest_of_load(self, target: Target) -> float:
        if target.is_resident(self._ask.model):
            return 0.0
        since = target.memory.loading_since(self._ask.model)
        whole = self._load_seconds(target)
        # A sidecar tells that another gateway's request began the load, not when.
        passed = whole / 2 if since is None else self._now - since
        return max(whole - passed, passed / 2 if passed > whole else 0.0)

    def _load_seconds(self, target: Target) -> float:
        """As learnt; but no less than what a load of it at this site takes at the moment."""
        model, site = self._ask.model, target.entry.site
        known = self._loads.get(site)
        if known is None:
            known = self._speeds.load_seconds(site, model, _size(target, model))
            for copy in self._copies:
                since = copy.memory.loading_since(model) if copy.entry.site == site else None
                known = known if since is None else max(known, self._now - since)
            self._loads[site] = known
        return known

    def _answer_seconds(self, target: Target) -> float:
        return self._speeds.answer_seconds(target.entry.id, self._ask.model, self._load_seconds(target))


_HOLDING = (Finds.A_FREE_SLOT, Finds.A_LOAD, Finds.A_QUEUE)


def _size(target: Target, model: str) -> float:
    size = target.inventory.on_disk.get(model, {}).get("size", 0)
    return float(size) if isinstance(size, int | float) else 0.0
