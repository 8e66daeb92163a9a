"""Sites leave the spec and others join it: the plan says so, `up` follows, and `down` takes what was left behind.

The tests of this file go on from one another, in their order, on one stage.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from places import Place, open_spec, wait_for

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

HEAD = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {min: 1, by: hand}
sites:
"""
AWS = "  aws-east:   {cloud: aws, region: us-east-1}\n"
AZURE = "  azure-east: {cloud: azure, region: eastus}\n"
OFFICE = "  office:     {cloud: local, hosts: [127.0.0.1]}\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from open_spec(tmp_path_factory.mktemp("come-and-go"), HEAD + AZURE + OFFICE)


def write(place: Place, *sites: str) -> None:
    (place.folder / "arriero.yaml").write_text(HEAD + "".join(sites))


def answering_sites(place: Place) -> set[str]:
    """The sites whose targets the gateway could ask now."""
    routing = place.arriero("explain", "routing", "--model", "llama2", "--json").json
    return {target["site"] for target in routing["targets"] if target["can_now"]}


def servers(place: Place) -> set[str]:
    return {row["cloud"] for row in place.arriero("rehearse", "status", "--json").json["servers"]}


def test_a_site_that_left_the_spec_stands_in_the_plan_with_its_reason(place: Place) -> None:
    up = place.arriero("up", "--yes")
    assert up.code == 0, up.err
    write(place, AWS, OFFICE)
    plan = place.arriero("plan")
    assert plan.code == 2
    assert "azure-east: Azure Container Instances eastus, no longer in the spec: all of it is removed" in plan.out
    assert "  - container group llm-azure-east-r1-1: its site is no longer in the spec" in plan.out
    left = next(site for site in place.arriero("plan", "--json").json["sites"] if site["leaving"])
    assert (left["name"], left["targets"], left["price"]) == ("azure-east", 0, None)


def test_a_subset_leaves_it_alone(place: Place) -> None:
    plan = place.arriero("plan", "--site", "office")
    assert "office: this machine, active, 1 target, release 1, no bill\n  nothing to do\n" in plan.out
    assert "azure-east" not in plan.out


def test_up_brings_the_new_site_removes_the_old_one_and_tells_the_gateway(place: Place) -> None:
    up = place.arriero("up", "--yes")
    assert up.code == 0, up.err
    assert place.states() == {"aws-east": "ready", "office": "ready"}
    assert servers(place) == {"aws", "local"}
    assert place.arriero("plan").code == 0
    assert wait_for(lambda: "aws-east" in answering_sites(place), 10)
    assert "azure-east" not in answering_sites(place)


def test_down_removes_what_left_the_spec_too(place: Place) -> None:
    write(place, AZURE)
    down = place.arriero("down", "--yes")
    assert down.code == 0, down.err
    assert "aws-east: AWS ECS Fargate us-east-1" in down.out
    assert "office: this machine" in down.out
    assert servers(place) == set()
    assert "There was nothing to remove" in place.arriero("down", "--yes").out
