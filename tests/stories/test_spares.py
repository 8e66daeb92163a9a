"""A burst's second target: with a spare from Azure's standby pool it is there in a fraction of the time.

The tests of this file go on from one another, in their order: first a stage without spares, then one with.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from burst import Burst, brought_up, controller_events, counts, goes_in
from places import Place, open_spec, wait_for

from arriero.clouds.azure import spares
from arriero.clouds.azure.connection import connect
from arriero.clouds.endpoints import Endpoints

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {{min: 1, max: 2, warm: 1, hold: 30s, spares: {spares}}}
ledger: {{lease: 12s}}
sites:
  azure-east: {{cloud: azure, region: eastus}}
"""
LATENCY = 0.2  # so that a new group takes 22 s on the stage, of the 110 s that one was seen to take
CLIENTS = 24
POOL = f"/resourceGroups/llm-azure-east/providers/{spares.TYPE}/spares"


@pytest.fixture(scope="module", params=[0, 1], ids=["without", "with"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    for place in open_spec(tmp_path_factory.mktemp("spares"), SPEC.format(spares=request.param)):
        place.always["ARRIERO_STAGE_LATENCY"] = str(LATENCY)
        yield place


@pytest.fixture(scope="module")
def burst(place: Place) -> Iterator[Burst]:
    yield from brought_up(place)


@pytest.fixture(scope="module")
def waits() -> dict[bool, float]:
    """Seconds from the controller's step to the second target's readiness, by whether there is a spare."""
    return {}


def keeps(place: Place) -> bool:
    return "spares: 1" in (place.folder / "arriero.yaml").read_text()


def ready_spares(place: Place) -> int:
    [site] = place.arriero("status", "--json").json["sites"]
    return int((site.get("spares") or {"ready": 0})["ready"])


def servers(place: Place) -> dict[str, int]:
    """Process ids of Ollamas, by the container group that they are in."""
    rows = place.arriero("rehearse", "status", "--json").json["servers"]
    return {row["target"]: row["pid"] for row in rows if row["container"] == "ollama"}


def spare_pid(place: Place) -> int:
    return next((pid for name, pid in servers(place).items() if name.startswith("spares-")), 0)


def calls(place: Place) -> list[str]:
    return [call["action"] for call in place.calls() if "Standby" in call["action"] or "Profiles" in call["action"]]


def seconds_after_the_step(place: Place) -> float:
    [step] = [each for each in controller_events(place) if each["event"] == "scale.out"]
    return time.time() - datetime.fromisoformat(step["at"]).timestamp()


def test_a_burst_has_a_second_target(place: Place, burst: Burst, waits: dict[bool, float]) -> None:
    assert counts(place) == {"azure-east": 1}
    if keeps(place):
        assert wait_for(lambda: ready_spares(place) == 1, 90)
        plan = place.arriero("plan")
        assert (plan.code, "1 target and 1 spare, 1 at least warm" in plan.out) == (0, True), plan.out
        assert "spares 1 of 1 ready" in place.arriero("status").out
    before = spare_pid(place)
    burst.start(CLIENTS)
    assert wait_for(lambda: counts(place) == {"azure-east": 2}, 200), controller_events(place)[-5:]
    waits[keeps(place)] = seconds_after_the_step(place)
    assert wait_for(lambda: len(set(burst.answers)) == 2, 60)
    assert (servers(place)["llm-azure-east-r1-2"] == before) is keeps(place)
    assert bool(calls(place)) is keeps(place)


def test_the_plan_is_empty_afterwards_and_another_spare_is_made(place: Place, burst: Burst) -> None:
    assert wait_for(lambda: place.arriero("plan").code == 0, 30)
    if keeps(place):
        assert wait_for(lambda: ready_spares(place) == 1, 90)
        assert len(servers(place)) == 3
    goes_in(place, burst, {"azure-east": 1}, 400)
    assert wait_for(lambda: place.arriero("plan").code == 0, 30)


def test_with_a_spare_it_was_there_much_sooner(place: Place, burst: Burst, waits: dict[bool, float]) -> None:
    if keeps(place):
        print(f"\nthe second target was ready after {waits[False]:.0f} s, with a spare after {waits[True]:.0f} s")
        assert waits[True] < waits[False] / 2


def test_a_pool_changed_by_hand_is_drift_and_put_right(place: Place, burst: Burst) -> None:
    if not keeps(place):
        return
    with Endpoints("a hand", place.environment()).entered():
        pool: Any = connect().get(POOL, spares.VERSION)
        elastic = {**pool["properties"]["elasticityProfile"], "maxReadyCapacity": 0}
        kept = {
            "containerGroupProperties": pool["properties"]["containerGroupProperties"],
            "elasticityProfile": elastic,
        }
        body = {"location": pool["location"], "tags": pool["tags"], "properties": kept}
        connect().put(POOL, spares.VERSION, body)
    assert wait_for(lambda: len(servers(place)) == 1, 30)
    plan = place.arriero("plan")
    assert (plan.code, "~ spare pool spares: ready: is 0, should be 1" in plan.out) == (2, True), plan.out
    up = place.arriero("up", "--yes")
    assert up.code == 0, up.err
    assert wait_for(lambda: ready_spares(place) == 1, 90)


def test_a_release_takes_the_spares_along_and_down_leaves_none(place: Place, burst: Burst) -> None:
    if not keeps(place):
        return
    spec = place.folder / "arriero.yaml"
    spec.write_text(spec.read_text() + "environment: {COLOUR: blue}\n")
    before = spare_pid(place)
    up = place.arriero("up", "--yes")
    assert up.code == 0, up.err
    assert place.arriero("plan").code == 0
    assert wait_for(lambda: ready_spares(place) == 1 and spare_pid(place) not in (0, before), 90)
    down = place.arriero("down", "--yes")
    assert down.code == 0, down.err
    assert wait_for(lambda: servers(place) == {}, 60)
