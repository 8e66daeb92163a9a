"""What EFS gives and costs by its throughput mode."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arriero.catalog import catalog
from arriero.cost import file_system
from arriero.cost.estimate import estimate
from arriero.spec.model import ResolvedSite, Spec

MIB = 2**20


def site(throughput: str, source: str = "storage", cloud: str = "aws", region: str = "us-east-1") -> ResolvedSite:
    whole = {
        "name": "llm",
        "image": "acme/llm:1",
        "models": [{"name": "llama2:70b", "from": source}],
        "sites": {"east": {"cloud": cloud, "region": region}},
        "storage": {"throughput": throughput},
    }
    return Spec.model_validate(whole).site("east")


@pytest.mark.parametrize(
    ("throughput", "expected"),
    [
        ("elastic", 375809638),  # as seen
        ("bursting", 300 * MIB),  # a read counts for a third of 100 MiB/s
        ("40MiB/s", 120 * MIB),
        ("1000MiB/s", 375809638),  # no more than one target was seen to read
    ],
)
def test_one_target_reads_as_its_mode_lets_it(throughput: str, expected: float) -> None:
    assert file_system.bytes_a_second(site(throughput)) == expected


def test_what_is_provisioned_is_paid_whether_anybody_reads_or_not() -> None:
    plain, paid = estimate(site("bursting"), 1), estimate(site("100MiB/s"), 1)
    [line] = [each for each in paid.lines if each.item == "EFS throughput"]
    assert line.quantity == 100
    # $6 for each MiB/s and month
    assert (paid.monthly - plain.monthly).rounded == Decimal("600.00")
    price = catalog.price("aws", "us-east-1", "files.provisioned")
    assert price
    assert price.source.page.startswith("https://")


def test_elsewhere_its_price_is_unknown_and_said_to_be() -> None:
    assert "EFS throughput" in [each.item for each in estimate(site("100MiB/s", region="eu-west-1"), 0).unknown]


@pytest.mark.parametrize(("throughput", "expected"), [("elastic", True), ("bursting", False), ("100MiB/s", False)])
def test_reads_are_paid_by_use_where_they_are(throughput: str, expected: bool) -> None:
    uses = {each.item for each in estimate(site(throughput), 1).by_use}
    assert ("reads of stored models" in uses) is expected


def test_a_site_without_models_in_storage_pays_for_none() -> None:
    baked, elsewhere = site("100MiB/s", "baked"), site("100MiB/s", cloud="azure", region="eastus")
    for each in (baked, elsewhere):
        assert file_system.provisioned(each) is None
        assert "EFS throughput" not in [line.item for line in estimate(each, 1).lines]
