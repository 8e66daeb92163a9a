"""Each case of `cases/price_lists` is a list in a cloud's form, and the rows that are ours; and the user's own file."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from arriero.catalog import aws_offer, azure_retail, listing, prices
from arriero.catalog.catalog import Price, Source
from arriero.catalog.listing import Listing
from arriero.catalog.prices import BUILT_IN, Prices

CASES = sorted((Path(__file__).parents[1] / "cases" / "price_lists").glob("*.json"))
SOURCE = Source("https://example.com/offer.json", "2026-11-29", "2026-09-30")
GOOD: dict[str, Any] = {
    "currency": "USD",
    "sources": {"one": {"page": "list.json", "read": "2026-11-29"}},
    "prices": {"aws": {"us-east-1": {"fargate.vcpu": ["0.05", "vCPU-hour", "one"]}}},
}


def read(document: Any) -> Listing:
    readers = {"aws": aws_offer.read, "azure": azure_retail.read}
    return readers[listing.form(document)](document, "list.json", "2026-11-29")


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_list_gives_the_rows_of_its_case(path: Path) -> None:
    case = json.loads(path.read_text(), parse_float=Decimal)
    found = read(case["list"])
    assert {" ".join(key): f"{price.amount:f}" for key, price in found.rows.items()} == case["rows"]
    assert list(found.left_out) == case["left_out"]


def test_every_row_says_where_and_when_it_was_read_and_since_when_it_holds() -> None:
    cases = [json.loads(path.read_text(), parse_float=Decimal)["list"] for path in CASES]
    sources = [price.source for case in cases for price in read(case).rows.values()]
    assert len(sources) >= 20
    assert {(source.page, source.read) for source in sources} == {("list.json", "2026-11-29")}
    assert all(len(source.as_of) == len("2026-09-30") and source.note for source in sources)


def test_other_json_is_no_price_list() -> None:
    assert [listing.form(each) for each in ([], {}, {"products": []}, {"Items": {}}, "x", None)] == [""] * 6


def test_an_offer_without_its_day_is_refused() -> None:
    with pytest.raises(ValueError, match="names no offerCode and publicationDate"):
        read({"products": {}, "terms": {}, "offerCode": "AmazonECS"})


def test_the_users_rows_count_more_and_the_rest_stays() -> None:
    own = Prices({("aws", "us-east-1", "fargate.vcpu"): Price(Decimal("0.05"), "vCPU-hour", SOURCE)})
    assert [str(p.amount) for p in (own.find("aws", "us-east-1", "fargate.vcpu"),) if p] == ["0.05"]
    assert own.find("aws", "us-east-1", "fargate.memory") == BUILT_IN.find("aws", "us-east-1", "fargate.memory")
    assert own.find("aws", "sa-east-1", "fargate.vcpu") is None


def test_a_price_of_everywhere_is_not_one_of_other_clouds() -> None:
    own = Prices({("azure", "*", "nat_gateway"): Price(Decimal("0.045"), "hour", SOURCE)})
    assert own.find("azure", "eastus", "nat_gateway")
    assert own.find("azure", "usgovvirginia", "nat_gateway") is None
    assert own.find("azure", "chinaeast2", "nat_gateway") is None


def test_what_is_written_is_read_again() -> None:
    rows = {
        ("azure", "*", "nat_gateway"): Price(Decimal("10"), "hour", SOURCE),
        ("aws", "us-east-1", "fargate.vcpu"): Price(Decimal("0.0000001"), "vCPU-hour", SOURCE),
    }
    text = json.dumps(prices.document(Prices(rows)))
    assert "E" not in text.replace("USD", "")
    assert prices.parse(json.loads(text)) == Prices(rows)


def changed(**parts: Any) -> dict[str, Any]:
    return {**GOOD, **parts}


def row(value: Any) -> dict[str, Any]:
    return changed(prices={"aws": {"us-east-1": {"fargate.vcpu": value}}})


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "currency: is not USD; prices are kept in US dollars"),
        (changed(currency="EUR"), "currency: is not USD; prices are kept in US dollars"),
        (changed(prices=[]), "prices: is not a section; write it anew: arriero prices update"),
        (changed(prices={"aws": 1}), "prices.aws: is not a section; write it anew: arriero prices update"),
        (changed(sources={"one": {"read": "2026-11-29"}}), "sources.one: names no page; say where the price was read"),
        (changed(sources={"one": {"page": "x"}}), "sources.one.read: is not a day; write it like 2026-11-29"),
        (row(0.05), 'prices.aws.us-east-1.fargate.vcpu: is no price; write it like ["0.04048", "vCPU-hour", "aws-1"]'),
        (row(["0.05", "hour", "two"]), "has no source two; a price without a source is not used: add it to sources"),
        (row(["-1", "hour", "one"]), "fargate.vcpu: costs -1; write an amount like 0.04048"),
        (row(["NaN", "hour", "one"]), "fargate.vcpu: costs NaN; write an amount like 0.04048"),
        (row(["cheap", "hour", "one"]), "fargate.vcpu: costs cheap; write an amount like 0.04048"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(document: Any, message: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the message is asserted whole below
        prices.parse(document)
    assert message in str(refused.value)
