"""Two sites at AWS behind one Front Door: asked through it and past it, one of them lost; taken away, and removed.

The tests of this file go on from one another, in their order, on one stage.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from places import Place, open_spec, wait_for

from arriero.plan.wanted import aws_alb
from key_vault import MANAGEMENT, Hand
from way_in import connected, key_and_hashes

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long, pytest.mark.timeout(900)]

ACCOUNT, HOST = "123456789012", "llm.example.com"
REGIONS = {"east": "us-east-1", "west": "us-west-2"}
PROFILE = "/resourceGroups/llm-front-door/providers/Microsoft.Cdn/profiles/llm"
QUESTION = {"model": "llama2", "prompt": "hello", "stream": False}
DOOR = "  front_door: {region: westeurope}\n"
SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {{min: 1, by: hand}}
deploy: {{stop_within: 5s}}
sites:
  east: {{cloud: aws, region: us-east-1}}
  west: {{cloud: aws, region: us-west-2, role: standby}}
ingress:
  alb:
    hosts: [llm.example.com]
    certificates:
      - arn:aws:acm:us-east-1:123456789012:certificate/0a1b
      - arn:aws:acm:us-west-2:123456789012:certificate/0a1b
    scheme: internet-facing
    allow_from: ['0.0.0.0/0']
    edges:
      keys: {keys}
"""
DUMMIES = [f"arn:aws:secretsmanager:{region}:{ACCOUNT}:secret:llm/keys-AbCdEf" for region in REGIONS.values()]


def text(keys: list[str], more: str = DOOR) -> str:
    return SPEC.format(keys=json.dumps(keys)) + more


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from open_spec(tmp_path_factory.mktemp("door"), text(DUMMIES))


@pytest.fixture(scope="module")
def session(place: Place) -> dict[str, str]:
    return place.environment()


@pytest.fixture(scope="module")
def hand(session: dict[str, str]) -> Hand:
    return Hand(session)


class Keys:
    """A key, and the secrets that hold its hash in both regions."""

    def __init__(self, session: dict[str, str], folder: Path) -> None:
        self.text, hashes = key_and_hashes(folder)
        self.arns = [self._kept(session, region, hashes) for region in REGIONS.values()]

    def _kept(self, session: dict[str, str], region: str, hashes: str) -> str:
        secrets = client(session, "secretsmanager", region)
        return str(secrets.create_secret(Name="llm/keys", SecretString=hashes)["ARN"])


