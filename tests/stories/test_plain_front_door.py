"""Plain `ansible-playbook` makes a site at Azure with edges behind a Front Door, in a resource group that somebody else
made; the controller keeps the names of its targets, whose number is left to hands; and what is somebody else's stays.

The tests of this file go on from one another, in their order, on one stage.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from places import Place, open_spec, wait_for

from key_vault import GROUP, MANAGEMENT, VAULT, Hand
from way_in import connected, connected_by_name, key_and_hashes

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long, pytest.mark.timeout(900)]

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/llm-edge"
THEIRS = "/resourceGroups/llm-west"
PROFILE = "/resourceGroups/llm-front-door/providers/Microsoft.Cdn/profiles/llm"
RECORDS = f"{THEIRS}/providers/Microsoft.Network/privateDnsZones/llm-west.arriero.internal/A/targets"
QUESTION = {"model": "llama2", "prompt": "hello", "stream": False}
SPEC = f"""\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
ledger: {{lease: 10s}}
scale: {{min: 2, by: hand}}
deploy: {{stop_within: 5s}}
sites:
  west: {{cloud: azure, region: westeurope}}
ingress:
  edges: {{keys: {VAULT}/secrets/llm-keys, identity: /subscriptions/{SUBSCRIPTION}{IDENTITY}}}
  front_door: {{}}
"""
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    for found in open_spec(tmp_path_factory.mktemp("plain"), SPEC):
        (found.folder / "fleet.arriero.yml").write_text("plugin: arriero.fleet.fleet\n")
        yield found


@pytest.fixture(scope="module")
def hand(place: Place) -> Hand:
    return Hand(place.environment())


@pytest.fixture(scope="module")
def key(hand: Hand, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What others made: a vault with the key's hash, an identity, the site's resource group with something in it."""
    found, hashes = key_and_hashes(tmp_path_factory.mktemp("keys"))
    hand.make_vault()
    hand.keep("llm-keys", hashes)
    identity_of_theirs = f"{THEIRS}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/theirs"
    for path, version in ((THEIRS, "2022-09-01"), (IDENTITY, "2023-01-31"), (identity_of_theirs, "2023-01-31")):
        made = hand.ask("PUT", hand.managed(path), {"location": "westeurope"}, version, MANAGEMENT)
        assert made.status_code < 300, made.text
    return found


def got(hand: Hand, path: str, version: str) -> dict[str, Any]:
    told = hand.ask("GET", hand.managed(path), None, version, MANAGEMENT)
    assert told.status_code < 300, told.text
    found: dict[str, Any] = told.json()["properties"]
    return found


def played(place: Place, hand: Hand) -> str:
    command = [PLAYBOOK, "-i", "fleet.arriero.yml", "arriero.fleet.site"]
    whole = {**os.environ, **hand.environment}
    ended = subprocess.run(command, cwd=place.folder, env=whole, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def through(place: Place, hand: Hand, key: str) -> int:
    host = str(got(hand, f"{PROFILE}/afdEndpoints/llm", "2024-02-01")["hostName"])
    return asked(connected(place.stage / "doors", host), key)


def past(place: Place, hand: Hand, key: str, **headers: str) -> int:
    around = got(hand, f"{THEIRS}/providers/Microsoft.App/managedEnvironments/llm-west-edge", "2025-01-01")
    host = f"llm-west-edge.{around['defaultDomain']}"
    return asked(connected_by_name(place.stage, host, str(around["staticIp"])), key, **headers)


def asked(connection: Any, key: str, **headers: str) -> int:
    said = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    said |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", "/api/generate", json.dumps(QUESTION), said)
    answer = connection.getresponse()
    answer.read()
    return int(answer.status)


def test_it_makes_all_of_it_in_one_run(place: Place, hand: Hand, key: str) -> None:
    said = played(place, hand)
    assert "release 1, under the lease of epoch 1" in said
    planned = place.arriero("plan")
    assert planned.code == 0, planned.out
    assert wait_for(lambda: through(place, hand, key) == 200, 60)
    assert past(place, hand, key) == 403


def test_a_second_run_finds_nothing_to_change_at_the_front_door(place: Place, hand: Hand, key: str) -> None:
    said = played(place, hand)
    assert re.search(r"front-door +: ok=[1-9]\d* +changed=0 ", said), said
    assert place.arriero("plan").code == 0


def test_another_setting_of_the_edges_is_made_by_it_too(place: Place, hand: Hand, key: str) -> None:
    (place.folder / "arriero.yaml").write_text(SPEC + "gateway: {hosts: [other.example.com]}\n")
    played(place, hand)
    assert place.arriero("plan").code == 0
    assert through(place, hand, key) == 200


def test_where_hands_set_the_number_the_controller_names_those_that_run(place: Place, hand: Hand, key: str) -> None:
    up = place.arriero("up", "--yes")  # nothing but a gateway on this machine, and its controller
    assert up.code == 0, up.err
    named = [each["ipv4Address"] for each in got(hand, RECORDS, "2024-06-01")["aRecords"]]
    assert len(named) == 2
    [site] = place.arriero("status", "--json").json["sites"]
    goes = site["targets"][0]
    path = f"{THEIRS}/providers/Microsoft.ContainerInstance/containerGroups/{goes['id']}"
    gone = hand.ask("DELETE", hand.managed(path), None, "2025-09-01", MANAGEMENT)
    assert gone.status_code < 300, gone.text
    left = [each for each in named if each != goes["address"].rpartition(":")[0]]
    assert wait_for(
        lambda: [each["ipv4Address"] for each in got(hand, RECORDS, "2024-06-01")["aRecords"]] == left, 60
    ), (place.folder / ".arriero/edge/controller.log").read_text()[-2000:]
    [site] = place.arriero("status", "--json").json["sites"]
    assert len(site["targets"]) == 1, "and starts none"
    assert through(place, hand, key) == 200


def test_down_leaves_what_somebody_else_made(place: Place, hand: Hand, key: str) -> None:
    down = place.arriero("down", "--purge", "--yes")
    assert down.code == 0, down.out + down.err
    listed = hand.ask("GET", hand.managed("/resourceGroups"), None, "2022-09-01", MANAGEMENT).json()["value"]
    assert sorted(each["name"] for each in listed) == ["keys", "llm-west"]
    inside = hand.ask("GET", hand.managed(f"{THEIRS}/resources"), None, "2022-09-01", MANAGEMENT).json()["value"]
    assert [each["name"] for each in inside] == ["theirs"]
