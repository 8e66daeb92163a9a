"""Names of a user's own for a Front Door, and the firewall before it: what is planned, and what the DNS lacks."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from test_planned_front_door import NOTHING, as_wished, said, spec, world

from arriero.cli import door_lines
from arriero.clouds.azure import front_door_variables
from arriero.observe.status import Status
from arriero.plan import front_door
from arriero.plan import front_door_names as names
from arriero.plan.model import Facts, Resource, SiteFacts
from arriero.plan.wanted import aws_edges, azure_edges
from arriero.policy.reach_door import door_ways
from arriero.spec.model import Spec

HOSTS = ["llm.example.com", "a-b.example.com"]
POLICY = (
    "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/Waf/providers/Microsoft.Network/"
    "frontDoorWebApplicationFirewallPolicies/llm"
)
PATH = "/subscriptions/s/resourceGroups/llm-front-door/providers/Microsoft.Cdn/profiles/llm/customDomains"
WISH = spec({"hosts": HOSTS, "web_application_firewall": POLICY})


def standing(state: str = "Pending", wish: Spec = WISH, **changed: dict[str, Any]) -> SiteFacts:
    """A Front Door as wished, whose names are in that state; `changed` by kind without its cloud."""
    about = {"state": state, "token": "_0a1b", "expires": "2026-12-07"}
    found = as_wished(wish)
    made = [
        replace(
            each,
            id=f"{PATH}/{names.resource_name(each.name)}" if each.kind == names.KIND else "",
            details=about if each.kind == names.KIND else each.details,
            properties={**each.properties, **changed.get(each.kind.partition(".")[2], {})},
        )
        for each in found.resources
    ]
    return replace(found, resources=tuple(made))


def noted(wish: Spec, facts: Facts) -> list[str]:
    planned = front_door.plan(wish, facts)
    assert planned is not None
    return list(planned.notes)


def test_names_and_firewall_are_made_and_told_with_what_they_need() -> None:
    lines = said(WISH, world(NOTHING))
    assert "create azure.front_door_name a-b.example.com: it is not there" in lines
    assert "create azure.front_door_firewall arriero: it is not there" in lines
    needs = "needs two records in your DNS: once it is made, `arriero status` tells them"
    assert [note for note in noted(WISH, world(NOTHING)) if "DNS" in note] == [
        f"a-b.example.com {needs}",
        f"llm.example.com {needs}",
    ]


def test_one_that_waits_for_the_dns_is_no_change_but_is_told() -> None:
    facts = world(standing())
    assert said(WISH, facts) == []
    assert noted(WISH, facts)[1] == (
        'llm.example.com is Pending: write into your DNS TXT _dnsauth.llm.example.com "_0a1b" by 2026-12-07; '
        "CNAME llm.example.com to llm.fd"
    )
    assert door_lines.to_do_lines(facts.front_door)[1].startswith("Front Door: llm.example.com is Pending")


def test_approved_ones_are_told_by_status_alone() -> None:
    facts = world(standing("Approved"))
    assert noted(WISH, facts) == []
    assert door_lines.to_do_lines(facts.front_door) == []
    assert door_lines.to_do_lines(None) == []
    [_, name] = names.standing(facts.front_door)
    assert str(name) == "llm.example.com is Approved, and has to stay in your DNS: CNAME llm.example.com to llm.fd"


@pytest.mark.parametrize("state", names.LOST)
def test_one_that_is_lost_says_how_it_gets_another_token(state: str) -> None:
    told = noted(WISH, world(standing(state)))[1]
    assert told.startswith(f"llm.example.com is {state}: have Azure give another token")
    assert told.endswith(f"az afd custom-domain regenerate-validation-token --ids {PATH}/llm-example-com")


def test_status_tells_the_records() -> None:
    status = Status("llm", 1, None, (), front_door="llm.fd", front_door_names=names.standing(standing()))
    told: Any = json.loads(json.dumps(status.as_json()))["front_door"]
    assert told["url"] == "https://llm.fd"
    assert told["names"][1] == {
        "name": "llm.example.com",
        "state": "Pending",
        "records": {
            "cname": {"name": "llm.example.com", "value": "llm.fd"},
            "txt": {"name": "_dnsauth.llm.example.com", "value": "_0a1b", "expires": "2026-12-07"},
        },
    }
    assert replace(status, front_door_names=()).as_json()["front_door"] == {"url": "https://llm.fd"}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"front_door_name": {"least_tls": "TLS10"}}, "front_door_name llm.example.com: least_tls: is TLS10"),
        ({"route": {"names": ("llm.example.com",)}}, "route everything: names: is [llm.example.com], should be"),
        ({"front_door_firewall": {"policy": "/another"}}, "front_door_firewall arriero: policy: is /another"),
        ({"front_door_firewall": {"before": ("its own name",)}}, "front_door_firewall arriero: before: is [its own"),
    ],
)
def test_what_somebody_changed_is_told(changed: dict[str, Any], expected: str) -> None:
    assert [line for line in said(WISH, world(standing(**changed))) if line.startswith(f"update azure.{expected}")]


def test_what_is_not_asked_for_any_more_goes_and_its_records_are_remembered() -> None:
    less = spec({"hosts": ["llm.example.com"]})
    assert said(less, world(standing())) == [
        "update azure.route everything: names: is [a-b.example.com, llm.example.com], should be [llm.example.com]",
        f"remove azure.front_door_name a-b.example.com: {names.GONE}",
        "remove azure.front_door_firewall arriero: it carries our tags, and the spec no longer asks for it",
    ]


def test_no_two_names_are_kept_under_one() -> None:
    hosts = ("a-b.example.com", "a.b-example.com", "a.b.example.com", "a--b.example.com")
    assert len({names.resource_name(host) for host in hosts}) == len(hosts)


def variables(wish: Spec, found: SiteFacts) -> dict[str, Any]:
    facts = world(found)
    planned = front_door.plan(wish, facts)
    assert planned is not None
    return dict(front_door_variables.variables(wish, facts, planned))


def test_the_role_gets_names_as_they_are_kept_and_a_firewall_only_where_that_changes() -> None:
    made = variables(WISH, NOTHING)
    assert made["azure_front_door_hosts"] == [
        {"host": "a-b.example.com", "name": "a--b-example-com"},
        {"host": "llm.example.com", "name": "llm-example-com"},
    ]
    [firewall] = made["azure_front_door_firewalls"]
    [association] = firewall["parameters"]["associations"]
    ends = [each["id"].rpartition("/profiles/")[2] for each in association["domains"]]
    assert ends == ["llm/customDomains/a--b-example-com", "llm/customDomains/llm-example-com", "llm/afdEndpoints/llm"]
    assert firewall["parameters"]["wafPolicy"]["id"] == POLICY.lower()
    idle = variables(WISH, standing())
    assert (idle["azure_front_door_firewalls"], idle["azure_front_door_hosts_gone"]) == ([], [])
    less = variables(spec({}), standing())
    assert less["azure_front_door_hosts_gone"] == ["a--b-example-com", "llm-example-com"]
    assert less["azure_front_door_firewalls_gone"] == ["arriero"]


def test_edges_answer_to_the_names_in_both_clouds() -> None:
    hosts = aws_edges.settings(WISH.site("aws-east"), "llm-aws-east")["hosts"]
    assert set(HOSTS) <= set(hosts)
    site = WISH.site("azure-eu")
    told = azure_edges.settings(site, SiteFacts("azure-eu", "azure", "westeurope"), "llm-azure-eu", "10.64.64.0/18")
    assert set(HOSTS) <= set(told["hosts"])


def test_check_tells_the_names_by_which_it_is_reached() -> None:
    found = standing("Approved")
    assert isinstance(found.find(front_door.ROUTE), Resource)
    assert "Front Door llm (llm.fd, a-b.example.com, llm.example.com)" in str(door_ways(found).__next__())
