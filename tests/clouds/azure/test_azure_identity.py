"""Targets whose image is pulled with an identity, against the emulated Azure: made, read as wished, and copied."""

from __future__ import annotations

from typing import Any

import pytest
from azure_sites import REF, Azure, allowed, planned, site, wait_for
from test_facts import SITE, make_parent, put

from arriero.clouds.azure import app_scaling, facts, groups, identities, scaling, variables
from arriero.plan.model import SiteFacts
from arriero.plan.wanted import azure_files
from arriero.plan.wanted.azure import GROUP_KIND
from arriero.rehearse.azure.world import SUBSCRIPTION

PATH = "/resourceGroups/ids/providers/Microsoft.ManagedIdentity/userAssignedIdentities/llm-pull"
IDENTITY = f"/subscriptions/{SUBSCRIPTION}{PATH}"
REGISTRY = {"server": "llmregistry.azurecr.io", "identity": IDENTITY.lower()}
GIVEN = {"type": "UserAssigned", "userAssignedIdentities": {IDENTITY.lower(): {}}}
EMPTY = SiteFacts("azure-east", "azure", "eastus", account=SUBSCRIPTION)


def pulling(**changes: Any) -> Any:
    own = {"registry_identity": IDENTITY, **changes.pop("site", {})}
    return site(image="llmregistry.azurecr.io/acme/llm:1", site=own, **changes)


def told(wanted: Any) -> Any:
    return variables.site_variables(wanted, planned(wanted, EMPTY), EMPTY)


def make_identity(azure: Azure) -> None:
    put(azure, "/resourceGroups/ids", "2022-09-01", {"location": "eastus"})
    put(azure, PATH, "2023-01-31", {"location": "eastus"})


def test_ansibles_own_module_is_told_where_to_pull_and_with_what() -> None:
    assert [each["registry"] for each in told(pulling())["azure_site_groups"]] == [REGISTRY, REGISTRY]
    assert not any("registry" in each for each in told(site())["azure_site_groups"])


@pytest.mark.parametrize(
    "changes",
    [
        {"deploy": {"hung_after": "1m"}},
        {"models": ["llama2", {"name": "llama2:70b", "from": "storage"}]},
        {"logs": {"to_workspace": True}},
    ],
)
def test_every_other_way_to_make_a_group_says_it_too(changes: dict[str, Any]) -> None:
    for each in told(pulling(**changes))["azure_site_groups"]:
        assert each["body"]["identity"] == GIVEN
        assert each["body"]["properties"]["imageRegistryCredentials"] == [REGISTRY]
    for each in told(site(**changes))["azure_site_groups"]:
        assert "identity" not in each["body"]
        assert "imageRegistryCredentials" not in each["body"]["properties"]


def test_the_job_that_fills_the_storage_pulls_the_same_way() -> None:
    [job] = told(pulling(models=["llama2", {"name": "llama2:70b", "from": "storage"}]))["azure_site_seedings"]
    assert job["body"]["identity"] == GIVEN
    assert job["body"]["properties"]["imageRegistryCredentials"] == [REGISTRY]
    wanted = pulling(models=["llama2", {"name": "llama2:70b", "from": "storage"}])
    cleaning: Any = variables.cleaning_variables(wanted, planned(wanted, EMPTY), EMPTY, {}, "report.json")
    assert cleaning["azure_site_cleanings"][0]["body"]["identity"] == GIVEN
    assert azure_files.seeding(wanted).keys() == {"ollama", "seed"}


def test_an_app_with_a_gpu_has_it_and_so_has_its_copy() -> None:
    [first, _] = told(pulling(site={"gpu": "T4"}))["azure_site_apps"]
    body = first["body"]
    assert body["identity"] == GIVEN
    assert body["properties"]["configuration"]["registries"] == [REGISTRY]
    # What Azure adds to it.
    seen: Any = {**body, "identity": {**GIVEN, "userAssignedIdentities": {IDENTITY.lower(): {"clientId": "c"}}}}
    seen["properties"]["configuration"]["registries"] = [{**REGISTRY, "username": "", "passwordSecretRef": ""}]
    again = app_scaling.copy(seen, 20001)
    assert again["identity"] == GIVEN
    assert again["properties"]["configuration"]["registries"] == [REGISTRY]
    [plain, _] = told(site(site={"gpu": "T4"}))["azure_site_apps"]
    assert "identity" not in plain["body"]
    assert "registries" not in plain["body"]["properties"]["configuration"]


def test_a_login_to_a_registry_is_no_identity() -> None:
    assert identities.told({}, [{"server": "registry.example.com", "username": "puller"}]) == {}
    assert identities.told({"identity": {"type": "SystemAssigned", "principalId": "p"}}, None) == {}


def test_a_group_is_read_as_it_is_wished_and_copied_with_its_identity(azure: Azure) -> None:
    make_parent(azure)
    make_identity(azure)
    wanted = pulling(deploy={"hung_after": "1m"})
    body = told(wanted)["azure_site_groups"][0]["body"]
    del body["properties"]["subnetIds"]
    body["properties"]["ipAddress"]["type"] = "Public"
    where = f"{SITE}/providers/Microsoft.ContainerInstance/containerGroups/llm-azure-east-r1-1"
    put(azure, where, groups.VERSION, body)
    [wish, *_] = [each for each in planned(wanted, EMPTY).wanted if each.kind == GROUP_KIND]
    with azure.entered():
        assert scaling.start(REF, scaling.read(REF), 1, allowed) == ["llm-azure-east-r1-2"]
        found = facts.read_site(REF)
    both = [each for each in found.resources if each.kind == GROUP_KIND]
    assert len(both) == 2
    for each in both:
        assert {name: each.properties[name] for name in ("identities", "registries")} == {
            name: wish.properties[name] for name in ("identities", "registries")
        }
    assert both[0].properties == both[1].properties


@pytest.mark.story
@pytest.mark.wide
@pytest.mark.long
def test_the_role_makes_groups_that_pull_with_it_and_the_plan_is_empty_then(azure: Azure) -> None:
    make_identity(azure)
    wanted = pulling()
    _, played = azure.up(wanted)
    assert played.code == 0, played.text
    assert wait_for(lambda: azure.read().count == 2)
    found = azure.read()
    assert planned(wanted, found).steps == ()
    assert all(each.properties["registries"] for each in found.resources if each.kind == GROUP_KIND)
