"""What a browser is told each second, as one JSON-able value: the fleet by site and target, models, plots. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from arriero.control.messages import TargetStatus
from arriero.observe.glance import Glance, Row

HOURS_A_DAY = 24
# A plot has a quarter of an hour, in so many points.
PLOT_SECONDS, POINT_SECONDS = 900, 5
_ANSWERING = ("up", "suspect")

Frame = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """What the spec says of a site; `is_asleep`: its hours have it off now."""

    cloud: str
    region: str
    role: str


@dataclass
class Plots:
    """Each line's last quarter of an hour; None where nothing was measured. The newest point moves while it is new."""

    _began: float = 0.0
    _points: deque[tuple[float | None, ...]] = field(
        default_factory=lambda: deque(maxlen=PLOT_SECONDS // POINT_SECONDS)
    )

    def add(self, whole: Row | None, now: float) -> None:
        """`whole` is None for a moment at which the gateway was silent."""
        point: tuple[float | None, ...] = (None,) * 5
        if whole is not None:
            cost = round(whole.cost_an_hour * HOURS_A_DAY, 2)
            tokens = round(whole.tokens_a_second, 1)
            point = (_short(whole.first_token_p50), _short(whole.first_token_p95), tokens, whole.waiting, cost)
        if self._points and now - self._began < POINT_SECONDS:
            self._points[-1] = point
        else:
            self._began = now
            self._points.append(point)

    def as_json(self) -> list[Frame]:
        first, slow, tokens, waiting, cost = zip(*self._points, strict=True) if self._points else ((),) * 5
        return [
            {"name": "First token", "unit": "s", "lines": {"median": first, "95th of 100": slow}},
            {"name": "Tokens a second", "unit": "", "lines": {"tokens": tokens}},
            {"name": "Waiting", "unit": "", "lines": {"requests": waiting}},
            {"name": "Cost a day", "unit": "$", "lines": {"list price": cost}},
        ]


def frame(found: Glance, places: Mapping[str, Place], at: str) -> Frame:
    """`at` is the time of day that is shown. Sites that the spec has stay, though no target of them is known."""
    rows = {row.name: row for row in found.sites}
    names = dict.fromkeys((*places, *rows))
    sites = [_site(rows.get(name, Row(name)), places.get(name), found.targets) for name in names]
    return {
        "at": at,
        "service": found.service,
        "draining": found.is_draining,
        "whole": _row(found.whole),
        "sites": sites,
        "models": [_row(row) for row in found.models],
    }


def _site(row: Row, place: Place | None, targets: Sequence[TargetStatus]) -> Frame:
    here = [target for target in targets if target.site == row.name]
    where = {"cloud": place.cloud, "region": place.region, "role": place.role} if place else {"cloud": "", "region": ""}
    return {
        **_row(row),
        "role": here[0].role if here else "",
        **where,
        "state": state(row, here),
        "out": bool(here) and all(target.weight == 0 for target in here),
        "tiles": [_tile(target) for target in here],
    }


def state(row: Row, here: Sequence[TargetStatus]) -> str:
    """As people say it: serving, degraded, down, or without targets."""
    if not here:
        return "no targets"
    answering = sum(target.state in _ANSWERING for target in here)
    if answering == row.targets and not any(target.state == "suspect" for target in here):
        return "serving"
    return "degraded" if answering else ("draining" if all(t.state == "draining" for t in here) else "down")


def _tile(target: TargetStatus) -> Frame:
    return {
        "id": target.id,
        "state": target.state,
        "address": target.address,
        "release": target.release,
        "running": target.in_flight,
        "weight": target.weight,
        "resident": target.resident,
        "models": target.models,
        "reason": target.reason,
    }


def _row(row: Row) -> Frame:
    return {
        "name": row.name,
        "up": row.up,
        "targets": row.targets,
        "release": row.release,
        "running": row.running,
        "waiting": row.waiting,
        "tokens": round(row.tokens_a_second, 1),
        "first": _short(row.first_token_p50),
        "slow": _short(row.first_token_p95),
        "cost": round(row.cost_an_hour * HOURS_A_DAY, 2),
    }


def _short(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
