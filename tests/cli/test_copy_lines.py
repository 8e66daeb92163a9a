"""What a plan says of an image's copies in other regions, and at which price."""

from __future__ import annotations

from decimal import Decimal

from arriero.catalog.catalog import Price, Source
from arriero.catalog.prices import BUILT_IN, Prices
from arriero.cli import copy_lines
from arriero.errors import Problem
from arriero.plan.model import Plan, StorePlan
from arriero.spec.model import Spec

OURS = Source("a bill", "2026-11-29", "2026-11-01")
NAME = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/llm:1"
PLAN = Plan("llm", 1, (), registries=(StorePlan("azure", "acme.azurecr.io", "westeurope"),))


def spec(cloud: str, *regions: str, replicate: bool = True) -> Spec:
    sites = {f"site-{number}": {"cloud": cloud, "region": region} for number, region in enumerate(regions)}
    image = {"name": NAME if cloud == "aws" else "acme.azurecr.io/llm:1", "replicate": replicate}
    return Spec.model_validate({"name": "llm", "image": image, "models": ["tiny"], "sites": sites})


def test_a_line_a_copy_with_what_is_known_of_its_price() -> None:
    assert copy_lines.plan_lines(spec("aws", "eu-west-1", "us-west-2", "us-east-1"), PLAN, BUILT_IN) == [
        "images: a copy in aws us-east-1, each GB at $0.10 a month, and at an unknown price to bring it there",
        "images: a copy in aws us-west-2, each GB at an unknown price, and at an unknown price to bring it there",
    ]
    assert copy_lines.plan_lines(spec("azure", "westeurope", "eastus", "westus"), PLAN, BUILT_IN) == [
        "images: a copy in azure eastus, at $1.6667 a day",
        "images: a copy in azure westus, at an unknown price",
    ]


def test_the_users_own_prices_count() -> None:
    prices = Prices({("aws", "eu-west-1", "registry.copied"): Price(Decimal("0.02"), "GB", OURS)})
    assert list(copy_lines.priced(spec("aws", "us-east-1"), PLAN, prices)) == [
        {"cloud": "aws", "region": "us-east-1", "stored": "0.10", "sent": "0.02"}
    ]


def test_where_nothing_is_copied_or_nobody_knows_from_where_nothing_is_said() -> None:
    assert copy_lines.plan_lines(spec("aws", "us-east-1", replicate=False), PLAN, BUILT_IN) == []
    assert copy_lines.plan_lines(spec("aws", "eu-west-1"), PLAN, BUILT_IN) == []
    for unread in ((), (StorePlan("azure", "acme.azurecr.io", "", problem=Problem("nobody answers")),)):
        assert copy_lines.plan_lines(spec("azure", "eastus"), Plan("llm", 1, (), registries=unread), BUILT_IN) == []
