"""What the clouds sell: whole, sourced, and quick to ask."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arriero.catalog import catalog
from arriero.catalog.prices import EVERYWHERE

DATA = resources.files("arriero.catalog").joinpath("data")


def test_fargate_has_its_seventy_four_pairs() -> None:
    pairs = {(pair.cpu, pair.memory_gib) for pair in catalog.fargate_pairs()}
    assert len(pairs) == len(catalog.fargate_pairs()) == 3 + 4 + 7 + 13 + 23 + 12 + 12
    assert {(0.25, 0.5), (4, 30), (8, 60), (16, 120)} <= pairs
    assert not {(0.25, 4), (8, 18), (16, 124)} & pairs


@pytest.mark.parametrize(
    ("cpu", "memory_gib", "nearest"),
    [
        (4, 16, ["4 vCPU with 16GiB"]),
        (1, 16, ["1 vCPU with 8GiB", "2 vCPU with 16GiB"]),
        (3, 8, ["2 vCPU with 8GiB", "4 vCPU with 8GiB"]),
        (8, 18, ["4 vCPU with 18GiB", "8 vCPU with 20GiB"]),
        (64, 512, ["8 vCPU with 60GiB", "16 vCPU with 120GiB"]),
    ],
)
def test_the_nearest_pairs_are_what_one_would_pick(cpu: float, memory_gib: float, nearest: list[str]) -> None:
    assert [str(pair) for pair in catalog.nearest_fargate(cpu, memory_gib)] == nearest


@given(st.floats(0.01, 1000), st.floats(0.01, 1000))
def test_the_nearest_pairs_are_always_valid_ones(cpu: float, memory_gib: float) -> None:
    assert set(catalog.nearest_fargate(cpu, memory_gib)) <= set(catalog.fargate_pairs())


def test_limits_are_those_of_the_sources() -> None:
    aci, fargate = catalog.aci_limits(), catalog.fargate_limits()
    assert (aci.cpu, aci.memory_gib, aci.storage_gib, aci.image_gib, aci.containers) == (31, 240, 50, 15, 60)
    assert (fargate.storage_included_gib, fargate.storage_min_gib, fargate.storage_max_gib) == (20, 21, 200)
    assert {quota.name: quota.limit for quota in catalog.quotas("azure")}["container_groups"] == 100


def test_a_region_is_of_one_cloud_only() -> None:
    assert not set(catalog.regions("aws")) & set(catalog.regions("azure"))
    assert catalog.region("aws", "eastus") is None
    assert catalog.region("local", "us-east-1") is None
    assert catalog.regions("local") == ()


def test_azure_pairs_are_regions_or_restricted_ones() -> None:
    regions = [catalog.region("azure", name) for name in catalog.regions("azure")]
    pairs = {region.pair for region in regions if region and region.pair}
    assert pairs - set(catalog.regions("azure")) <= {"swedensouth"}
    assert all(pair == pair.lower() for pair in pairs)


@pytest.mark.parametrize(
    ("name", "date", "successor"),
    [
        ("p3.2xlarge", "2025-12-20", "g6 (L4, 24 GB)"),
        ("standard_nc6", "2023-09", "Standard_NC4as_T4_v3 (T4, 16 GB)"),
        ("Standard_NC6s_v3", "2025-09-30", "Standard_NC24ads_A100_v4 (A100, 80 GB)"),
        ("K80", "2025-07-14", "Container Apps with a T4 or an A100"),
    ],
)
def test_what_is_gone_has_its_date_and_successor(name: str, date: str, successor: str) -> None:
    gone = catalog.retired(name)
    assert gone is not None
    assert (gone.date, successor in gone.successors) == (date, True)


def test_what_is_sold_is_not_known_as_gone() -> None:
    offers = [*catalog.gpus("aws"), *catalog.gpus("azure")]
    assert len(offers) > 6
    assert not [gpu.name for gpu in offers if catalog.retired(gpu.name)]


def test_every_file_names_its_sources_and_the_day_they_were_read() -> None:
    for file in DATA.iterdir():
        data = json.loads(file.read_text("utf-8"))
        sources = data["sources"].values() if "sources" in data else [data["source"]]
        assert all(source["page"].startswith(("https://", "http://")) and source["read"] for source in sources), (
            file.name
        )


def test_every_price_has_a_source_and_is_above_zero() -> None:
    prices = json.loads(DATA.joinpath("prices.json").read_text("utf-8"))["prices"]
    for cloud, regions in prices.items():
        for region, items in regions.items():
            assert region == EVERYWHERE or catalog.region(cloud, region), region
            found = [catalog.price(cloud, region, item) for item in items]
            assert all(price and price.amount > 0 and price.source.page for price in found)


def test_a_price_without_a_source_is_unknown() -> None:
    assert catalog.price("azure", "westeurope", "aci.vcpu") is None
    assert catalog.price("aws", "nowhere", "fargate.vcpu") is None


def test_importing_the_catalog_reads_no_file() -> None:
    code = (
        "import sys\n"
        "opened = []\n"
        "sys.addaudithook(lambda name, args: opened.append(str(args[0])) if name == 'open' else None)\n"
        "import arriero.catalog.catalog\n"
        "sys.exit(any(path.endswith('.json') for path in opened))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
