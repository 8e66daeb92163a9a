"""Sites sleep in their off hours, wake when somebody orders it, as many as fell asleep, and no plan calls it drift.

The tests of this file go on from one another, in their order, on one stage.
"""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from places import Place, open_spec, wait_for

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

# Off by the clock at any time, so that the story is the same at any hour.
SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
off: weekdays UTC, weekends
scale: {min: 1}
sites:
  aws-dev: {cloud: aws, region: us-east-1}
  azure-dev: {cloud: azure, region: eastus}
  desk: {cloud: local, hosts: [127.0.0.1]}
"""
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
ASLEEP = {"aws-dev": "asleep", "azure-dev": "asleep", "desk": "asleep"}
AWAKE = {"aws-dev": "ready", "azure-dev": "ready", "desk": "ready"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from open_spec(tmp_path_factory.mktemp("off"), SPEC)


def asked(place: Place) -> int:
    url = place.arriero("status", "--json").json["gateway"]["url"]
    host, _, port = url.rpartition("/")[2].partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    body = {"model": "llama2", "messages": [{"role": "user", "content": "Hello"}], "stream": False}
    connection.request("POST", "/api/chat", json.dumps(body), {"Content-Type": "application/json"})
    status = connection.getresponse().status
    connection.close()
    return status


def targets(place: Place) -> dict[str, int]:
    return {site["name"]: len(site["targets"]) for site in place.arriero("status", "--json").json["sites"]}


def test_a_site_that_is_made_in_its_off_hours_sleeps(place: Place) -> None:
    up = place.arriero("up", "--yes")
    assert up.code == 0, up.err
    assert place.states() == ASLEEP
    plan = place.arriero("plan")
    assert plan.code == 0, plan.out
    assert "  asleep (off by schedule: weekdays UTC, weekends)" in plan.out


def test_while_all_sleep_the_gateway_refuses(place: Place) -> None:
    assert asked(place) == 503


def test_woken_for_a_while_it_serves(place: Place) -> None:
    woken = place.arriero("wake", "--for", "1h", "--yes")
    assert woken.code == 0, woken.err
    assert place.states() == AWAKE
    assert asked(place) == 200
    assert place.arriero("plan").code == 0
    shown = place.arriero("schedule", "show").out
    assert shown.count("awake until") == 3
    assert "woken by" in shown


def test_as_many_wake_as_fell_asleep(place: Place) -> None:
    environment = place.environment()
    ecs = _ecs(environment)
    cluster = "llm-aws-dev"
    [service] = ecs.list_services(cluster=cluster)["serviceArns"]
    ecs.update_service(cluster=cluster, service=service, desiredCount=3)
    assert wait_for(lambda: targets(place)["aws-dev"] == 3, 60)
    assert place.arriero("sleep").code == 1  # no terminal, and no --yes
    assert place.arriero("sleep", "--site", "aws-dev", "--yes").code == 0
    assert place.states() == {**AWAKE, "aws-dev": "asleep"}
    assert asked(place) == 200
    checks = [each for each in place.arriero("validate", "--json").json["findings"] if each["place"] == "aws-dev"]
    assert [(each["check"], each["verdict"]) for each in checks] == [("targets", "skipped")]
    assert place.arriero("wake", "--site", "aws-dev", "--for", "1h", "--yes").code == 0
    assert targets(place) == {"aws-dev": 3, "azure-dev": 1, "desk": 1}


def _ecs(environment: dict[str, str]) -> Any:
    import boto3

    return boto3.client(
        "ecs",
        region_name="us-east-1",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )


def end_of_order(place: Place, site: str) -> bool:
    """Orders the site awake for a moment more; says whether the moment passed."""
    assert place.arriero("wake", "--site", site, "--for", "20s", "--yes").code == 0
    return wait_for(lambda: f"{site}: asleep" in place.arriero("schedule", "show").out, 60)


def test_when_an_order_ends_the_schedule_holds_again(place: Place) -> None:
    assert end_of_order(place, "azure-dev")
    switched = place.arriero("schedule", "run", "--yes")
    assert switched.code == 0, switched.err
    assert place.states() == {**AWAKE, "azure-dev": "asleep"}
    assert place.arriero("schedule", "run", "--yes").out == "Every site is as its off hours say.\n"


def test_plain_ansible_follows_the_same_hours(place: Place) -> None:
    assert place.arriero("export", "schedule", "--out", ".").code == 0
    (place.folder / "fleet.arriero.yml").write_text("plugin: arriero.fleet.fleet\n")
    assert end_of_order(place, "aws-dev")
    played = place.arriero("env", "--", str(PLAYBOOK), "-i", "fleet.arriero.yml", "schedule.yml")
    assert played.code == 0, played.out[-2000:] + played.err[-2000:]
    assert place.states() == {**ASLEEP, "desk": "ready"}
    assert place.arriero("plan").code == 0
    assert place.arriero("wake", "--site", "aws-dev", "--for", "1h", "--yes").code == 0
    assert targets(place)["aws-dev"] == 3
