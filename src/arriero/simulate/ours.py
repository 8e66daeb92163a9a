"""`scale.autoscale` in a play: it is told what a gateway can know, and no more."""

from __future__ import annotations

from arriero.scale.autoscale import Load, Past, Policy, decide
from arriero.scale.demand import Answers, Demand
from arriero.simulate.machine import Pace
from arriero.simulate.policies import Scaling, Sight

# 1970-01-05, so that a play begins on a Monday.
MONDAY = 4 * 86400.0
# The swing is looked up in hours of history, and changes slowly.
SWING_SECONDS = 60.0
NOW_SECONDS = 20.0


class Ours(Scaling):
    seconds = 10.0

    def __init__(self, policy: Policy, pace: Pace, start_seconds: float) -> None:
        self.start, self._policy, self._pace = max(policy.min, policy.warm), policy, pace
        self._demand, self._answers = Demand(), Answers()
        self._start_seconds = start_seconds
        self._past, self._came_last = Past(), 0.0
        self._swing, self._swing_at, self._work = 1.0, float("-inf"), 0.0
        self._highest = float("inf")

    def came(self, now: float, prompt: int) -> None:
        work = self._pace.work(prompt, self._answers.expected(""))
        self._demand.asked(now + MONDAY, work)
        self._work += 0.02 * (work - self._work)
        self._came_last = now

    def ended(self, tokens: int) -> None:
        self._answers.ended("", tokens)

    def wanted(self, sight: Sight) -> int:
        demand, policy, when = self._demand, self._policy, sight.now + MONDAY
        if sight.now - self._swing_at >= SWING_SECONDS:
            self._swing = demand.swing(when, policy.window_seconds, policy.share, policy.level_seconds)
            self._swing_at = sight.now
            ahead = self._start_seconds + policy.hold_seconds
            self._highest = demand.ceiling(when, policy.window_seconds, ahead)
        load = Load(
            count=sight.count,
            ready=sight.ready,
            asked=demand.level(when, policy.level_seconds),
            asked_now=demand.level(when, NOW_SECONDS),
            lately=demand.level(when, policy.lately_seconds),
            swing=self._swing,
            growth=demand.growth(when, policy.level_seconds, self._start_seconds + policy.hold_seconds),
            waiting=sight.waiting * self._work,
            idle_for=sight.now - self._came_last,
            start_seconds=self._start_seconds,
            before=self._past,
            highest=self._highest,
        )
        decision = decide(sight.now, load, policy)
        self._past = decision.past
        return decision.count
