"""A Front Door in the exported module: what refers to what, what is imported, and what is said where that can't be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest
from terraform_blocks import DOOR_ID as ID
from terraform_specs import SPECS, nothing, spec
from terraform_standing import as_wished
from test_terraform import written

from arriero.errors import Problem, Refused
from arriero.pipeline.terraform import aws_ingress, module
from arriero.plan import front_door as wish_of_door
from arriero.plan.model import Facts, Resource, SiteFacts
from arriero.plan.wanted import aws_alb, aws_edges, azure_edges
from arriero.spec.model import Spec

ROLE = Path(module.__file__).parents[2] / "deploy/ansible/ansible_collections/arriero/fleet/roles/aws_site"
PINNED = "00000000-0000-0000-0000-00000000000b"
PROFILE = "/subscriptions/0a/resourceGroups/llm-front-door/providers/Microsoft.Cdn/profiles/llm"
NAMED = "behind a Front Door with names and a firewall"
CLOUDS = "sites of both clouds behind a Front Door"
DOOR, BOTH = "behind a Front Door", "two sites behind a premium Front Door, and one at Azure that is not"
BLOCK = re.compile(r'^resource "(\w+)" "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
REFERENCE = re.compile(r"\b(?:aws|azurerm|azapi)_\w+\.\w+")
EDGES, TARGETS = "aws_ecs_service.aws_east_edge", "aws_ecs_service.aws_east"
OF_DOOR = "azurerm_cdn_frontdoor_"


def needs(wish: Spec) -> Mapping[str, frozenset[str]]:
    """By address, all that Terraform makes before it, in both clouds."""
    files = module.files(wish, nothing(wish))
    blocks = BLOCK.findall(files["aws.tf"] + files["azure.tf"])
    direct = {f"{kind}.{label}": set(REFERENCE.findall(body)) for kind, label, body in blocks}
    found: dict[str, frozenset[str]] = {}
    for address in TopologicalSorter(direct).static_order():  # fails on a circle
        found[address] = frozenset(direct[address].union(*(found[each] for each in direct[address])))
    return found


def standing(wish: Spec, *, door: Mapping[str, Mapping[str, Any]] | None = None, **changed: Any) -> Facts:
    """A site and its Front Door as they are wished for; `changed` of the load balancer's details, `door` of its own
    things' properties and details, by kind.
    """
    about = {
        "dns_name": "llm.elb",
        "front_door": ID,
        "listeners": {"443": "arn:443", "80": "arn:80"},
        "rules": {"443": {"1": "arn:443/1", "2": "arn:443/2"}, "80": {}},
        **changed,
    }
    facts = as_wished(wish, "aws-east")
    east = facts.sites["aws-east"]
    details = {aws_alb.BALANCER: about, aws_edges.NAMES: {"arn": "arn:service/srv-1"}}
    there = tuple(replace(r, details=details.get(r.kind, r.details)) for r in east.resources)
    known = replace(facts, sites={"aws-east": replace(east, resources=there, front_door=ID)})
    made = tuple(_made(each, (door or {}).get(each.kind, {})) for each in wish_of_door.wanted(wish, known))
    return replace(known, front_door=SiteFacts("front-door", "azure", "westeurope", "0a", made))


def _made(wanted: Resource, changed: Mapping[str, Any]) -> Resource:
    """Azure's own answers have words in small letters, which its id here shows."""
    details = {"ours": True, "id": ID, "host": "llm.fd", **changed.get("details", {})}
    properties = {**wanted.properties, **changed.get("properties", {})}
    return replace(wanted, id=f"/subscriptions/0a/resourcegroups/{wanted.name}", properties=properties, details=details)


@pytest.mark.parametrize("known", ["", ID, None])
def test_load_balancers_answer_the_id_that_azure_will_give(known: str | None) -> None:
    """Whether it is there, or is not, or nobody can tell: the rules are the same, and so is the module."""
    wish = spec(SPECS[DOOR])
    facts = nothing(wish)
    sites = {name: replace(found, front_door=known) for name, found in facts.sites.items()}
    text = module.files(wish, replace(facts, sites=sites))["aws.tf"]
    assert text == module.files(wish, facts)["aws.tf"]
    assert f"values           = [{OF_DOOR}profile.front_door.resource_guid]" in text


def test_nobody_is_refused_in_other_words_than_the_roles() -> None:
    role = (ROLE / "tasks/ingress.yml").read_text()
    assert f"MessageBody: {aws_ingress.REFUSAL}\n" in role
    assert "ContentType: text/plain\n" in role
    assert re.findall(r'Priority: "(\d)"', role) == ["1", "2"]


@pytest.mark.parametrize("name", [DOOR, BOTH])
def test_edges_wait_for_the_lock_and_targets_for_nothing_at_azure(name: str) -> None:
    before = needs(spec(SPECS[name]))
    assert {f"{OF_DOOR}profile.front_door", "aws_lb_listener_rule.aws_east_443_2", TARGETS} <= before[EDGES]
    assert not [each for each in before[TARGETS] if each.startswith((OF_DOOR, "aws_lb"))]
    assert "aws_lb.aws_east" in before[f"{OF_DOOR}origin.aws_east"]
    origins = {each for each in before if each.startswith(f"{OF_DOOR}origin.")}
    assert origins <= before[f"{OF_DOOR}route.front_door"]


