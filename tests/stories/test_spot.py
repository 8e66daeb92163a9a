"""AWS takes half of the targets back under 200 streams, and has no other Spot for a while: nothing is lost.

The tests of this file go on from one another, in their order, on one stage.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from burst import figure
from places import Place, open_spec, wait_for
from streams import Clients

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {min: 6, max: 8, hold: 10m}
spot: {base: 3, share: 100%}
deploy: {stop_within: 6s}
ollama: {num_parallel: 80}
ledger: {lease: 12s}
sites:
  aws-east: {cloud: aws, region: us-east-1}
"""
STREAMS, TOKENS, TOKENS_A_SECOND = 200, 60, 5
# From the warning until the gateway knows: the sidecar's word and this machine's load.
HEARD_SECONDS = 2.0


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    for place in open_spec(tmp_path_factory.mktemp("spot"), SPEC):
        place.always["ARRIERO_ENGINE_PROFILE"] = json.dumps({"tokens_per_second": TOKENS_A_SECOND})
        yield place


@pytest.fixture(scope="module")
def url(place: Place) -> str:
    plan = place.arriero("plan")
    assert "spot: 3 on demand, 100% of what is above it Spot" in plan.out, plan.out + plan.err
    assert "price of Spot vCPU, Spot memory unknown" in plan.out
    up = place.arriero("up", "--yes")
    assert up.code == 0, up.err
    return str(place.arriero("status", "--json").json["gateway"]["url"])


@pytest.fixture(scope="module")
def clients(url: str) -> Iterator[Clients]:
    made = Clients(int(url.rpartition(":")[2]), TOKENS)
    made.start(STREAMS)
    yield made
    made.end()


def targets(place: Place, state: str = "ready") -> set[str]:
    [site] = place.arriero("status", "--json").json["sites"]
    return {target["id"] for target in site["targets"] if target["state"] == state}


def events(place: Place, kind: str) -> list[dict[str, Any]]:
    lines = (place.folder / ".arriero/edge/controller.log").read_text().splitlines()
    told = [json.loads(line) for line in lines if line.startswith("{")]
    return [event for event in told if event["event"] == kind]


def fault(place: Place, *more: str) -> str:
    done = place.arriero("rehearse", "fault", "--site", "aws-east", *more)
    assert done.code == 0, done.err
    return done.out


def test_afterwards_the_plan_is_empty(place: Place, url: str) -> None:
    plan = place.arriero("plan")
    assert plan.code == 0, plan.out


def test_warnings_on_half_of_the_targets_lose_none_of_200_streams(place: Place, url: str, clients: Clients) -> None:
    before = targets(place)
    assert len(before) == 6
    assert wait_for(lambda: len(clients.answers) > STREAMS and clients.open == STREAMS, 60)
    fault(place, "--kind", "no-spot", "--for", "90")
    told = fault(place, "--kind", "evict")
    warned_at = time.monotonic()
    warned = {name for name in before if name in told}
    assert len(warned) == 3, told
    # What serves is back at six: three on demand stand in, which no plan finds fault with.
    assert wait_for(lambda: len(targets(place)) == 6 and not targets(place) & warned, 60), events(place, "spot.gone")
    assert place.arriero("plan").code == 0
    assert wait_for(lambda: "3 on demand stand in" in str(events(place, "scale.decided")), 30)
    began, stood_at = len(clients.answers), time.monotonic()
    assert wait_for(lambda: len(clients.answers) > began + STREAMS, 60)
    # Those that stayed serve, and those that stand in serve beside them.
    assert wait_for(lambda: {a.target for a in list(clients.answers) if a.asked_at > stood_at} > before - warned, 60)
    answers = list(clients.answers)
    late = [a for a in answers if a.target in warned and a.asked_at > warned_at + HEARD_SECONDS]
    migrated = [answer for answer in answers if answer.is_migrated]
    print(f"\n{len(warned)} of {len(before)} targets warned under {STREAMS} streams: {len(clients.lost)} lost, "
          f"{len(migrated)} migrated, {figure(url, 'arriero_retries_total'):.0f} retried, {len(answers)} answered, "
          f"{len(clients.wrong)} with a wrong text, {len(late)} sent to a warned target")  # fmt: skip
    assert clients.lost == clients.wrong == late == []
    assert migrated


def test_spot_is_back_and_what_stood_in_for_it_goes(place: Place, clients: Clients) -> None:
    [gone] = events(place, "spot.gone")
    stand_ins = set(gone["text"].rpartition(": ")[2].split(", "))
    assert len(stand_ins) == 3
    assert wait_for(lambda: len(targets(place)) == 6 and not targets(place) & stand_ins, 300), events(
        place, "spot.back"
    )
    assert clients.lost == clients.wrong == []
    assert wait_for(lambda: place.arriero("plan").code == 0, 30)


def test_a_removal_takes_along_what_stands_in(place: Place, clients: Clients) -> None:
    clients.end()
    fault(place, "--kind", "no-spot", "--for", "120")
    fault(place, "--kind", "evict", "--share", "50%")
    assert wait_for(lambda: len(events(place, "spot.gone")) == 2, 60)
    down = place.arriero("down", "--purge", "--yes")
    assert down.code == 0, down.err
    assert clients.lost == []