@pytest.fixture(scope="module")
def keys(place: Place, session: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Keys:
    found = Keys(session, tmp_path_factory.mktemp("keys"))
    (place.folder / "arriero.yaml").write_text(text(found.arns))
    return found


def client(session: dict[str, str], service: str, region: str) -> Any:
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=session["AWS_ENDPOINT_URL"],
        aws_access_key_id=session["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=session["AWS_SECRET_ACCESS_KEY"],
    )


def balancer(session: dict[str, str], site: str) -> str:
    found = client(session, "elbv2", REGIONS[site]).describe_load_balancers(Names=[f"llm-{site}"])
    return str(found["LoadBalancers"][0]["DNSName"])


def door(hand: Hand) -> str:
    return str(do(hand, "GET", f"{PROFILE}/afdEndpoints/llm")["properties"]["hostName"])


def do(hand: Hand, method: str, path: str, body: object = None, version: str = "2024-02-01") -> Any:
    told = hand.ask(method, hand.managed(path), body, version, MANAGEMENT)
    assert told.status_code < 300, told.text
    return told.json() if told.content else None


def status(
    place: Place, kind: str, address: str, key: str = "", path: str = "/api/generate", **headers: str
) -> tuple[int, bytes]:
    connection = connected(place.stage / kind, address)
    said = {"Content-Type": "application/json", **headers}
    said |= {"Authorization": f"Bearer {key}"} if key else {}
    connection.request("POST" if path.startswith("/api") else "GET", path, json.dumps(QUESTION), said)
    answer = connection.getresponse()
    return answer.status, answer.read()


def through(place: Place, hand: Hand, key: str = "", **headers: str) -> int:
    return status(place, "doors", door(hand), key, **headers)[0]


def past(place: Place, session: dict[str, str], site: str, key: str, path: str = "/api/generate", **more: str) -> int:
    headers = {"Host": HOST, **{name.replace("_", "-"): value for name, value in more.items()}}
    return status(place, "balancers", balancer(session, site), key, path, **headers)[0]


def test_a_plan_tells_its_price_and_what_it_will_make(place: Place, keys: Keys) -> None:
    planned = place.arriero("plan")
    assert planned.code == 2, planned.err
    lines = planned.out.splitlines()
    assert "front door: Azure Front Door, standard, $35.00 a month and by use" in lines
    assert "  + front door llm: it is not there" in lines
    assert "  + origin east: it is not there" in lines
    assert any("say X-Arriero-Warming: events" in line for line in lines)


def test_up_of_one_site_leads_it_there_alone_and_leaves_nothing_of_it_to_do(place: Place, keys: Keys) -> None:
    done = place.arriero("up", "--yes", "--no-gateway", "--site", "east")
    assert done.code == 0, done.out + done.err
    why = "no load balancer or edge to lead to stands, or is made by this plan: run `arriero up` for west"
    left = f"  note: not now: origin west; {why}"
    assert left in done.out.splitlines(), done.out
    again = place.arriero("plan", "--site", "east")
    assert again.code == 0, again.out + again.err
    assert left in again.out.splitlines(), again.out


def test_up_makes_it_with_both_sites_behind_it_and_a_second_run_does_nothing(place: Place, keys: Keys) -> None:
    done = place.arriero("up", "--yes", "--no-gateway")
    assert done.code == 0, done.out + done.err
    again = place.arriero("plan")
    assert again.code == 0, again.out + again.err
    idle = place.arriero("up", "--yes", "--no-gateway")
    assert "Nothing to do" in idle.out, idle.out + idle.err


def test_its_modules_find_nothing_to_change(place: Place, keys: Keys) -> None:
    played = place.play("arriero.fleet.front_door")
    assert re.search(r"front-door +: ok=[1-9]\d* +changed=0 ", played), played


def test_terraform_would_take_over_all_that_stands(place: Place, session: dict[str, str], hand: Hand) -> None:
    export = place.arriero("export", "terraform", "--out", "terraform")
    assert export.code == 0, export.err
    module = place.folder / "terraform"
    lines = [line for file in module.glob("*.tf") for line in file.read_text().splitlines()]
    assert sum(line.startswith("resource ") for line in lines) == lines.count("import {") > 60
    ids = {line.partition(' = "')[2].removesuffix('"') for line in lines if line.startswith("  id = ")}
    assert f"/subscriptions/{hand.environment['AZURE_SUBSCRIPTION_ID']}{PROFILE}" in ids
    for site, region in REGIONS.items():
        elb = client(session, "elbv2", region)
        arn = elb.describe_load_balancers(Names=[f"llm-{site}"])["LoadBalancers"][0]["LoadBalancerArn"]
        rules = [
            rule
            for listener in elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]
            for rule in elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
            if not rule["IsDefault"]
        ]
        assert [rule["Priority"] for rule in rules] == ["1", "2"]
        assert {rule["RuleArn"] for rule in rules} <= ids


def test_clients_come_through_it_with_a_key(place: Place, hand: Hand, keys: Keys) -> None:
    assert wait_for(lambda: through(place, hand, keys.text) == 200, 30)
    assert through(place, hand) == 401
    assert place.arriero("status", "--json").json["front_door"] == {"url": f"https://{door(hand)}"}


def test_its_fee_is_expected_and_its_bill_is_found_by_its_tag(place: Place, keys: Keys) -> None:
    told = place.arriero("cost", "--json")
    assert told.code == 0, told.err
    assert (told.json["front_door"]["stands"], told.json["front_door"]["price"]["monthly"]) == (True, "35.00")
    bill = told.json["spent"]["sites"]["front-door"]
    assert float(bill["spent"]) > 0
    assert float(bill["expected"]) > 0
    assert told.json["spent"]["elsewhere"] == "0"


def test_nobody_comes_past_it(place: Place, session: dict[str, str], keys: Keys) -> None:
    for site in REGIONS:
        assert past(place, session, site, keys.text) == 403
        assert past(place, session, site, keys.text, X_Azure_FDID="00000000-0000-0000-0000-000000000001") == 403
        assert past(place, session, site, keys.text, X_FD_HealthProbe="1") == 403
        assert past(place, session, site, "", aws_alb.READY, X_FD_HealthProbe="1") == 200


