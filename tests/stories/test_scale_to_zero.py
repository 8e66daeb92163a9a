"""Nobody asks, and nothing runs; requests are held, told that it warms, and answered after the start. On both clouds.

The tests of this file go on from one another, in their order, on one stage for each cloud.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from burst import controller_events
from places import Place, open_spec, wait_for

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {{min: 0, max: 2, idle: 20s, hold: 10s}}
ledger: {{lease: 12s}}
sites:
  {site}
"""
SITES = {
    "aws": "aws-east: {cloud: aws, region: us-east-1}",
    "azure": "azure-east: {cloud: azure, region: eastus}",
}
CLIENTS = 6  # more than one target has slots


@pytest.fixture(scope="module", params=SITES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    for place in open_spec(tmp_path_factory.mktemp("zero"), SPEC.format(site=SITES[request.param])):
        # Else the stage starts a target in the three seconds after which who waits is told of it.
        place.always["ARRIERO_STAGE_LATENCY"] = "0.1"
        yield place


def standing(place: Place) -> tuple[str, int]:
    [site] = place.arriero("status", "--json").json["sites"]
    return site["state"], len(site["targets"])


def asleep(place: Place) -> bool:
    return standing(place) == ("asleep", 0)


def gateway(place: Place) -> int:
    return int(place.arriero("status", "--json").json["gateway"]["url"].rpartition(":")[2])


def ask(port: int) -> tuple[int, list[dict[str, Any]]]:
    """One request, held as long as need be: the status and the records of its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    body = {"model": "llama2", "prompt": "Good morning", "options": {"num_predict": 5}}
    headers = {"Content-Type": "application/json", "X-Arriero-Warming": "events"}
    connection.request("POST", "/api/generate", json.dumps(body), headers)
    answer = connection.getresponse()
    records = [json.loads(line) for line in answer.read().splitlines()]
    connection.close()
    return answer.status, records


def drainings(place: Place) -> int:
    return sum(event["event"] == "scale.draining" for event in controller_events(place))


def is_whole(status: int, records: list[dict[str, Any]]) -> bool:
    return status == 200 and records[-1].get("done") is True and not any("error" in record for record in records)


def test_the_first_release_is_proven_by_a_target_that_goes_when_nobody_asks(place: Place) -> None:
    up = place.arriero("up", "--yes")
    assert up.code == 0, up.err
    assert wait_for(lambda: asleep(place), 150)
    plan = place.arriero("plan")
    assert (plan.code, "0 targets" in plan.out) == (0, True), plan.out
    assert "nothing was asked for" in place.arriero("status").out


def test_requests_wake_it_and_all_are_answered(place: Place) -> None:
    answers: list[tuple[int, list[dict[str, Any]]]] = []
    port = gateway(place)
    threads = [threading.Thread(target=lambda: answers.append(ask(port))) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == CLIENTS
    assert all(is_whole(*answer) for answer in answers), answers
    assert all(records[0].get("status") == "warming" for _, records in answers), answers
    longest = max(record.get("waited_seconds", 0) for _, records in answers for record in records)
    print(f"\n{CLIENTS} requests were held for {longest} s at most, then answered")
    state, count = standing(place)
    assert (state, count >= 1) == ("ready", True)
    assert place.arriero("plan").code == 0


def test_who_asks_while_the_last_one_leaves_is_answered(place: Place) -> None:
    before, port = drainings(place), gateway(place)
    assert wait_for(lambda: drainings(place) > before, 150)
    assert is_whole(*ask(port))
    assert wait_for(lambda: asleep(place), 150)
    assert is_whole(*ask(port))


def test_a_release_while_nothing_runs_wakes_nobody_for_long(place: Place) -> None:
    """On ECS nothing starts. On Container Instances one group runs, as the next ones are made from it."""
    assert wait_for(lambda: asleep(place), 150)
    spec = place.folder / "arriero.yaml"
    is_woken = "cloud: azure" in spec.read_text()
    spec.write_text(spec.read_text() + "environment: {COLOUR: blue}\n")
    up = place.arriero("up", "--yes")
    assert up.code == 0, up.err
    assert standing(place)[1] == int(is_woken)
    assert wait_for(lambda: asleep(place), 150)
    assert place.arriero("plan").code == 0
    assert is_whole(*ask(gateway(place)))
    [site] = place.arriero("status", "--json").json["sites"]
    assert {target["release"] for target in site["targets"]} == {2}
