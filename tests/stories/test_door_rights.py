"""A site of AWS behind a Front Door under exactly the permissions that are exported for both: made, set right after
hands, left without its Front Door, given one again, and removed.

The tests of this file go on from one another, in their order, on one stage.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from places import Place, open_spec, wait_for
from rights import documents, fails_without, spare_of

from arriero.catalog import permissions
from key_vault import MANAGEMENT, Hand
from way_in import connected_as, key_and_hashes

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long, pytest.mark.timeout(900)]

SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {{min: 1, by: hand}}
deploy: {{stop_within: 5s}}
accounts: {{aws: "123456789012", azure: 00000000-0000-0000-0000-000000000001}}
sites:
  east: {{cloud: aws, region: us-east-1}}
ingress:
  alb:
    hosts: [llm.example.com]
    certificates: ['arn:aws:acm:us-east-1:123456789012:certificate/0a1b']
    scheme: internet-facing
    allow_from: ['0.0.0.0/0']
    edges: {{keys: ['{keys}']}}
"""
PLAIN_DOOR = "  front_door: {region: westeurope}\n"
NAME = "llm.example.org"
POLICY = (
    "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/waf/providers/Microsoft.Network/"
    "frontDoorWebApplicationFirewallPolicies/llm"
)
DOOR = f"""\
  front_door:
    region: westeurope
    hosts: [{NAME}]
    web_application_firewall: {POLICY}
"""
PROFILE = "/resourceGroups/llm-front-door/providers/Microsoft.Cdn/profiles/llm"
# Of the edges: the settings that their definition holds.
CHANGED = "gateway: {hosts: [other.example.com]}\n"
UP = ["up", "--no-gateway"]
TAKEN_AWAY = "Microsoft.Cdn/profiles/origingroups/write"


class Stranger:
    """Somebody who changes what stands by hand; what that calls is not the deployer's."""

    def __init__(self, place: Place) -> None:
        self._place, self._session = place, place.environment()
        self._hand, self.calls = Hand(self._session), set[int]()

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=self._session["AWS_ENDPOINT_URL"],
            aws_access_key_id=self._session["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self._session["AWS_SECRET_ACCESS_KEY"],
        )

    @contextmanager
    def at_work(self) -> Iterator[None]:
        before = len(self._place.calls())
        yield
        self.calls |= set(range(before, len(self._place.calls())))

    def change(self, path: str, **properties: object) -> None:
        where = self._hand.managed(f"{PROFILE}/{path}")
        found = self._hand.ask("GET", where, None, "2024-02-01", MANAGEMENT).json()
        body = {**found, "properties": {**found["properties"], **properties}}
        told = self._hand.ask("PUT", where, body, "2024-02-01", MANAGEMENT)
        assert told.status_code < 300, told.text

    def lead_elsewhere(self) -> None:
        path = f"{PROFILE}/originGroups/sites/origins"
        of_ours = self._hand.ask("GET", self._hand.managed(f"{path}/east"), None, "2024-02-01", MANAGEMENT).json()
        body = {"properties": {**of_ours["properties"], "hostName": "elsewhere.example.com"}}
        told = self._hand.ask("PUT", self._hand.managed(f"{path}/elsewhere"), body, "2024-02-01", MANAGEMENT)
        assert told.status_code < 300, told.text

    def guard_less(self) -> None:
        """The firewall before one path alone."""
        path = "securityPolicies/arriero"
        found = self._hand.ask("GET", self._hand.managed(f"{PROFILE}/{path}"), None, "2024-02-01", MANAGEMENT).json()
        parameters = found["properties"]["parameters"]
        parameters["associations"][0]["patternsToMatch"] = ["/healthz"]
        self.change(path, parameters=parameters)

    def let_in_another(self) -> None:
        """Another Front Door than the load balancer's own."""
        balancing = self.client("elbv2")
        [balancer] = balancing.describe_load_balancers(Names=["llm-east"])["LoadBalancers"]
        listeners = balancing.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
        arn = next(each["ListenerArn"] for each in listeners if each["Protocol"] == "HTTPS")
        rule = next(each for each in balancing.describe_rules(ListenerArn=arn)["Rules"] if each["Priority"] == "1")
        header = {"HttpHeaderName": "X-Azure-FDID", "Values": ["00000000-0000-0000-0000-000000000002"]}
        conditions = [{"Field": "http-header", "HttpHeaderConfig": header}]
        balancing.modify_rule(RuleArn=rule["RuleArn"], Conditions=conditions)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    keys = "arn:aws:secretsmanager:us-east-1:123456789012:secret:llm/keys-AbCdEf"
    for found in open_spec(tmp_path_factory.mktemp("door"), SPEC.format(keys=keys)):
        assert found.arriero("rehearse", "start").code == 0
        yield found
        found.arriero("rehearse", "start")  # all may be done again: what a failed test left is removed


@pytest.fixture(scope="module")
def stranger(place: Place) -> Stranger:
    return Stranger(place)


