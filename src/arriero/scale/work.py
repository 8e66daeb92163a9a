"""What a gateway tells of its requests, as work: seconds of a whole target. Pure: handed `now`, POSIX seconds.

What a request will take is expected by its tokens: those of its prompt by the bytes of its body, those of its answer by
the mean of its model's last answers; and by how long its model's last requests held a slot for each of their tokens,
best of all those that ended while next to no slot was free. For slots may slow each other down: of a target that bears
two and a half streams at full pace, one of four that is asked alone takes two fifths, though it holds a quarter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from arriero.control.load import Ended, GatewayLoad, Pending
from arriero.scale.autoscale import Load, Past, Policy
from arriero.scale.demand import Demand

# Reading a token of a prompt takes this part of what generating one takes.
PROMPT_SHARE = 0.1
# Until a request of the model is over.
FIRST_SECONDS = 10.0
# What is learnt is of the last quarter of an hour, where that is of so many requests at least.
LEARNT_SECONDS, LEARNT_LEAST = 900.0, 20
NOTED_SECONDS = 60.0
# Slots are full where so large a part of them is taken; of requests that ended then so many are kept in mind, the older
# ones weighing less and less.
FULL_SHARE, FULL_KEPT = 0.9, 500.0
NOW_SECONDS, BUSY_SECONDS = 20.0, 30.0
# The swing is looked up in hours of history, and changes slowly.
SWING_SECONDS = 60.0


def expected_seconds(learnt: Ended, count: float, received_bytes: float) -> float:
    """How long so many requests, with so many bytes of bodies in all, will hold a slot, all together."""
    if learnt.count < 1:
        return count * FIRST_SECONDS
    tokens = PROMPT_SHARE * learnt.tokens_in + learnt.tokens_out
    if tokens <= 0.0:
        return count * learnt.held_seconds / learnt.count
    read = PROMPT_SHARE * received_bytes * learnt.tokens_in / learnt.received_bytes if learnt.received_bytes else 0.0
    return (read + count * learnt.tokens_out / learnt.count) * learnt.held_seconds / tokens


@dataclass
class Work:
    """The memory of one who looks every few seconds; after a restart it begins anew. Mutable."""

    demand: Demand = field(default_factory=Demand)
    came_last: float | None = None
    _before: GatewayLoad | None = None
    _noted: deque[tuple[float, Mapping[str, Ended]]] = field(default_factory=deque)
    _pending: deque[tuple[float, int, int]] = field(default_factory=deque)
    _full: dict[str, Ended] = field(default_factory=dict)
    _was_full: bool = False
    _ready: int = 0
    _swing: float = 1.0
    _highest: float = float("inf")
    _swing_at: float = float("-inf")
    _looked_at: float | None = None

    def look(self, now: float, told: GatewayLoad, slots: float) -> None:
        """`slots` are those of one target."""
        if self._before is not None and _began_anew(self._before, told):
            self._before = None
            self._noted.clear()
        came = sum(
            expected_seconds(self._learnt(told, model), *self._new(told, model))
            for model in (told.ended.keys() | told.pending.keys() if self._before is not None else ())
        )
        self.demand.asked(now, came / slots)
        if came > 0.0 or told.open or told.waiting or self.came_last is None:
            self.came_last = now
        self._pending.append((now, told.open, told.waiting))
        while len(self._pending) > 1 and self._pending[1][0] <= now - BUSY_SECONDS:
            self._pending.popleft()
        self._note(now, told)
        self._note_full(told, slots)
        self._before, self._looked_at = told, now

    def load(self, now: float, count: int, ready: int, slots: float, start_seconds: float, policy: Policy) -> Load:
        """What is to be decided by, but for what the last decision said."""
        told = self._before or GatewayLoad({}, {})
        self._ready = ready
        if now - self._swing_at >= SWING_SECONDS:
            self._swing = self.demand.swing(now, policy.window_seconds, policy.share, policy.level_seconds)
            self._highest = self.demand.ceiling(now, policy.window_seconds, start_seconds + policy.hold_seconds)
            self._swing_at = now
        waiting = sum(
            expected_seconds(self._learnt(told, model), each.waiting, each.waiting_bytes)
            for model, each in told.pending.items()
        )
        return Load(
            count=count,
            ready=ready,
            asked=self.demand.level(now, policy.level_seconds),
            asked_now=self.demand.level(now, NOW_SECONDS),
            lately=self.demand.level(now, policy.lately_seconds),
            swing=self._swing,
            growth=self.demand.growth(now, policy.level_seconds, start_seconds + policy.hold_seconds),
            waiting=waiting / slots,
            idle_for=now - (now if self.came_last is None else self.came_last),
            start_seconds=start_seconds,
            before=Past(),
            busy=self._busy(now) / slots,
            due=self.demand.usual(now, start_seconds + policy.hold_seconds),
            highest=self._highest,
        )

    def _busy(self, now: float) -> float:
        """Slots that were taken in the mean of the last half minute (what is not known of it counts as none), and as
        many as had to wait all that time: clients that ask again only when they were answered hide behind a line what
        they would ask.
        """
        begins = [max(at, now - BUSY_SECONDS) for at, _, _ in self._pending]
        lengths = [end - begin for begin, end in pairwise([*begins, now])]
        taken = sum(each * length for (_, each, _), length in zip(self._pending, lengths, strict=True)) / BUSY_SECONDS
        is_known = bool(begins) and begins[0] <= now - BUSY_SECONDS
        return taken + (min(waiting for _, _, waiting in self._pending) if is_known else 0)

    def _new(self, told: GatewayLoad, model: str) -> tuple[float, float]:
        """How many requests came since the last look, and the bytes of their bodies."""
        before = self._before or told
        over = told.ended.get(model, Ended()) - before.ended.get(model, Ended())
        now, then = told.pending.get(model, Pending()), before.pending.get(model, Pending())
        count = over.count + now.open + now.waiting - then.open - then.waiting
        more = over.received_bytes + now.open_bytes + now.waiting_bytes - then.open_bytes - then.waiting_bytes
        return max(0.0, count), max(0.0, more)

    def _learnt(self, told: GatewayLoad, model: str) -> Ended:
        if (full := self._full.get(model, Ended())).count >= LEARNT_LEAST:
            return full
        known = told.ended.get(model, Ended())
        lately = known - self._noted[0][1].get(model, Ended()) if self._noted else known
        return lately if lately.count >= LEARNT_LEAST else known

    def _note(self, now: float, told: GatewayLoad) -> None:
        if not self._noted or now - self._noted[-1][0] >= NOTED_SECONDS:
            self._noted.append((now, told.ended))
        while len(self._noted) > 1 and self._noted[1][0] <= now - LEARNT_SECONDS:
            self._noted.popleft()

    def _note_full(self, told: GatewayLoad, slots: float) -> None:
        """Takes what ended since the last look, if slots were full then and are now."""
        is_full = 0 < FULL_SHARE * slots * self._ready <= told.open
        if is_full and self._was_full and self._before is not None:
            for model, each in told.ended.items():
                had = self._full.get(model, Ended())
                older = had if had.count <= FULL_KEPT else Ended(*(number / 2 for number in had.numbers()))
                self._full[model] = older + (each - self._before.ended.get(model, Ended()))
        self._was_full = is_full


def _began_anew(before: GatewayLoad, now: GatewayLoad) -> bool:
    """A gateway that was started again counts from zero."""
    return any(now.ended.get(model, Ended()).count < each.count for model, each in before.ended.items())
