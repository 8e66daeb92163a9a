from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from azure_sites import planned, site

from arriero.clouds.azure import variables
from arriero.plan.model import Resource, SiteFacts
from arriero.plan.wanted import azure as wish
from arriero.plan.wanted import azure_edges

EMPTY = SiteFacts("azure-east", "azure", "eastus", account="0000")
OURS = {"arriero-service": "llm", "arriero-site": "azure-east"}


def test_a_new_site_gets_its_steps_and_its_groups_in_the_words_of_the_module() -> None:
    values: Any = variables.site_variables(site(), planned(site(), EMPTY), EMPTY)
    assert values["azure_site_steps"] == ["group", "network", "targets"]
    assert [group["name"] for group in values["azure_site_groups"]] == ["llm-azure-east-r1-1", "llm-azure-east-r1-2"]
    ollama, sidecar = values["azure_site_groups"][0]["containers"]
    assert (ollama["image"], ollama["cpu"], ollama["memory"], ollama["ports"]) == ("acme/llm:1", 3.8, 15.7, [])
    assert {"name": "OLLAMA_HOST", "value": "127.0.0.1:11435"} in ollama["environment_variables"]
    assert (sidecar["name"], sidecar["image"], sidecar["ports"]) == ("sidecar", "acme/llm:1", [11434])
    assert sidecar["commands"] == ["arriero", "gateway", "sidecar"]
    assert values["azure_site_subnet_id"].startswith("/subscriptions/0000/resourceGroups/llm-azure-east/")


def test_spares_are_handed_over_as_a_profile_only_where_that_differs_and_as_a_pool_without_its_revision() -> None:
    wanted = site(scale={"spares": 3})
    values: Any = variables.site_variables(wanted, planned(wanted, EMPTY), EMPTY)
    assert values["azure_site_group_tags"] == {"arriero-spares": "kept"}
    [profile], [pool] = values["azure_site_profiles"], values["azure_site_pools"]
    assert "subnetIds" not in profile["body"]["properties"]
    assert [each["name"] for each in profile["body"]["properties"]["containers"]] == ["ollama", "sidecar"]
    assert pool["body"]["properties"]["elasticityProfile"] == {"maxReadyCapacity": 3, "refillPolicy": "always"}
    place = "/subscriptions/0000/resourceGroups/llm-azure-east/providers/Microsoft.ContainerInstance"
    assert pool["body"]["properties"]["containerGroupProperties"] == {
        "containerGroupProfile": {"id": f"{place}/containerGroupProfiles/llm-azure-east"},
        "subnetIds": [{"id": values["azure_site_subnet_id"]}],
    }
    there = replace(EMPTY, resources=wish.wanted(wanted, EMPTY, 1, 2, "0123456789ab"))
    kept: Any = variables.site_variables(wanted, planned(wanted, there), there)
    assert (kept["azure_site_profiles"], len(kept["azure_site_pools"])) == ([], 1)
    gone: Any = variables.site_variables(site(), planned(site(), there), there)
    assert (gone["azure_site_pools"], gone["azure_site_group_tags"], gone["azure_site_steps"]) == ([], {}, ["retire"])
    assert gone["azure_site_retired_pools"] == ["spares"]
    assert gone["azure_site_retired_profiles"] == ["llm-azure-east"]


def test_what_the_module_cannot_express_goes_as_a_whole_body() -> None:
    wanted = site(deploy={"hung_after": "60s"})
    values: Any = variables.site_variables(wanted, planned(wanted, EMPTY), EMPTY)
    ollama, sidecar = values["azure_site_groups"][0]["body"]["properties"]["containers"]
    assert ollama["properties"]["livenessProbe"] == {
        "exec": {"command": ["ollama", "list"]},
        "periodSeconds": 10,
        "failureThreshold": 6,
    }
    assert "livenessProbe" not in sidecar["properties"]
    assert sidecar["properties"]["command"] == ["arriero", "gateway", "sidecar"]
    assert "containers" not in values["azure_site_groups"][0]


