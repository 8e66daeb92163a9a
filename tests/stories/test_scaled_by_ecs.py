"""With our controller's scaling off, ECS's own target tracking takes a burst out and in, and no stream is cut by it.

A minute of the stage's monitors lasts some seconds; fifteen of them below the goal have fewer run. The tests of this
file go on from one another, in their order, on one stage.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from burst import Burst, brought_up, counts, goes_in, up_keeps
from places import Place, open_spec, wait_for

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

MINUTE_SECONDS = 3
SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {min: 1, max: 3, by: cloud, track: {cpu: 60%}}
sites:
  aws-east: {cloud: aws, region: us-east-1}
"""
CLIENTS = 10  # of a target's four slots


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    for place in open_spec(tmp_path_factory.mktemp("ecs"), SPEC):
        place.always["ARRIERO_STAGE_MINUTE"] = str(MINUTE_SECONDS)
        yield place


@pytest.fixture(scope="module")
def burst(place: Place) -> Iterator[Burst]:
    yield from brought_up(place)


def test_the_plan_is_empty_before(place: Place, burst: Burst) -> None:
    assert counts(place) == {"aws-east": 1}
    assert place.arriero("plan").code == 0


def test_a_burst_has_ecs_start_more_by_itself(place: Place, burst: Burst) -> None:
    burst.start(CLIENTS)
    assert wait_for(lambda: counts(place) == {"aws-east": 3}, 180)
    assert place.arriero("plan").code == 0


def test_up_in_the_midst_of_it_keeps_what_ecs_chose(place: Place, burst: Burst) -> None:
    up_keeps(place, {"aws-east": 3})


def test_after_it_ecs_has_fewer_run_beside_traffic_and_nothing_was_lost(place: Place, burst: Burst) -> None:
    before = len(burst.answers)
    assert wait_for(lambda: len(burst.answers) > before + 2 * CLIENTS, 60)
    few = goes_in(place, burst, {"aws-east": 1}, 300)
    assert len(burst.answers) > 3 * CLIENTS
    assert len(set(burst.answers)) == 3
    assert few.answers
    print(f"{len(burst.answers)} streams in the burst, {len(few.answers)} while it went in; none lost, none cut")


def test_nobody_but_ecs_changed_a_count_and_the_plan_is_empty_after(place: Place, burst: Burst) -> None:
    assert wait_for(lambda: place.arriero("plan").code == 0, 30)
    asked = [call["action"] for call in place.calls()]
    assert "ecs:UpdateService" not in asked
    assert "ecs:UpdateTaskProtection" not in asked
    log = (place.folder / ".arriero/edge/controller.log").read_text().splitlines()
    told = [json.loads(line)["event"] for line in log if line.startswith("{")]
    assert [kind for kind in told if kind.startswith("scale.")] == []
