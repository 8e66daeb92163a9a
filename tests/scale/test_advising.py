"""What is advised for a site: in its cloud's sizes, with money where prices are known, and only what would change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from rightsizing import made

from arriero.catalog import catalog
from arriero.catalog.prices import BUILT_IN
from arriero.scale.advising import SiteAdvice, advise, has_size_since, sizes
from arriero.scale.rightsize import Shape, Used
from arriero.spec.model import ResolvedSite, Spec

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def spec(**site: Any) -> Spec:
    own = {"cloud": "aws", "region": "us-east-1", **site}
    others = {"other": {"cloud": "aws", "region": "us-east-1"}}
    whole = {"name": "llm", "image": "acme/llm:1", "models": ["llama2"], "sites": {"one": own, **others}}
    return Spec.model_validate(whole)


def one(**site: Any) -> ResolvedSite:
    return spec(**site).site("one")


def advised(site: ResolvedSite, cpu: Any, memory: Any, days: int = 14, **more: Any) -> SiteAdvice:
    used = Used(made(*cpu, seed=1)[: days * 24], made(*memory, seed=2)[: days * 24], days, more.pop("count", 2), **more)
    return advise(site, used, BUILT_IN)


STEADY, HALF = ("steady", 14, 5, 15), ("steady", 14, 50, 55)


def test_a_steady_site_on_fargate_gets_half_the_processors() -> None:
    found = advised(one(), STEADY, HALF)
    assert (found.advice.shape, found.changes) == (Shape.STEADY, {"size.cpu": "2 vCPU", "size.memory": "11GiB"})
    # 2 x (4 x 0.04048 + 16 x 0.004445 - 2 x 0.04048 - 11 x 0.004445) x 730
    assert found.saving is not None
    assert found.saving.amount == pytest.approx(Decimal("150.65"), abs=Decimal("0.01"))
    assert found.as_json()["saving_a_month"] == "150.65"


def test_container_instances_have_sizes_of_their_own() -> None:
    found = advised(one(cloud="azure", region="eastus"), STEADY, HALF)
    assert found.changes == {"size.cpu": "1 vCPU", "size.memory": "11GiB"}


def test_without_a_price_there_is_advice_and_no_saving() -> None:
    found = advised(one(region="sa-east-1"), STEADY, HALF)
    assert (found.changes, found.saving) == ({"size.cpu": "2 vCPU", "size.memory": "11GiB"}, None)
    assert found.as_json()["saving"] is None


def test_an_active_site_that_nobody_asks_keeps_one_target_and_a_standby_none() -> None:
    idle = ("idle", 14, 0, 1)
    assert advised(one(), idle, HALF).changes["scale.min"] == 1
    assert advised(one(role="standby"), idle, HALF, count=1).changes["scale.min"] == 0
    active, standby = advised(one(), idle, HALF).advice.saving, advised(one(role="standby"), idle, HALF).advice.saving
    assert active is not None
    assert standby == 1.0
    assert 0.5 < active < 1.0


def test_requests_that_wait_ask_for_more_targets() -> None:
    bursts = ("spiky", 14, 20, 95)
    assert "scale.max" not in advised(one(), ("steady", 14, 30, 50), HALF).changes
    found = advised(one(scale={"max": 3}), bursts, HALF, wait_seconds=5.0)
    assert found.advice.shape is Shape.SATURATED
    assert found.changes["scale.max"] == 4
    assert "a request waits 5.0 s at the 99th percentile" in found.advice.evidence


def test_too_few_days_change_nothing() -> None:
    found = advised(one(), STEADY, HALF, days=5)
    assert (found.advice.shape, found.changes, found.saving) == (Shape.UNKNOWN, {}, None)
    assert found.advice.evidence == ("5.0 days and 120 samples are known; 7 and 100 are needed",)


def test_only_sizes_that_the_cloud_has_are_offered() -> None:
    assert len(sizes("aws")) == len(catalog.fargate_pairs())
    limits = catalog.aci_limits()
    assert max(size.cpu for size in sizes("azure")) <= limits.cpu
    assert max(size.memory_gib for size in sizes("azure")) <= limits.memory_gib


def test_figures_of_another_size_don_t_count() -> None:
    small, big = spec(size={"memory": "8GiB"}), spec()
    days = [NOON + timedelta(days=number) for number in range(4)]
    history = list(zip([big, small, big, big], days, strict=True))
    assert has_size_since("one", big, history, NOON - timedelta(days=9)) == days[2]
    assert has_size_since("one", big, history, days[3]) == days[3]
    assert has_size_since("other", big, history, NOON - timedelta(days=9)) == NOON - timedelta(days=9)
    assert has_size_since("one", small, history, NOON) == NOON