@pytest.fixture(scope="module")
def without(place: Place, stranger: Stranger, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The spec's text but for the Front Door, once the secret is there that holds the edges' keys."""
    with stranger.at_work():
        _, hashes = key_and_hashes(tmp_path_factory.mktemp("keys"))
        arn = stranger.client("secretsmanager").create_secret(Name="llm/keys", SecretString=hashes)["ARN"]
    text = SPEC.format(keys=arn)
    (place.folder / "arriero.yaml").write_text(text + DOOR)
    return text


def done(place: Place, words: list[str], spec: str) -> str:
    (place.folder / "arriero.yaml").write_text(spec)
    ended = place.arriero(*words, "--yes")
    assert ended.code == 0, ended.err + ended.out
    return ended.out


def told(place: Place) -> dict[str, Any]:
    """What status says of the name."""
    [name] = place.arriero("status", "--json").json["front_door"]["names"]
    return dict(name)


def test_a_deployment_that_may_not_lead_anywhere_fails_and_names_it(place: Place, without: str) -> None:
    fails_without(place, TAKEN_AWAY)
    assert "azure-role.json" in documents(place.folder / "iam")


def test_under_exactly_these_permissions_it_is_made(place: Place, without: str) -> None:
    assert place.arriero("rehearse", "start", "--permissions", "iam").code == 0
    said = done(place, UP, without + DOOR)
    assert f"Front Door: {NAME} is Pending: write into your DNS TXT _dnsauth.{NAME}" in said
    plan = place.arriero("plan")
    assert plan.code == 0, plan.out
    assert f"  note: {NAME} is Pending" in plan.out


def test_its_name_serves_once_its_record_is_in_the_dns(place: Place) -> None:
    records = told(place)["records"]
    (place.stage / "records.json").write_text(json.dumps({records["txt"]["name"]: records["txt"]["value"]}))
    assert wait_for(lambda: told(place)["state"] == "Approved", 30)
    address = records["cname"]["value"]
    connection = connected_as(place.stage / "doors" / address / NAME / "ca.pem", NAME, address)
    connection.request("GET", "/readyz")
    assert connection.getresponse().status == 200
    assert f"{NAME} is Approved" in place.arriero("status").out
    assert "Front Door:" not in done(place, UP, (place.folder / "arriero.yaml").read_text())


def test_its_modules_find_nothing_to_change(place: Place, stranger: Stranger) -> None:
    with stranger.at_work():
        played = place.play("arriero.fleet.front_door")
    assert re.search(r"front-door +: ok=[1-9]\d* +changed=0 ", played), played


def test_what_somebody_changed_is_set_right(place: Place, without: str, stranger: Stranger) -> None:
    with stranger.at_work():
        stranger.change("afdEndpoints/llm", enabledState="Disabled")
        stranger.change("originGroups/sites", sessionAffinityState="Enabled")
        stranger.change(
            "afdEndpoints/llm/routes/everything", cacheConfiguration={"queryStringCachingBehavior": "UseQueryString"}
        )
        stranger.change("afdEndpoints/llm/routes/everything", customDomains=[])
        stranger.change(
            "customDomains/llm-example-org",
            tlsSettings={"certificateType": "ManagedCertificate", "minimumTlsVersion": "TLS10"},
        )
        stranger.guard_less()
        stranger.lead_elsewhere()
        stranger.let_in_another()
    planned = place.arriero("plan").out.splitlines()
    assert f"  ~ front door name {NAME}: least_tls: is TLS10, should be TLS12" in planned
    assert "  ~ front door firewall arriero: patterns: is [/healthz], should be [/*]" in planned
    done(place, UP, without + DOOR)
    assert place.arriero("plan").code == 0
    assert told(place)["state"] == "Approved"


def test_without_names_and_firewall_it_goes_on_under_its_own(place: Place, without: str) -> None:
    planned = done(place, UP, without + PLAIN_DOOR)
    assert f"  - front door name {NAME}: the spec no longer asks for it; take its records out of your DNS" in planned
    assert place.arriero("plan").code == 0
    assert set(place.arriero("status", "--json").json["front_door"]) == {"url"}
    done(place, UP, without + DOOR)
    assert told(place)["state"] == "Pending"  # by another token than the one that is in the DNS


def test_it_is_taken_away_put_back_before_other_edges_and_removed(place: Place, without: str) -> None:
    done(place, UP, without)
    done(place, UP, without + DOOR + CHANGED)
    done(place, ["down", "--purge"], without + DOOR + CHANGED)


def test_the_table_knows_every_call_the_policies_allow_each_and_each_action_is_needed(
    place: Place, stranger: Stranger
) -> None:
    calls = [call for number, call in enumerate(place.calls()) if number not in stranger.calls]
    given = documents(place.folder / "iam")
    assert len(calls) > 500
    assert {call["cloud"] for call in calls if call.get("needs")} == {"aws", "azure"}
    assert spare_of(given, calls) <= {*permissions.calls("aws").besides, *permissions.calls("azure").besides}