def test_it_stays_the_way_in_when_a_site_is_lost(place: Place, hand: Hand, keys: Keys) -> None:
    played = place.arriero("rehearse", "fault", "--site", "east", "--kind", "lose", "--for=900")
    assert played.code == 0, played.err
    assert wait_for(lambda: through(place, hand, keys.text) == 200, 60)
    assert [through(place, hand, keys.text) for _ in range(10)] == [200] * 10
    assert place.arriero("rehearse", "fault", "--site", "east", "--kind", "lose", "--for=-1").code == 0


def test_what_somebody_changed_is_told_and_set_right(place: Place, hand: Hand, keys: Keys) -> None:
    assert wait_for(lambda: place.states()["east"] == "ready", 90)
    origin = f"{PROFILE}/originGroups/sites/origins/west"
    body = do(hand, "GET", origin)["properties"]
    do(hand, "PUT", origin, {"properties": {**body, "priority": 1}})
    route = f"{PROFILE}/afdEndpoints/llm/routes/everything"
    about = do(hand, "GET", route)["properties"]
    do(
        hand,
        "PUT",
        route,
        {"properties": {**about, "cacheConfiguration": {"queryStringCachingBehavior": "UseQueryString"}}},
    )
    planned = place.arriero("plan")
    assert "  ~ origin west: priority: is 1, should be 2" in planned.out.splitlines(), planned.out
    assert "  ± route everything: caches: is True, should be False" in planned.out.splitlines()
    done = place.arriero("up", "--yes", "--no-gateway")
    assert done.code == 0, done.out + done.err
    assert place.arriero("plan").code == 0
    assert through(place, hand, keys.text) == 200


def test_a_rule_that_leads_past_it_is_found_and_removed(place: Place, session: dict[str, str], keys: Keys) -> None:
    elb = client(session, "elbv2", REGIONS["west"])
    arn = elb.describe_load_balancers(Names=["llm-west"])["LoadBalancers"][0]["LoadBalancerArn"]
    group = elb.describe_target_groups(Names=["llm-west"])["TargetGroups"][0]["TargetGroupArn"]
    conditions = [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/api/*"]}}]
    forward = [{"Type": "forward", "TargetGroupArn": group}]
    for listener in elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]:
        elb.create_rule(ListenerArn=listener["ListenerArn"], Priority=7, Conditions=conditions, Actions=forward)
    assert past(place, session, "west", keys.text) == 200
    told = [line for line in place.arriero("check").out.splitlines() if "[past-the-front-door]" in line]
    assert len(told) == 1, told
    assert "sites.west: load balancer llm-west answers others than the Front Door, too" in told[0]
    planned = place.arriero("plan").out
    assert "listeners.80.rules: is [forward to llm-west if the path is /api/*], should be not set" in planned, planned
    done = place.arriero("up", "--yes", "--no-gateway")
    assert done.code == 0, done.out + done.err
    assert place.arriero("plan").code == 0
    assert past(place, session, "west", keys.text) == 403


def test_without_it_load_balancers_answer_everybody_who_has_a_key(
    place: Place, session: dict[str, str], hand: Hand, keys: Keys
) -> None:
    (place.folder / "arriero.yaml").write_text(
        text(keys.arns, f"accounts: {{azure: '{hand.environment['AZURE_SUBSCRIPTION_ID']}'}}\n")
    )
    planned = place.arriero("plan")
    assert "front-door: Azure Front Door, with its resource group in westeurope, no longer in the spec" in planned.out
    done = place.arriero("up", "--yes", "--no-gateway")
    assert done.code == 0, done.out + done.err
    assert place.arriero("plan").code == 0
    assert [past(place, session, site, keys.text) for site in REGIONS] == [200, 200]
    listed = do(hand, "GET", "/resourceGroups", version="2022-09-01")["value"]
    assert [each["name"] for each in listed] == []


def test_down_leaves_nothing_of_it(place: Place, session: dict[str, str], hand: Hand, keys: Keys) -> None:
    (place.folder / "arriero.yaml").write_text(text(keys.arns))
    assert place.arriero("up", "--yes", "--no-gateway").code == 0
    assert past(place, session, "east", keys.text) == 403
    down = place.arriero("down", "--purge", "--yes")
    assert down.code == 0, down.out + down.err
    assert do(hand, "GET", "/resourceGroups", version="2022-09-01")["value"] == []
    for region in REGIONS.values():
        assert client(session, "elbv2", region).describe_load_balancers()["LoadBalancers"] == []
