"""What a plan says of an image's copies in other regions, and at which price."""

from __future__ import annotations

from decimal import Decimal

from arriero.catalog.catalog import Price, Source
from arriero.catalog.prices import BUILT_IN, Prices
from arriero.cli import copy_lines
from arriero.spec.model import Spec

OURS = Source("a bill", "2026-11-29", "2026-11-01")
NAME = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/llm:1"


def spec(*regions: str, replicate: bool = True) -> Spec:
    sites = {f"site-{number}": {"cloud": "aws", "region": region} for number, region in enumerate(regions)}
    image = {"name": NAME, "replicate": replicate}
    return Spec.model_validate({"name": "llm", "image": image, "models": ["tiny"], "sites": sites})


def test_a_line_a_copy_with_what_is_known_of_its_price() -> None:
    assert copy_lines.plan_lines(spec("eu-west-1", "us-west-2", "us-east-1"), BUILT_IN) == [
        "images: a copy in aws us-east-1, each GB at $0.10 a month, and at an unknown price to bring it there",
        "images: a copy in aws us-west-2, each GB at an unknown price, and at an unknown price to bring it there",
    ]


def test_the_users_own_prices_count() -> None:
    prices = Prices({("aws", "eu-west-1", "registry.copied"): Price(Decimal("0.02"), "GB", OURS)})
    assert list(copy_lines.priced(spec("us-east-1"), prices)) == [
        {"cloud": "aws", "region": "us-east-1", "stored": "0.10", "sent": "0.02"}
    ]


def test_where_nothing_is_copied_nothing_is_said() -> None:
    assert copy_lines.plan_lines(spec("us-east-1", replicate=False), BUILT_IN) == []
    assert copy_lines.plan_lines(spec("eu-west-1"), BUILT_IN) == []
