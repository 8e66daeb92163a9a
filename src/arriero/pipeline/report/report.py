"""A report as one value, and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from arriero.cost.money import Money
from arriero.pipeline.prometheus.objectives import ERROR_BUDGET, FIRST_TOKEN_SECONDS, SLOW_BUDGET
from arriero.pipeline.report.incidents import Incident, Incidents
from arriero.pipeline.report.reading import Event
from arriero.pipeline.report.totals import Count, Totals
from arriero.releases.record import Release


@dataclass(frozen=True, slots=True)
class Cost:
    """What the clouds' bills say, by site; None where one does not, and `problems` say why."""

    spent: Mapping[str, Money | None]
    problems: tuple[str, ...] = ()

    @property
    def whole(self) -> Money | None:
        """Of all sites; None where any is unknown."""
        known = [money for money in self.spent.values() if money is not None]
        return sum(known, Money()) if known and len(known) == len(self.spent) else None


@dataclass(frozen=True, slots=True)
class Report:
    service: str
    start: datetime
    end: datetime
    totals: Totals
    incidents: tuple[Incident, ...]
    releases: tuple[Release, ...]
    cost: Cost

    @property
    def a_million_tokens(self) -> Money | None:
        """Generated ones, at what was spent."""
        tokens, whole = self.totals.whole.tokens_out, self.cost.whole
        if not tokens or whole is None:
            return None
        return Money(whole.amount * 1_000_000 / tokens)

    def as_json(self) -> dict[str, Any]:
        totals = self.totals
        return {
            "schema": 1,
            "service": self.service,
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "objectives": {
                "errors": ERROR_BUDGET, "late_first_tokens": SLOW_BUDGET, "first_token_seconds": FIRST_TOKEN_SECONDS,
            },
            "whole": _count(totals.whole),
            **{
                name: {key: _count(count) for key, count in sorted(counts.items())}
                for name, counts in (("sites", totals.sites), ("models", totals.models), ("keys", totals.keys))
            },
            "rows": [
                {"at": moment(totals.start + number * totals.row_seconds), **_count(count)}
                for number, count in sorted(totals.rows.items())
            ],
            "incidents": [
                {"kind": one.kind, "start": moment(one.start), "end": moment(one.end), "what": one.what}
                for one in self.incidents
            ],
            "releases": [
                {"release": r.number, "at": r.at.isoformat(), "who": r.who, "image": r.image, "state": r.state}
                for r in self.releases
            ],
            "spent": {site: None if money is None else f"{money.amount:f}" for site, money in self.cost.spent.items()},
            "problems": list(self.cost.problems),
        }  # fmt: skip


def made(
    service: str, start: datetime, end: datetime, events: Iterable[Event], releases: Sequence[Release], cost: Cost
) -> Report:
    totals, incidents = Totals(start.timestamp(), end.timestamp()), Incidents()
    for event in events:
        if event.kind == "request":
            totals.add(event.at, event.data)
            incidents.request(event.at, event.data)
        elif event.kind == "target":
            incidents.target(event.at, event.data)
        elif event.kind == "worker.lost":
            incidents.lost(event.at, event.data)
    within = tuple(release for release in releases if start <= release.at <= end)
    return Report(service, start, end, totals, tuple(incidents.found()), within, cost)


def moment(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _count(count: Count) -> dict[str, Any]:
    return {
        "answered": count.answered, "bad": count.bad, "refused": count.refused, "gone": count.gone,
        "availability": count.availability, "error_budget_left": count.error_budget_left,
        "in_time": count.in_time, "slow_budget_left": count.slow_budget_left,
        "first_token": {f"p{part}": count.first_tokens.quantile(part / 100) for part in (50, 95, 99)},
        "tokens_in": count.tokens_in, "tokens_out": count.tokens_out,
        "retried": count.retried, "migrated": count.migrated,
    }  # fmt: skip
