"""Which sites are off now, by the spec's hours and by what somebody ordered for a while; how many wake again. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import MAXYEAR, datetime

from arriero.spec.model import ResolvedSite
from arriero.spec.schedule import Override, Standing, standing


@dataclass(frozen=True, slots=True)
class Orders:
    """By site: the newest order, and how many targets ran when it was put to sleep last."""

    overrides: Mapping[str, Override] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)


def standing_of(site: ResolvedSite, orders: Orders, now: datetime | None) -> Standing | None:
    """None where the spec has no off hours for the site: then it never sleeps. So it is without a clock."""
    if site.off is None or now is None:
        return None
    ordered = orders.overrides.get(site.name)
    return standing(now, site.off, [ordered] if ordered else [])


def sleeps(site: ResolvedSite, orders: Orders, now: datetime | None) -> bool:
    found = standing_of(site, orders, now)
    return found is not None and found.is_off


def is_ordered(site: ResolvedSite, orders: Orders, now: datetime | None) -> bool:
    """Whether somebody's order holds there now, whatever the off hours say."""
    ordered = orders.overrides.get(site.name)
    return site.off is not None and now is not None and ordered is not None and now < ordered.until


def sentence(found: Standing, site: ResolvedSite) -> str:
    """`asleep until 2026-11-30 06:00 (off by schedule: …)`, by the clock of the schedule's place."""
    word = "asleep" if found.is_off else "awake"
    if found.until is None or found.until.year == MAXYEAR or site.off is None:
        return f"{word} ({found.reason})"
    return f"{word} until {found.until.astimezone(site.off.zone):%Y-%m-%d %H:%M %Z} ({found.reason})"
