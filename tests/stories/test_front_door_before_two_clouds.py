"""A private site at AWS and one at Azure, edges at both, behind one Front Door, as production has it: asked through it
and past it, the one at AWS lost, an edge killed; removed.

The tests of this file go on from one another, in their order, on one stage.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from places import Place, open_spec, wait_for

from key_vault import GROUP, MANAGEMENT, VAULT, Hand
from way_in import connected, connected_by_name, key_and_hashes

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long, pytest.mark.timeout(900)]

ACCOUNT = "123456789012"
PROFILE = "/resourceGroups/llm-front-door/providers/Microsoft.Cdn/profiles/llm"
APP = "/resourceGroups/llm-west/providers/Microsoft.App/containerApps/llm-west-edge"
ENVIRONMENT = "/resourceGroups/llm-west/providers/Microsoft.App/managedEnvironments/llm-west-edge"
SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/llm-edge"
QUESTION = {"model": "llama2", "prompt": "hello", "stream": False}
SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
network: private
scale: {{min: 1, by: hand}}
deploy: {{stop_within: 5s}}
sites:
  east: {{cloud: aws, region: us-east-1}}
  west: {{cloud: azure, region: westeurope, role: standby}}
ingress:
  alb:
    hosts: [llm.example.com]
    certificates: [arn:aws:acm:us-east-1:123456789012:certificate/0a1b]
    scheme: internet-facing
    allow_from: ['0.0.0.0/0']
    edges: {{keys: ['{arn}']}}
  edges: {{keys: {secret}, identity: {identity}}}
  front_door: {{}}
"""
DUMMY = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:llm/keys-AbCdEf"


def text(arn: str) -> str:
    identity = f"/subscriptions/{SUBSCRIPTION}{IDENTITY}"
    return SPEC.format(arn=arn, secret=f"{VAULT}/secrets/llm-keys", identity=identity)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from open_spec(tmp_path_factory.mktemp("two"), text(DUMMY))


@pytest.fixture(scope="module")
def hand(place: Place) -> Hand:
    return Hand(place.environment())


@pytest.fixture(scope="module")
def key(place: Place, hand: Hand, tmp_path_factory: pytest.TempPathFactory) -> str:
    """One key, whose hash both clouds keep as a secret."""
    found, hashes = key_and_hashes(tmp_path_factory.mktemp("keys"))
    session = hand.environment
    secrets = boto3.client(
        "secretsmanager",
        region_name="us-east-1",
        endpoint_url=session["AWS_ENDPOINT_URL"],
        aws_access_key_id=session["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=session["AWS_SECRET_ACCESS_KEY"],
    )
    arn = str(secrets.create_secret(Name="llm/keys", SecretString=hashes)["ARN"])
    hand.make_vault()
    hand.keep("llm-keys", hashes)
    made = hand.ask("PUT", hand.managed(IDENTITY), {"location": "westeurope"}, "2023-01-31", MANAGEMENT)
    assert made.status_code < 300, made.text
    (place.folder / "arriero.yaml").write_text(text(arn))
    return found


def got(hand: Hand, path: str, version: str) -> dict[str, Any]:
    told = hand.ask("GET", hand.managed(path), None, version, MANAGEMENT)
    assert told.status_code < 300, told.text
    found: dict[str, Any] = told.json()["properties"]
    return found


def through(place: Place, hand: Hand, key: str = "", **more: object) -> tuple[int, bytes]:
    host = str(got(hand, f"{PROFILE}/afdEndpoints/llm", "2024-02-01")["hostName"])
    connection = connected(place.stage / "doors", host)
    said = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    connection.request("POST", "/api/generate", json.dumps({**QUESTION, **more}), said)
    answer = connection.getresponse()
    return answer.status, answer.read()


def past(place: Place, hand: Hand, key: str, path: str = "/api/generate", **more: str) -> int:
    """Straight to the edges at Azure, under their own name."""
    app, around = got(hand, APP, "2025-01-01"), got(hand, ENVIRONMENT, "2025-01-01")
    host = str(app["configuration"]["ingress"]["fqdn"])
    connection = connected_by_name(place.stage, host, str(around["staticIp"]))
    said = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in more.items()}}
    said |= {"Authorization": f"Bearer {key}"} if key else {}
    connection.request("POST" if path.startswith("/api") else "GET", path, json.dumps(QUESTION), said)
    return connection.getresponse().status


