"""What went wrong, from when until when, as gateways' logs tell it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import floor
from typing import Any, Literal

from arriero.pipeline.prometheus.objectives import ERROR_BUDGET

WINDOW_SECONDS = 300
# As in the alert that pages: at this pace a month's budget is gone in two days. A single bad one is no incident.
PACE, LEAST_BAD = 14.4, 5

Kind = Literal["errors", "site down", "process lost"]


@dataclass(frozen=True, slots=True)
class Incident:
    """Moments in seconds since 1970; `end` is None where it goes on."""

    kind: Kind
    start: float
    end: float | None
    what: str


@dataclass
class Incidents:
    """Lines go in, in the order of their times for each gateway; incidents come out at the end.

    Which site a target belongs to is known from the requests that it answered; one that answered none is known by name.
    """

    _windows: dict[int, list[int]] = field(default_factory=dict)
    _turns: list[tuple[float, str, str]] = field(default_factory=list)
    _sites: dict[str, str] = field(default_factory=dict)
    _lost: list[Incident] = field(default_factory=list)

    def request(self, at: float, data: Mapping[str, Any]) -> None:
        outcome, target = data.get("outcome"), str(data.get("target") or "")
        if target:
            self._sites[target] = str(data.get("site") or target)
        if outcome in ("failed", "cut") or (outcome == "answered" and target):
            window = self._windows.setdefault(floor(at / WINDOW_SECONDS), [0, 0])
            window[0] += 1
            window[1] += outcome != "answered"

    def target(self, at: float, data: Mapping[str, Any]) -> None:
        """A change of a target's state."""
        self._turns.append((at, str(data.get("target")), str(data.get("now"))))

    def lost(self, at: float, data: Mapping[str, Any]) -> None:
        """A process of the gateway died with requests open in it."""
        number = data.get("requests")
        self._lost.append(Incident("process lost", at, at, f"a gateway's process died with {number} requests open"))

    def found(self) -> list[Incident]:
        """By their beginnings."""
        return sorted((*self._errors(), *self._down(), *self._lost), key=lambda incident: incident.start)

    def _errors(self) -> Iterator[Incident]:
        """Neighbouring bad windows are one."""
        run: list[int] = []
        for number in (*sorted(filter(self._is_bad, self._windows)), None):
            if run and number != run[-1] + 1:
                every, bad = (sum(self._windows[one][place] for one in run) for place in (0, 1))
                start, end = run[0] * WINDOW_SECONDS, (run[-1] + 1) * WINDOW_SECONDS
                yield Incident("errors", start, end, f"{bad} of {every} requests failed or were cut")
                run = []
            if number is not None:
                run.append(number)

    def _is_bad(self, number: int) -> bool:
        every, bad = self._windows[number]
        return bad >= LEAST_BAD and bad > PACE * ERROR_BUDGET * every

    def _down(self) -> Iterator[Incident]:
        states: dict[str, dict[str, str]] = {}
        since: dict[str, float] = {}
        for at, target, state in sorted(self._turns):
            site = self._sites.get(target, target)
            here = states.setdefault(site, {})
            here[target] = state
            is_down = "down" in here.values() and not {"up", "suspect"} & set(here.values())
            if is_down:
                since.setdefault(site, at)
            elif site in since:
                yield Incident("site down", since.pop(site), at, f"no target of {site} answered")
        for site, start in since.items():
            yield Incident("site down", start, None, f"no target of {site} answers")
