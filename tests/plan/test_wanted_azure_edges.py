"""What edges of a site at Azure are: the container app, its names and settings, who reaches targets then; and a Front
Door that leads to them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from arriero.clouds.azure import edge_variables
from arriero.clouds.read import with_front_door
from arriero.errors import Problem
from arriero.plan import front_door
from arriero.plan.model import Facts, Resource, SiteFacts
from arriero.plan.wanted import azure as wish
from arriero.plan.wanted import azure_edges
from arriero.policy import reach
from arriero.spec.model import Spec

ID = "11111111-2222-3333-4444-555555555555"
IDENTITY = (
    "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/Llm/providers/"
    "Microsoft.ManagedIdentity/userAssignedIdentities/llm-edge"
)
EDGES = {"keys": "https://llm-vault.vault.azure.net/secrets/llm-keys", "identity": IDENTITY}
DOMAIN = "calm-1234.westeurope.azurecontainerapps.io"
HOST = f"llm-eu-edge.{DOMAIN}"
NOWHERE = SiteFacts("eu", "azure", "westeurope", "the subscription")
PLACE = {"subnet": "llm-eu/edges", "is_internal": False}
AROUND = Resource(azure_edges.ENVIRONMENT_KIND, "llm-eu-edge", PLACE, details={"domain": DOMAIN})
ELSEWHERE = replace(AROUND, properties={**PLACE, "subnet": "others/edges"})


def spec(edges: dict[str, Any] | None = None, door: bool = False, **changes: Any) -> Spec:
    ingress = {**({"edges": {**EDGES, **edges}} if edges is not None else {}), **({"front_door": {}} if door else {})}
    whole = {
        "name": "llm",
        "image": "acme/llm:1",
        "models": ["llama2"],
        "sites": {"eu": {"cloud": "azure", "region": "westeurope"}},
        "ingress": ingress,
        **changes,
    }
    return Spec.model_validate(whole)


def wanted(wished: Spec, found: SiteFacts = NOWHERE, count: int = 2) -> dict[str, Resource]:
    """By kind; of container groups the last one."""
    return {each.kind: each for each in wish.wanted(wished.site("eu"), found, 1, count, "0123456789ab")}


def app(wished: Spec, found: SiteFacts = NOWHERE) -> dict[str, Any]:
    return dict(wanted(wished, found)[azure_edges.APP_KIND].properties)


def test_a_site_without_edges_has_none_of_it() -> None:
    kinds = {*azure_edges.KINDS, *azure_edges.LATER_KINDS}
    assert not kinds & wanted(spec()).keys()


def test_the_app_is_made_of_the_targets_image_and_reads_its_keys_by_reference() -> None:
    found = app(spec({"count": 3}))
    assert found["replicas"] == (3, 3)
    assert found["ingress"] == {"external": True, "transport": "http", "port": 11434, "insecure": False}
    assert found["keys"] == {"secret": EDGES["keys"], "identity": IDENTITY.lower()}
    assert found["registries"] == {}
    container = found["container"]
    assert (container["image"], container["cpu"], container["memory_gib"]) == ("acme/llm:1", 0.5, 1.0)
    assert container["command"] == ("arriero", "gateway", "edge")


def test_an_image_of_azures_registry_is_pulled_with_the_same_identity() -> None:
    assert app(spec({}, image="acme.azurecr.io/llm:1"))["registries"] == {"acme.azurecr.io": IDENTITY.lower()}


@pytest.mark.parametrize(
    ("found", "hosts"),
    [
        (NOWHERE, ("@EDGE_HOST@", "a.example.com", "z.example.com")),
        (replace(NOWHERE, resources=(AROUND,)), (HOST, "a.example.com", "z.example.com")),
        # One that has to be made anew takes its name along.
        (replace(NOWHERE, resources=(ELSEWHERE,)), ("@EDGE_HOST@", "a.example.com", "z.example.com")),
    ],
)
def test_its_own_name_is_among_its_hosts_known_or_not(found: SiteFacts, hosts: tuple[str, ...]) -> None:
    settings = app(spec({}, gateway={"hosts": ["z.example.com", "a.example.com"]}), found)["settings"]
    assert settings["hosts"] == hosts
    assert settings["targets_dns"] == "targets.llm-eu.arriero.internal:11434"
    assert settings["trusted_proxies"] == ("10.64.64.0/18",)


@pytest.mark.parametrize(
    ("told", "standing", "expected"),
    [
        (ID, "", ID),
        ("", "", "@FRONT_DOOR_ID@"),
        (None, "", "@FRONT_DOOR_ID@"),
        (None, ID, ID),  # one that can't be read may be there all the same
    ],
)
def test_it_answers_the_front_door_alone(told: str | None, standing: str, expected: str) -> None:
    stands = Resource(azure_edges.APP_KIND, "llm-eu-edge", details={"front_door": standing})
    found = replace(NOWHERE, front_door=told, resources=(stands,) if standing else ())
    assert app(spec({}, door=True), found)["settings"]["front_door_id"] == expected


def test_without_one_it_answers_everybody_or_who_comes_through_one_of_yours() -> None:
    assert "front_door_id" not in app(spec({}))["settings"]
    assert app(spec({}, gateway={"front_door": ID}))["settings"]["front_door_id"] == ID


def test_targets_are_named_and_reached_from_the_edges_alone() -> None:
    made = wanted(spec({}))
    assert made[azure_edges.RECORDS_KIND].properties["targets"] == ("llm-eu-r1-1", "llm-eu-r1-2")
    assert made[azure_edges.SUBNET_KIND].properties["prefix"] == "10.64.64.0/18"
    rules = made["azure.network_security_group"].properties["rules"]
    assert isinstance(rules, dict)
    assert rules["allow-ollama"] == "100 inbound allow tcp from 10.64.64.0/18 to *:11434"
    assert wanted(spec({}), count=0)[azure_edges.RECORDS_KIND].properties["targets"] == ()


def test_a_change_of_edges_is_no_release() -> None:
    first, second = (wish.definition(each.site("eu")) for each in (spec({}), spec({"count": 5})))
    assert first == second == wish.definition(spec().site("eu"))


def test_everybody_reaches_them_and_that_is_told() -> None:
    told = {"ingress": {"external": True}, "clients": (), "settings": {"front_door_id": ID}}
    [way] = reach.ways(replace(NOWHERE, resources=(Resource(azure_edges.APP_KIND, "llm-eu-edge", told),)))
    assert str(way).endswith(
        f"through the edges llm-eu-edge, which ask for keys and for X-Azure-FDID {ID}, to port 11434 of the targets"
    )


@pytest.mark.parametrize(
    ("written", "expected", "said"),
    [
        ([], (), "everybody"),
        (["203.0.113.0/24", "10.0.0.0/8"], ("10.0.0.0/8", "203.0.113.0/24"), "10.0.0.0/8 and 203.0.113.0/24"),
        (["203.0.113.0/24", "0.0.0.0/0"], (), "everybody"),
    ],
)
def test_ranges_of_clients_are_rules_of_the_ingress(written: list[str], expected: tuple[str, ...], said: str) -> None:
    wished = spec({"allow_from": written})
    assert app(wished)["clients"] == expected
    assert f"reached by {said} over https" in azure_edges.notes(wished.site("eu"))[0]
    made = edge_variables.body(wanted(wished)[azure_edges.APP_KIND], "around")
    ingress: Any = made["properties"]["configuration"]["ingress"]  # type: ignore[index,call-overload]
    assert [each["ipAddressRange"] for each in ingress["ipSecurityRestrictions"]] == list(expected)
    assert {each["action"] for each in ingress["ipSecurityRestrictions"]} <= {"Allow"}


@pytest.mark.parametrize(
    ("clients", "expected"),
    [
        ((), ["everybody"]),
        (("10.0.0.0/8", "203.0.113.0/24"), ["10.0.0.0/8", "203.0.113.0/24"]),
        (("not 10.0.0.0/8", "not 203.0.113.7/32"), ["everybody but 10.0.0.0/8, 203.0.113.7/32"]),
    ],
)
def test_who_reaches_them_is_told_by_the_rules_that_stand(clients: tuple[str, ...], expected: list[str]) -> None:
    told = {"ingress": {"external": True}, "clients": clients, "settings": {}}
    ways = reach.ways(replace(NOWHERE, resources=(Resource(azure_edges.APP_KIND, "llm-eu-edge", told),)))
    assert [way.sources for way in ways] == expected


def origins(found: SiteFacts) -> list[dict[str, Any]]:
    facts = with_front_door(Facts("llm", {"eu": found}), SiteFacts("front-door", "azure", "westeurope"))
    wished = front_door.wanted(spec({}, door=True), facts)
    return [dict(each.properties) for each in wished if each.kind == front_door.ORIGIN]


def test_a_front_door_leads_to_them_under_their_own_name() -> None:
    stands = Resource(azure_edges.APP_KIND, "llm-eu-edge", details={"host": HOST})
    [unmade] = origins(NOWHERE)
    assert "host" not in unmade
    [made] = origins(replace(NOWHERE, resources=(AROUND, stands)))
    assert (made["host"], made["host_header"], made["checks_name"]) == (HOST, HOST, True)
    assert front_door.outside(spec({}, door=True)) == ()
    assert front_door.outside(spec(door=True)) == ("eu",)


def test_one_that_can_not_be_read_is_told_as_for_aws() -> None:
    lost = SiteFacts("front-door", "azure", "westeurope", problem=Problem("is away", "wait"))
    facts = with_front_door(Facts("llm", {"eu": NOWHERE}), lost)
    planned = front_door.plan(spec({}, door=True), facts)
    assert planned is not None
    assert planned.problem == lost.problem