def test_all_of_it_that_stands_is_imported_by_ids_as_the_provider_takes_them(tmp_path: Path) -> None:
    wish = spec(SPECS[DOOR])
    read = written(wish, standing(wish), tmp_path)
    ids = {address: identity for address, identity in read.imports.items() if "front" in address or "rule" in address}
    assert ids == {
        "aws_lb_listener_rule.aws_east_443_1": "arn:443/1",
        "aws_lb_listener_rule.aws_east_443_2": "arn:443/2",
        "azurerm_resource_group.front_door": PROFILE.partition("/providers/")[0],
        f"{OF_DOOR}profile.front_door": PROFILE,
        f"{OF_DOOR}endpoint.front_door": f"{PROFILE}/afdEndpoints/llm",
        f"{OF_DOOR}origin_group.front_door": f"{PROFILE}/originGroups/sites",
        f"{OF_DOOR}origin.aws_east": f"{PROFILE}/originGroups/sites/origins/aws-east",
        f"{OF_DOOR}route.front_door": f"{PROFILE}/afdEndpoints/llm/routes/everything",
    }
    assert [each["subscription_id"] for each in read.providers if "subscription_id" in each] == ["0a"]
    readme = (tmp_path / "README.md").read_text()
    assert "| front-door | 6 | 6 |" in readme
    assert "\n## The Front Door\n" in readme


def test_names_and_firewall_are_imported_and_stand_before_the_route(tmp_path: Path) -> None:
    wish = spec(SPECS[NAMED])
    kept = {"llm.example.org": "by-hand", "1.a-b.example.org": "1-a--b-example-org"}
    facts = standing(wish)
    assert facts.front_door
    there = tuple(
        replace(r, id=f"{PROFILE}/customdomains/{kept[r.name]}") if r.name in kept else r
        for r in facts.front_door.resources
    )
    read = written(wish, replace(facts, front_door=replace(facts.front_door, resources=there)), tmp_path)
    new = ("custom_domain", "security_policy")
    assert {key: value for key, value in read.imports.items() if any(each in key for each in new)} == {
        f"{OF_DOOR}custom_domain.name_1_a__b_example_org": f"{PROFILE}/customDomains/1-a--b-example-org",
        f"{OF_DOOR}custom_domain.name_llm_example_org": f"{PROFILE}/customDomains/by-hand",
        f"{OF_DOOR}security_policy.front_door": f"{PROFILE}/securityPolicies/arriero",
    }
    before = needs(wish)[f"{OF_DOOR}route.front_door"]
    assert {f"{OF_DOOR}security_policy.front_door", f"{OF_DOOR}custom_domain.name_llm_example_org"} <= before


def test_what_is_missing_is_made_anew_and_a_rule_in_a_place_of_ours_is_taken_over(tmp_path: Path) -> None:
    wish = spec(SPECS[DOOR])
    facts = standing(wish, rules={"443": {"2": "arn:443/somebodys", "7": "arn:443/another"}})
    assert facts.front_door
    left = tuple(each for each in facts.front_door.resources if each.kind != wish_of_door.ROUTE)
    read = written(wish, replace(facts, front_door=replace(facts.front_door, resources=left)), tmp_path)
    assert f"{OF_DOOR}route.front_door" not in read.imports
    assert {key: value for key, value in read.imports.items() if "rule" in key} == {
        "aws_lb_listener_rule.aws_east_443_2": "arn:443/somebodys"
    }


def test_one_that_could_not_be_read_is_written_without_imports_and_that_is_said(tmp_path: Path) -> None:
    wish = spec({**SPECS[DOOR], "accounts": {"azure": PINNED}})
    lost = SiteFacts("front-door", "azure", "westeurope", problem=Problem("Azure gave no answer", "try again"))
    read = written(wish, replace(standing(wish), front_door=lost), tmp_path)
    assert f"{OF_DOOR}profile.front_door" in read.resources
    assert not [address for address in read.imports if address.startswith("azurerm")]
    said = (tmp_path / "imports.tf").read_text()
    assert "# front-door could not be read: Azure gave no answer; try again\n# Nothing of it is imported." in said
    assert "| front-door | 6 | nothing: it could not be read |" in (tmp_path / "README.md").read_text()
    assert [each["subscription_id"] for each in read.providers if "subscription_id" in each] == [PINNED]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({wish_of_door.GROUP: {"details": {"ours": False}}}, "there is a resource group llm-front-door already"),
        ({wish_of_door.PROFILE: {"properties": {"sku": "Premium_AzureFrontDoor"}}}, "which is for good here"),
    ],
)
def test_what_a_deployment_would_refuse_is_refused(changed: Mapping[str, Any], said: str) -> None:
    wish = spec(SPECS[DOOR])
    with pytest.raises(Refused, match=rf"ingress\.front_door.*{said}"):
        module.files(wish, standing(wish, door=changed))


def test_a_module_without_one_says_nothing_of_it() -> None:
    wish = spec(SPECS["behind edges"])
    whole = "".join(module.files(wish, nothing(wish)).values())
    assert "front" not in whole.lower()
    assert "aws_lb_listener_rule" not in whole


def test_edges_at_azure_answer_it_alone_and_are_asked_under_their_own_name() -> None:
    wish = spec(SPECS[CLOUDS])
    text = module.files(wish, nothing(wish))["azure.tf"]
    [told] = re.findall(r"front_door_id += (.*)", text)
    assert told == f"{OF_DOOR}profile.front_door.resource_guid"
    assert azure_edges.DOOR_TO_COME not in text
    origin = f"{OF_DOOR}origin.azure_east"
    before = needs(wish)
    assert "azapi_resource.azure_east_edges" in before[origin]
    assert f"{OF_DOOR}profile.front_door" in before["azapi_resource.azure_east_edges"]
    assert origin in before[f"{OF_DOOR}route.front_door"]


def test_edges_at_azure_without_one_are_told_of_none() -> None:
    wish = spec({**SPECS[CLOUDS], "ingress": {"edges": SPECS[CLOUDS]["ingress"]["edges"]}})
    assert "front" not in "".join(module.files(wish, nothing(wish)).values()).lower()
