"""A site's off hours in a plan: no targets, no drift, and as many awake again as fell asleep."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from arriero.plan import place
from arriero.plan.model import Facts, Resource, SiteFacts, SitePlan
from arriero.plan.sleep import Orders, sentence, sleeps, standing_of
from arriero.spec.model import Spec
from arriero.spec.schedule import Override, switches

NIGHT, DAY = datetime(2026, 11, 24, 22, 30, tzinfo=UTC), datetime(2026, 11, 24, 12, tzinfo=UTC)
NIGHTLY = "22:00-06:00 Europe/Berlin on weekdays, weekends"


def spec(off: str | None = NIGHTLY, **site: Any) -> Spec:
    own = {"cloud": "aws", "region": "us-east-1", **site}
    whole = {"name": "llm", "image": "acme/llm:1", "models": ["llama2"], "scale": {"min": 2, "max": 5}}
    return Spec.model_validate({**whole, "off": off, "sites": {"a": own}} if off else {**whole, "sites": {"a": own}})


def planned(at: datetime | None, live: int, orders: Orders | None = None, **more: Any) -> SitePlan:
    tags = {"arriero-release": "1", "arriero-definition": "x"}
    found = SiteFacts("a", "aws", "us-east-1", resources=(Resource("aws.service", "llm-a", tags=tags),), count=live)
    facts = Facts("llm", {"a": found}, read_at=at, orders=orders or Orders())
    return place.plan(spec(**more), facts).sites[0]


@pytest.mark.parametrize(
    ("at", "live", "slept", "count"),
    [
        (NIGHT, 4, None, 0),
        (NIGHT, 0, 4, 0),
        (DAY, 4, None, 4),
        (DAY, 0, None, 2),
        (DAY, 0, 4, 4),
        (DAY, 0, 9, 5),
        (DAY, 0, 1, 2),
        (DAY, 3, 4, 3),
        (None, 4, None, 4),
    ],
    ids=[
        "in the night none",
        "in the night none, still",
        "by day as many as live",
        "awake again, and nobody knows how many: the least",
        "as many as fell asleep",
        "no more than the most",
        "no fewer than the least",
        "who is awake keeps what lives",
        "without a clock nobody sleeps",
    ],
)
def test_how_many_are_wanted(at: datetime | None, live: int, slept: int | None, count: int) -> None:
    orders = Orders({}, {"a": slept} if slept else {})
    found = planned(at, live, orders)
    assert (found.count, bool(found.asleep)) == (count, count == 0)


def test_an_order_counts_more_than_the_hours_and_ends() -> None:
    woken = Orders({"a": Override(False, NIGHT + timedelta(hours=2), "woken by me")})
    assert planned(NIGHT, 0, woken).count == 2
    assert planned(NIGHT + timedelta(hours=2), 2, woken).count == 0


def test_without_off_hours_nothing_sleeps() -> None:
    ordered = Orders({"a": Override(True, DAY + timedelta(days=9), "put to sleep")})
    assert planned(DAY, 3, ordered, off=None).count == 3
    assert standing_of(spec(None).site("a"), ordered, DAY) is None


def test_a_sites_own_hours_replace_the_services() -> None:
    assert planned(NIGHT, 3).asleep.startswith("asleep until 2026-11-25 06:00 CET (off by schedule: 22:00-06:00")
    assert planned(NIGHT, 3, off="22:00-06:00 UTC").count == 0
    own = {"cloud": "aws", "region": "us-east-1", "off": "weekends UTC"}
    whole = {"name": "llm", "image": "acme/llm:1", "models": ["llama2"], "off": NIGHTLY, "sites": {"a": own}}
    assert not sleeps(Spec.model_validate(whole).site("a"), Orders(), NIGHT)


def test_the_whole_year_a_plan_switches_at_the_hours_times() -> None:
    hours = spec().site("a").off
    assert hours is not None
    start = datetime(2026, 1, 1, tzinfo=UTC)
    found = list(switches(hours, start, start + timedelta(days=365)))
    assert len(found) > 500
    for at, is_off in found:
        before, after = (planned(moment, 3).count for moment in (at - timedelta(seconds=1), at))
        assert (before, after) == ((3, 0) if is_off else (0, 3))


def test_what_never_ends_is_told_without_an_end() -> None:
    site = spec("weekdays UTC, weekends").site("a")
    found = standing_of(site, Orders(), DAY)
    assert found is not None
    assert sentence(found, site) == "asleep (off by schedule: weekdays UTC, weekends)"
