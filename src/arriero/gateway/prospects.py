"""What a request may expect of each target: how soon its first token, and what that costs those who come after. Pure.

Everything is in seconds, so that waiting, loading, pushing out another model and leaving a site can be weighed against
each other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from math import exp

from arriero.gateway.speeds import Speeds
from arriero.gateway.target import Target

# A dearer site, or a standby, has to be sooner by this much.
SPILL_SECONDS = 5.0
# One that missed a probe or failed a moment ago has to be sooner by this much.
DOUBT_SECONDS = 10.0
# A model asked for within this time is one that will be asked for again.
HORIZON_SECONDS = 60.0
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
    """What is asked: `model` to run; `ahead` go before it, it has `waited` seconds. `lines` counts who waits by model."""

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
    if not target.memory.pushed_out(model):
        return Finds.ROOM
    return Finds.A_BUSY_SERVER if target.busy else Finds.ANOTHER_MODEL


class Forecast:
    """The prospects of one request at all these targets, which may serve it."""

    def __init__(self, targets: Sequence[Target], ask: Ask, speeds: Speeds, now: float) -> None:
        self._targets, self._ask, self._speeds, self._now = targets, ask, speeds, now
        self._tiers = sorted({target.tier for target in targets})
        self._found = [(target, finds(target, ask.model)) for target in targets]
        self._copies = [target for target, found in self._found if found in _HOLDING]

    def all(self) -> list[Prospect]:
        return [self._prospect(target, found) for target, found in self._found]

    def _prospect(self, target: Target, found: Finds) -> Prospect:
        penalty = self._against(target)
        if found is Finds.A_FREE_SLOT:
            return Prospect(target, found, 0.0, penalty, True)
        if found is Finds.A_LOAD:
            return Prospect(target, found, self._rest_of_load(target), penalty, True)
        if found is Finds.A_QUEUE:
            return Prospect(target, found, self._turn_in_line(target), penalty, False)
        return self._after_load(target, found, penalty)

    def _after_load(self, target: Target, found: Finds, penalty: float) -> Prospect:
        """A target that would have to load it first."""
        load = self._load_seconds(target)
        is_full = target.busy >= target.slots
        at_work = found is Finds.A_BUSY_SERVER or (is_full and found is Finds.ROOM)
        seconds = load + (self._answer_seconds(target) if at_work else 0.0)
        out = target.memory.names_of(target.memory.pushed_out(self._ask.model))
        harm = sum(self._harm(target, model) for model in out)
        is_wanted = (found is Finds.A_BUSY_SERVER and harm > 0.0) or any(self._ask.lines(model) for model in out)
        # Who would take a server from others that need it waits first as long as that costs them: so two models that
        # share a server take turns in batches, and neither starves.
        is_due = self._ask.waited >= load + harm
        can_now = not is_full and (not is_wanted or (is_due and not self._copies))
        return Prospect(target, found, seconds, penalty + harm, can_now)

    def _against(self, target: Target) -> float:
        is_doubtful = target.state == "suspect" or target.cooling_until > self._now
        return self._tiers.index(target.tier) * SPILL_SECONDS + (DOUBT_SECONDS if is_doubtful else 0.0)

    def _harm(self, target: Target, model: str) -> float:
        """Seconds that the loss of this model here costs its next requests."""
        asked = self._speeds.asked_per_second(model, self._now)
        others = sum(other.slots for other in self._targets if other is not target and _holds(other, model))
        load = self._speeds.load_seconds(target.entry.site, model, _size(target, model))
        held = self._speeds.answer_seconds(target.entry.id, model, load)
        waiting = self._ask.lines(model)
        if others and asked * held < BEARABLE * others and not waiting:
            return 0.0
        return load * (1.0 - exp(-asked * HORIZON_SECONDS) + asked * load / 2) + (load if waiting else 0.0)

    def _turn_in_line(self, target: Target) -> float:
        """When its turn comes at any copy of the target's tier, those on their way into memory included."""
        copies = [copy for copy in self._copies if copy.tier == target.tier]
        starts = sorted((self._rest_of_load(copy), copy.slots) for copy in copies)
        each, turns = self._answer_seconds(target), self._ask.ahead + 1
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
        learnt = self._speeds.load_seconds(site, model, _size(target, model))
        starts = [copy.memory.loading_since(model) for copy in self._copies if copy.entry.site == site]
        return max([learnt, *(self._now - start for start in starts if start is not None)])

    def _answer_seconds(self, target: Target) -> float:
        load = self._speeds.load_seconds(target.entry.site, self._ask.model, _size(target, self._ask.model))
        return self._speeds.answer_seconds(target.entry.id, self._ask.model, load)


_HOLDING = (Finds.A_FREE_SLOT, Finds.A_LOAD, Finds.A_QUEUE)


def _holds(target: Target, model: str) -> bool:
    return target.is_resident(model) or target.is_loading(model)


def _size(target: Target, model: str) -> float:
    size = target.inventory.on_disk.get(model, {}).get("size", 0)
    return float(size) if isinstance(size, int | float) else 0.0