def pids(place: Place, region: str) -> list[int]:
    shown = place.arriero("rehearse", "status", "--json").json["servers"]
    return [each["pid"] for each in shown if each["region"] == region and each["container"] == "edge"]


def test_up_leads_to_both_clouds_and_a_second_run_does_nothing(place: Place, key: str) -> None:
    done = place.arriero("up", "--yes", "--no-gateway")
    assert done.code == 0, done.out + done.err
    again = place.arriero("plan")
    assert again.code == 0, again.out + again.err


def test_the_front_door_compares_names_at_azure_alone(hand: Hand, key: str) -> None:
    origins = {
        site: got(hand, f"{PROFILE}/originGroups/sites/origins/{site}", "2024-02-01") for site in ("east", "west")
    }
    assert {site: each["enforceCertificateNameCheck"] for site, each in origins.items()} == {
        "east": False,
        "west": True,
    }
    assert origins["west"]["hostName"] == origins["west"]["originHostHeader"]
    assert str(origins["west"]["hostName"]).startswith("llm-west-edge.")


def test_clients_come_through_it_with_a_key_and_streams_too(place: Place, hand: Hand, key: str) -> None:
    assert wait_for(lambda: through(place, hand, key)[0] == 200, 30)
    assert through(place, hand)[0] == 401
    status, body = through(place, hand, key, stream=True)
    assert (status, json.loads(body.splitlines()[-1])["done"]) == (200, True)
    assert len(body.splitlines()) > 2


def test_the_loss_of_the_site_at_aws_moves_requests_to_azure(place: Place, hand: Hand, key: str) -> None:
    played = place.arriero("rehearse", "fault", "--site", "east", "--kind", "lose", "--for=900")
    assert played.code == 0, played.err
    assert wait_for(lambda: through(place, hand, key)[0] == 200, 60)
    assert [through(place, hand, key)[0] for _ in range(10)] == [200] * 10
    status, body = through(place, hand, key, stream=True)
    assert (status, json.loads(body.splitlines()[-1])["done"]) == (200, True)


def test_an_edge_killed_at_azure_loses_nothing_that_was_not_in_it(place: Place, hand: Hand, key: str) -> None:
    [first, *_] = pids(place, "westeurope")
    os.kill(first, signal.SIGKILL)
    assert wait_for(lambda: first not in pids(place, "westeurope"), 10)
    assert [through(place, hand, key)[0] for _ in range(20)] == [200] * 20
    assert wait_for(lambda: len(pids(place, "westeurope")) == 2, 30)


def test_nobody_comes_past_it_at_azure(place: Place, hand: Hand, key: str) -> None:
    assert past(place, hand, key) == 403
    assert past(place, hand, key, X_Azure_FDID="00000000-0000-0000-0000-000000000001") == 403
    assert past(place, hand, "", "/readyz", X_FD_HealthProbe="1") == 200


def test_down_leaves_nothing(place: Place, hand: Hand, key: str) -> None:
    assert place.arriero("rehearse", "fault", "--site", "east", "--kind", "lose", "--for=-1").code == 0
    assert wait_for(lambda: place.states()["east"] == "ready", 90)
    down = place.arriero("down", "--purge", "--yes")
    assert down.code == 0, down.out + down.err
    listed = hand.ask("GET", hand.managed("/resourceGroups"), None, "2022-09-01", MANAGEMENT).json()["value"]
    assert [each["name"] for each in listed] == ["keys"]
