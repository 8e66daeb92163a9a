"""Nobody asks, and nothing runs; a request is held, told that it warms, and answered after the start."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator

import pytest
from places import Place, open_spec, wait_for

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {min: 0, max: 2, idle: 20s, hold: 10s}
ledger: {lease: 12s}
sites:
  aws-east: {cloud: aws, region: us-east-1}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from open_spec(tmp_path_factory.mktemp("zero"), SPEC)


def standing(place: Place) -> tuple[str, int]:
    [site] = place.arriero("status", "--json").json["sites"]
    return site["state"], len(site["targets"])


def test_the_first_release_is_proven_by_a_target_that_goes_when_nobody_asks(place: Place) -> None:
    up = place.arriero("up", "--yes")
    assert up.code == 0, up.err
    assert wait_for(lambda: standing(place) == ("asleep", 0), 150)
    assert place.arriero("plan").code == 0


def test_a_request_wakes_it_and_is_answered(place: Place) -> None:
    url = place.arriero("status", "--json").json["gateway"]["url"]
    connection = http.client.HTTPConnection("127.0.0.1", int(url.rpartition(":")[2]), timeout=120)
    body = {"model": "llama2", "prompt": "Good morning", "options": {"num_predict": 5}}
    headers = {"Content-Type": "application/json", "X-Arriero-Warming": "events"}
    connection.request("POST", "/api/generate", json.dumps(body), headers)
    answer = connection.getresponse()
    assert answer.status == 200
    records = [json.loads(line) for line in answer.read().splitlines()]
    assert records[0]["status"] == "warming"
    assert records[-1]["done"] is True
    assert not [record for record in records if "error" in record]
    print(f"\nheld for {records[-2].get('waited_seconds') or records[0]['waited_seconds']} s and more, then answered")
    assert standing(place) == ("ready", 1)


def test_a_release_while_nothing_runs_wakes_nobody(place: Place) -> None:
    assert wait_for(lambda: standing(place) == ("asleep", 0), 150)
    changed = SPEC + "environment: {COLOUR: blue}\n"
    (place.folder / "arriero.yaml").write_text(changed)
    up = place.arriero("up", "--yes")
    assert up.code == 0, up.err
    assert standing(place)[1] == 0
    assert place.arriero("plan").code == 0