def test_groups_that_are_there_are_not_handed_over_and_replaced_ones_are_named() -> None:
    there = replace(EMPTY, resources=wish.wanted(site(), EMPTY, 1, 2, "a"))
    values = variables.site_variables(site(), planned(site(), there, count=1, digest="a"), there)
    assert values["azure_site_groups"] == []
    assert values["azure_site_retired_groups"] == ["llm-azure-east-r1-2"]
    assert values["azure_site_steps"] == ["retire"]


@pytest.mark.parametrize(("ours", "owned"), [(True, True), (False, False)])
def test_a_resource_group_of_somebody_else_is_neither_tagged_nor_deleted(ours: bool, owned: bool) -> None:
    found = replace(EMPTY, resources=(parent(ours),))
    assert variables.site_variables(site(), planned(site(), found), found)["azure_site_owns_group"] is owned
    assert variables.removal_variables(found, purge=True)["azure_site_owns_group"] is owned


def test_where_nothing_is_there_nothing_is_removed() -> None:
    values = variables.removal_variables(EMPTY, purge=True)
    assert (values["azure_site_owns_group"], values["azure_site_parts"]) == (False, [])


def test_from_somebody_elses_group_only_our_things_go_in_the_order_azure_allows() -> None:
    things = [replace(r, tags=OURS) for r in wish.wanted(site(), EMPTY, 1, 1, "a")[1:]]
    strange = Resource("azure.public_ip", "theirs", tags={})
    found = replace(EMPTY, resources=(parent(ours=False), strange, *things))
    parts: Any = variables.removal_variables(found, purge=False)["azure_site_parts"]
    assert [part["type"] for part in parts] == [
        "containerGroups",
        "virtualNetworks",
        "natGateways",
        "publicIPAddresses",
        "networkSecurityGroups",
    ]
    assert "theirs" not in {part["name"] for part in parts}


def test_a_nat_gateway_that_holds_an_address_of_somebody_else_stays() -> None:
    theirs = Resource("azure.nat_gateway", "llm-azure-east", {"public_ips": ("theirs",)})
    found = replace(EMPTY, resources=(parent(ours=False), theirs))
    assert variables.removal_variables(found, purge=True)["azure_site_parts"] == []


def parent(ours: bool) -> Resource:
    return Resource("azure.resource_group", "llm-azure-east", {"location": "eastus"}, details={"ours": ours})


IDENTITY = "/subscriptions/0000/resourceGroups/llm/providers/Microsoft.ManagedIdentity/userAssignedIdentities/llm-edge"
EDGES = {"keys": "https://llm-vault.vault.azure.net/secrets/llm-keys", "identity": IDENTITY.replace("0000", "0" * 36)}
DOOR, OTHER = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0", "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f1"


@pytest.mark.parametrize(
    ("standing", "door", "expected"),
    [
        (None, DOOR, DOOR),
        (None, "", azure_edges.NO_DOOR),
        (None, None, azure_edges.NO_DOOR),
        (OTHER, "", azure_edges.NO_DOOR),
        (OTHER, DOOR, DOOR),
        ("", DOOR, DOOR),
        ("", "", ""),  # they answer everybody, and go on so
        ("", None, ""),
    ],
)
def test_edges_are_told_a_front_door_that_nobody_can_name_until_one_is_known(
    standing: str | None, door: str | None, expected: str
) -> None:
    wanted = site(ingress={"edges": EDGES, "front_door": {}})
    stands = Resource(
        azure_edges.APP_KIND, "llm-azure-east-edge", {"environment": "old"}, details={"front_door": standing}
    )
    found = replace(EMPTY, front_door=door, resources=(stands,) if standing is not None else ())
    values: Any = variables.site_variables(wanted, planned(wanted, found), found)
    [edges] = values["azure_site_edges"]
    assert edges["front_door"] == expected
