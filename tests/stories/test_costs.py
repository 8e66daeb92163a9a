"""What a service costs, by prices and by the bills of both clouds: they say what really ran on the stage.

The tests of this file go on from one another, in their order, on one stage.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from places import Place, open_spec, wait_for

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {min: 1}
budget: {monthly: 400 USD}
sites:
  aws-east: {cloud: aws, region: us-east-1}
  azure-east: {cloud: azure, region: eastus}
"""
LISTS = Path(__file__).parents[1] / "cases" / "price_lists"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    for place in open_spec(tmp_path_factory.mktemp("costs"), SPEC):
        assert place.arriero("up", "--yes").code == 0
        yield place


def costs(place: Place) -> Any:
    told = place.arriero("cost", "--json")
    assert told.code == 0, told.err
    return told.json


def test_both_bills_grow_at_the_pace_of_the_prices(place: Place) -> None:
    first = costs(place)
    began = datetime.fromisoformat(first["spent"]["to"])

    def seconds() -> float:
        return (datetime.fromisoformat(costs(place)["spent"]["to"]) - began).total_seconds()

    assert wait_for(lambda: seconds() > 12, 60)
    now = costs(place)
    hours = (datetime.fromisoformat(now["spent"]["to"]) - began).total_seconds() / 3600
    # The address of an AWS task is under no tag of ours, nor is Azure's NAT gateway: 4 vCPU and 16 GiB are compared.
    for site, hourly in (("aws-east", 4 * 0.04048 + 16 * 0.004445), ("azure-east", 4 * 0.0405 + 16 * 0.00445)):
        grown = float(now["spent"]["sites"][site]["spent"]) - float(first["spent"]["sites"][site]["spent"])
        assert grown / hours == pytest.approx(hourly, rel=0.2)
    assert now["spent"]["elsewhere"] == "0"


def test_a_plan_warns_of_the_budget(place: Place) -> None:
    assert "\n! budget: at least $344.01 of $400.00 a month (86%); the price of" in place.arriero("plan").out
    assert place.arriero("plan", "--json").json["budget"]["standing"] == "near"


def test_prices_that_were_brought_are_in_the_next_plan(place: Place) -> None:
    for name in ("azure-global-is-everywhere", "azure-addresses"):
        listed = json.loads((LISTS / f"{name}.json").read_text())["list"]
        for item in listed["Items"]:
            item["armRegionName"] = item["armRegionName"].replace("uksouth", "eastus")
        (place.folder / f"{name}.json").write_text(json.dumps(listed))
        assert place.arriero("prices", "update", "--from", f"{name}.json").code == 0
    assert "! budget: $380.51 of $400.00 a month (95%)" in place.arriero("plan").out
    assert place.arriero("prices", "list").code == 0


def test_a_million_tokens_have_a_price_once_a_validation_measured_their_speed(place: Place) -> None:
    assert costs(place)["sites"][0]["a_million_tokens"] == {}
    assert place.arriero("validate").code == 0
    found = costs(place)["sites"][0]
    assert list(found["a_million_tokens"]) == ["llama2:latest"]
    assert float(found["a_million_tokens"]["llama2:latest"]) > 0


def plant(place: Place, site: str, cpu: float, memory: float) -> None:
    """Eight days up to now of one load, as if somebody had measured it."""
    samples = 8 * 24 * 12
    start = datetime.now(UTC) - timedelta(minutes=5 * samples)
    told = {"start": start.isoformat(), "step": 300, "cpu": [cpu] * samples, "memory": [memory] * samples}
    (place.stage / "metrics").mkdir(exist_ok=True)
    (place.stage / "metrics" / f"llm-{site}.json").write_text(json.dumps(told))


def test_sizes_are_advised_by_what_both_clouds_measured_and_written_into_the_spec(place: Place) -> None:
    first = place.arriero("rightsize", "--json")
    assert first.code == 0, first.err
    assert {each["shape"] for each in first.json["sites"]} == {"unknown"}
    plant(place, "aws-east", 10.0, 50.0)
    plant(place, "azure-east", 12.0, 30.0)
    told = place.arriero("rightsize")
    assert "\n  size.cpu: 2 vCPU\n  size.memory: 10GiB\n  saves $" in told.out, told.out + told.err
    text = (place.folder / "arriero.yaml").read_text()
    found = place.arriero("rightsize", "--write", "--json").json
    assert [each["changes"] for each in found["sites"]] == [
        {"size.cpu": "2 vCPU", "size.memory": "10GiB"},
        {"size.cpu": "1 vCPU", "size.memory": "6GiB"},
    ]
    written = (place.folder / "arriero.yaml").read_text()
    sizes = (", size: {cpu: 2 vCPU, memory: 10GiB}", ", size: {cpu: 1 vCPU, memory: 6GiB}")
    assert written == text.replace("us-east-1}", f"us-east-1{sizes[0]}}}").replace("eastus}", f"eastus{sizes[1]}}}")
    assert place.arriero("plan").code == 2
    # Figures of the former size say nothing of the new one, once it runs.
    assert place.arriero("up", "--yes").code == 0
    after = place.arriero("rightsize", "--json").json
    assert {each["shape"] for each in after["sites"]} == {"unknown"}


def test_the_bill_of_a_site_that_is_gone_stays(place: Place) -> None:
    before = costs(place)["spent"]["sites"]["azure-east"]["spent"]
    assert place.arriero("down", "--site", "azure-east", "--yes").code == 0
    after = costs(place)
    assert after["sites"][1]["stands"] is False
    assert float(after["spent"]["sites"]["azure-east"]["spent"]) >= float(before)
    assert after["spent"]["sites"]["azure-east"]["expected"] == "0.000000"
