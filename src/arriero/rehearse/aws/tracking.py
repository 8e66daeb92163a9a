"""What Application Auto Scaling decides once a minute for one service, by target tracking. Pure.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-autoscaling-targettracking.html: more at once where
any policy wants more, in proportion to the metric and rounded up; fewer only where all want fewer, and slowly; nothing
by what is not known; no fewer while a deployment goes on. Alarms: three minutes above the goal, fifteen below nine
tenths of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil

from arriero.rehearse.aws.autoscaling_api import HIGH_MINUTES, LOW_MINUTES, LOW_SHARE

# What is this much over a whole number is a rounding fault of the machine.
_DUST = 1e-6


@dataclass(frozen=True, slots=True)
class Goal:
    """One policy; cooldowns in minutes."""

    target: float
    cooldown_out: float
    cooldown_in: float
    scales_in: bool = True


@dataclass(frozen=True, slots=True)
class Standing:
    """The service in this minute: `count` is what it was told to run, `running` what the metrics are means of."""

    count: int
    running: int
    least: int
    most: int
    is_deploying: bool = False
    may_go_out: bool = True
    may_go_in: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """The count to have, and why; the count that is there where nothing is to be done."""

    count: int
    why: str = ""


@dataclass
class Tracker:
    """The minutes behind, by policy. `minute` is to be asked once a minute."""

    _points: dict[str, deque[float | None]] = field(default_factory=dict)
    _out_at: float = float("-inf")
    _in_at: float = float("-inf")

    def minute(
        self, now: float, goals: Mapping[str, Goal], values: Mapping[str, float | None], standing: Standing
    ) -> Step:
        """`now` counts minutes. A value that is None, or not there, is not known."""
        self._points = {name: self._points.get(name, deque(maxlen=LOW_MINUTES)) for name in goals}
        for name in goals:
            self._points[name].append(values.get(name))
        return self._out(now, goals, standing) or self._in(now, goals, standing) or Step(standing.count)

    def states(self, goals: Mapping[str, Goal]) -> Mapping[str, tuple[str, str]]:
        """By policy, the states of its high and its low alarm in CloudWatch's words."""
        return {name: (self._state(name, HIGH_MINUTES, goal, True), self._state(name, LOW_MINUTES, goal, False))
                for name, goal in goals.items()}  # fmt: skip

    def _state(self, name: str, minutes: int, goal: Goal, is_high: bool) -> str:
        points = [point for point in list(self._points.get(name, ()))[-minutes:] if point is not None]
        if not points:
            return "INSUFFICIENT_DATA"
        return "ALARM" if (self._is_high(name, goal) if is_high else self._is_low(name, goal)) else "OK"

    def _out(self, now: float, goals: Mapping[str, Goal], standing: Standing) -> Step | None:
        high = {name: goal for name, goal in goals.items() if self._is_high(name, goal)}
        if not high or not standing.may_go_out:
            return None
        is_cooling = now - self._out_at < max(goal.cooldown_out for goal in high.values())
        # What was started last is on its way: the metric is of those that ran before.
        base = min(standing.running, standing.count) if is_cooling else standing.count
        wanted, name = max((self._wanted(name, goal, base), name) for name, goal in high.items())
        count = min(standing.most, wanted)
        if count <= standing.count:
            return None
        self._out_at, self._in_at = now, float("-inf")
        return Step(count, f"{name} at {self._points[name][-1]:g} is over {goals[name].target:g}")

    def _in(self, now: float, goals: Mapping[str, Goal], standing: Standing) -> Step | None:
        judging = {name: goal for name, goal in goals.items() if goal.scales_in}
        if not judging or not standing.may_go_in or standing.is_deploying:
            return None
        if not all(self._is_low(name, goal) for name, goal in judging.items()):
            return None
        if now - self._in_at < max(goal.cooldown_in for goal in judging.values()):
            return None
        wanted, name = max((self._wanted(name, goal, standing.count), name) for name, goal in judging.items())
        count = max(standing.least, wanted)
        if count >= standing.count:
            return None
        self._in_at = now
        return Step(count, f"{name} at {self._points[name][-1]:g} is under {LOW_SHARE:.0%} of {goals[name].target:g}")

    def _wanted(self, name: str, goal: Goal, base: int) -> int:
        value = self._points[name][-1] or 0.0
        return ceil(base * value / goal.target - _DUST)

    def _is_high(self, name: str, goal: Goal) -> bool:
        points = list(self._points[name])[-HIGH_MINUTES:]
        return len(points) == HIGH_MINUTES and all(p is not None and p > goal.target for p in points)

    def _is_low(self, name: str, goal: Goal) -> bool:
        points = list(self._points[name])
        low = LOW_SHARE * goal.target
        return len(points) == LOW_MINUTES and all(p is not None and p < low for p in points)
