"""How many targets a site should run now, by what LLM load is: work in tokens, asked, waiting and open. Pure.

What can't be answered by starts is kept ready: a new target takes `start_seconds`, so as many run as would bear what
comes in such a time, with the swing that this traffic showed in the last hours, at `utilisation`; never less than came
in the last minute, never more than the busiest window of the last hours, grown as the day grows. What waits is added.
Fewer run only when for `hold_seconds` fewer would have done, and then in small steps; who leaves has no open stream
(`leaving.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import ceil

# Of a target's work: a usual day that asks for less asks for nothing.
LEAST_DUE = 0.01


@dataclass(frozen=True, slots=True)
class Policy:
    """`min` and `max` are the plan's; `warm` is how many at least run with their models in memory, whatever is asked.

    With `min` and `warm` 0 the site sleeps after `idle_seconds` without a request. A step out is at most as many as
    run, or `least_step`; a step in at most `step_in` of them, and one; both in a minute. `panic`: that many times what
    is ready asked at once lifts the limits of steps, and nothing leaves for `hold_seconds`.
    """

    min: int = 2
    max: int = 4
    warm: int = 0
    utilisation: float = 0.75
    share: float = 0.97
    window_seconds: float = 20.0
    level_seconds: float = 3600.0
    lately_seconds: float = 60.0
    hold_seconds: float = 300.0
    idle_seconds: float = 900.0
    least_step: int = 2
    step_in: float = 0.1
    panic: float = 1.5


@dataclass(frozen=True, slots=True)
class Load:
    """What is known at a moment, all work in seconds of a whole target.

    `count`: targets that run or start, without those that leave; `ready` of them answer. `asked` and `asked_now`: work
    that came in a second, in the last minutes and in the last seconds. `swing` and `growth`: see `Demand`. `waiting` is
    the work in the lines, `idle_for` the seconds since the last request; `before` is what the last decision said.
    `lately`: as `asked`, of the last minute only. `highest`: the most that may be expected to come in a window at all.
    `busy`: whole targets that those kept at work who were open or had to wait all through the last half minute. `due`:
    what the usual day asks for until a target that is started now has been ready for a while.
    """

    count: int
    ready: int
    asked: float
    asked_now: float
    swing: float
    growth: float
    waiting: float
    idle_for: float
    start_seconds: float
    before: Past = field(default_factory=lambda: Past())
    busy: float = 0.0
    lately: float = 0.0
    highest: float = float("inf")
    due: float = 0.0

    def after(self, past: Past) -> Load:
        return replace(self, before=past)


@dataclass(frozen=True, slots=True)
class Past:
    """What decisions remember: needs of the last `hold_seconds` by time, until when it panics, when it last changed.

    `since` is when the first one was made: who knows nothing of the last `hold_seconds` lets nothing go.
    """

    since: float | None = None

    needs: tuple[tuple[float, int], ...] = ()
    panics_until: float = 0.0
    stepped_out: tuple[float, int] = (0.0, 0)
    stepped_in: float = 0.0


@dataclass(frozen=True, slots=True)
class Decision:
    """So many should run; `need` is what the load asks for, before limits and stabilisation."""

    count: int
    reason: str
    need: int
    is_panic: bool
    past: Past


def decide(now: float, load: Load, policy: Policy) -> Decision:
    """What should run from now on. To be asked each few seconds; `Decision.past` is the next `Load.before`."""
    need, why = _need(load, policy)
    past = _remembered(now, load.before, need, policy)
    is_panic = load.ready > 0 and load.asked_now > policy.panic * load.ready and need > load.count
    if is_panic:
        past = replace(past, panics_until=now + policy.hold_seconds)
    if need > load.count:
        return _out(now, load, policy, need, why, is_panic, past)
    return _in(now, load, policy, need, why, past)


def _need(load: Load, policy: Policy) -> tuple[int, str]:
    floor = max(policy.min, policy.warm)
    is_idle = load.idle_for > policy.idle_seconds and load.due < LEAST_DUE
    if floor == 0 and is_idle and not load.waiting:
        return 0, f"nothing was asked for {load.idle_for:.0f} s"
    coming = max(min(load.asked * load.growth * load.swing, load.highest), load.lately)
    usual = max(coming, load.busy, load.due) / policy.utilisation
    backlog = load.waiting / load.start_seconds
    need = ceil(usual + backlog - 1e-6)
    why = (
        f"{load.asked:.2f} targets' work is asked, {load.growth:.2f} times that is due, it swings up to "
        f"{load.swing:.2f} times, at {policy.utilisation:.0%}"
    )
    if load.due > max(coming, load.busy):
        why = f"{load.due:.2f} targets' work is usual by then, at {policy.utilisation:.0%}"
    elif load.busy > coming:
        why = f"{load.busy:.2f} targets' slots are taken or waited for, at {policy.utilisation:.0%}"
    if backlog >= 0.5:
        why += f", and {load.waiting:.0f} s of work wait"
    at_work = 0 if is_idle else 1
    least = max(floor, at_work)
    if need <= least:
        return least, f"{least} are the least"
    if need > policy.max:
        return policy.max, f"{policy.max} are the most; {need} would be needed: {why}"
    return need, why


def _out(now: float, load: Load, policy: Policy, need: int, why: str, is_panic: bool, past: Past) -> Decision:
    at, added = past.stepped_out
    if now - at >= 60.0:
        at, added = now, 0
    room = max(policy.least_step, load.count - added) - added
    step = need - load.count if is_panic or load.count == 0 else min(need - load.count, max(0, room))
    past = replace(past, stepped_out=(at, added + step))
    count = load.count + step
    if is_panic:
        why = f"burst: {load.asked_now:.1f} targets' work comes at {load.ready} ready; {why}"
    elif count < need:
        why = f"{need} are needed, in steps: {why}"
    return Decision(count, why, need, is_panic, past)


def _in(now: float, load: Load, policy: Policy, need: int, why: str, past: Past) -> Decision:
    is_new = past.since is None or now - past.since < policy.hold_seconds
    held = load.count if is_new else max(most for _, most in past.needs)
    if held >= load.count:
        reason = f"as many as run: {why}" if need == load.count else f"{need} would do; held for {held} of late"
        return Decision(load.count, reason, need, False, past)
    if now < past.panics_until:
        return Decision(load.count, f"{need} would do; held after a burst", need, False, past)
    if now - past.stepped_in < 60.0:
        return Decision(load.count, f"{need} would do; one step a minute", need, False, past)
    step = min(load.count - held, max(1, int(load.count * policy.step_in)))
    return Decision(load.count - step, why, need, False, replace(past, stepped_in=now))


def _remembered(now: float, past: Past, need: int, policy: Policy) -> Past:
    """Only needs that no later one exceeds count, so few are kept."""
    kept: Sequence[tuple[float, int]] = [each for each in past.needs if each[0] > now - policy.hold_seconds]
    since = now if past.since is None else past.since
    return replace(past, since=since, needs=(*(each for each in kept if each[1] > need), (now, need)))
