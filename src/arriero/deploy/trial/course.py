"""What to do with a release on trial next: hold, take a step, ask the golden prompts, go back, or be done. Pure.

Handed the time and what both releases did so far, as often as one likes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from arriero.control.trials import Tally
from arriero.deploy.trial.judge import Verdict, judge

# How many times the hold is waited for enough requests; then the golden prompts decide.
PATIENCE = 3.0


@dataclass(frozen=True, slots=True)
class Next:
    """`hold`: nothing yet. `step`: give it `percent`. `ask`: the golden prompts decide whether to go on. The others end
    it. `reason` says why, in words and figures.
    """

    act: Literal["hold", "step", "ask", "back", "done"]
    percent: float = 0.0
    reason: str = ""


class Course:
    """One trial's way through its steps. Each look judges the step by itself, for a fault may show under load only, and
    the whole trial, for a small share brings few requests. At 100 % nothing serves beside it: what was before counts.
    """

    def __init__(self, percents: tuple[float, ...], hold_seconds: float) -> None:
        self._percents, self._hold = percents, hold_seconds
        self._place = -1
        self._since = 0.0
        self._before = self._old_before = Tally()

    def begin(self, now: float) -> Next:
        """The first step."""
        return self._step(now, Tally(), Tally(), "its targets are ready and answer the golden prompts")

    def look(self, now: float, new: Tally, old: Tally) -> Next:
        """`new` and `old` since the trial began."""
        is_at_once = self._percents[self._place] < 100
        whole = judge(new, old, is_at_once)
        lately = judge(new - self._before, old - self._old_before if is_at_once else old, is_at_once)
        bad = next((verdict for verdict in (lately, whole) if verdict.is_bad), None)
        if bad is not None:
            return Next("back", reason=bad.reason)
        passed = now - self._since
        if passed < self._hold:
            return Next("hold")
        good = next((verdict for verdict in (lately, whole) if verdict.is_good), None)
        if good is not None:
            return self._step(now, new, old, good.reason)
        if passed < PATIENCE * self._hold:
            return Next("hold")
        return Next("ask", reason=_too_few(whole))

    def answered(self, now: float, new: Tally, old: Tally) -> Next:
        """The golden prompts were right: on it goes."""
        return self._step(
            now, new, old, "too few requests to judge by; the golden prompts were answered as they should be"
        )

    def _step(self, now: float, new: Tally, old: Tally, reason: str) -> Next:
        self._place, self._since, self._before, self._old_before = self._place + 1, now, new, old
        if self._place == len(self._percents):
            return Next("done", reason=reason)
        return Next("step", self._percents[self._place], reason)


def _too_few(verdict: Verdict) -> str:
    return f"too few requests to judge by: {verdict.reason}"
