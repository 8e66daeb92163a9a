"""A burst of streams has both clouds start more, and its end has them go, without a lost request or a cut stream.

The tests of this file go on from one another, in their order, on one stage.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator

import pytest
from burst import Burst, brought_up, controller_events, counts, goes_in, up_keeps
from places import Place, open_spec, wait_for

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {min: 1, max: 2, hold: 30s}
ledger: {lease: 12s}
sites:
  aws-east: {cloud: aws, region: us-east-1}
  azure-east: {cloud: azure, region: eastus}
"""
CLIENTS = 24


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from open_spec(tmp_path_factory.mktemp("scaling"), SPEC)


@pytest.fixture(scope="module")
def burst(place: Place) -> Iterator[Burst]:
    yield from brought_up(place)


def controller_pid(place: Place) -> int:
    pid: int = json.loads((place.folder / ".arriero/edge/edge.json").read_text())["controller"]["pid"]
    return pid


def test_a_burst_goes_out_on_both_clouds(place: Place, burst: Burst) -> None:
    assert counts(place) == {"aws-east": 1, "azure-east": 1}
    burst.start(CLIENTS)
    assert wait_for(lambda: counts(place) == {"aws-east": 2, "azure-east": 2}, 200), controller_events(place)[-5:]
    assert wait_for(lambda: "scaling: aws-east 2, azure-east 2: " in place.arriero("status").out, 40)
    assert place.arriero("plan").code == 0


def test_up_keeps_the_count_of_the_moment(place: Place, burst: Burst) -> None:
    up_keeps(place, {"aws-east": 2, "azure-east": 2})


def test_a_killed_controller_is_followed_by_one_that_goes_on(place: Place, burst: Burst) -> None:
    os.kill(controller_pid(place), signal.SIGKILL)
    up = place.arriero("up", "--yes")
    assert up.code == 0, up.err
    before = len(burst.answers)
    assert wait_for(lambda: len(burst.answers) > before + CLIENTS, 60)
    assert counts(place) == {"aws-east": 2, "azure-east": 2}


def test_after_the_burst_both_go_in_and_nothing_was_lost(place: Place, burst: Burst) -> None:
    time.sleep(5)
    goes_in(place, burst, {"aws-east": 1, "azure-east": 1}, 400)
    assert len(burst.answers) > 4 * CLIENTS
    assert len(set(burst.answers)) >= 2


def test_the_plan_is_empty_and_every_step_has_its_reason(place: Place, burst: Burst) -> None:
    assert wait_for(lambda: place.arriero("plan").code == 0, 30)
    told = controller_events(place)
    kinds = [(event["event"], event["site"]) for event in told]
    for site in ("aws-east", "azure-east"):
        out = kinds.index(("scale.out", site))
        assert out < kinds.index(("scale.draining", site)) < kinds.index(("scale.in", site))
    assert all(event["reason"] for event in told if event["event"] == "scale.decided")
    assert not [event for event in told if event["event"] in ("scale.failed", "scale.throttled")]
