"""Container apps behind HTTPS ingress as the emulated Azure keeps them: their revisions, replicas and secrets, and the
names by which they find others.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
from test_container_apps_refused import ENVIRONMENT, NETWORK, RG, call, environment, network, place

from arriero.rehearse.azure import private_names, replicas
from arriero.rehearse.azure.answers import ArmError
from arriero.rehearse.azure.world import World

IDENTITY = f"{RG}/Microsoft.ManagedIdentity/userAssignedIdentities/llm-edge"
VAULT = f"{RG}/Microsoft.KeyVault/vaults/llm-vault"
APP = place("llm-edge")


def app(count: int = 2, image: str = "acme/llm:1") -> dict[str, Any]:
    container = {
        "name": "edge",
        "image": image,
        "env": [{"name": "ARRIERO_KEYS", "secretRef": "keys"}],
        "resources": {"cpu": 0.5, "memory": "1Gi"},
    }
    secret = {"name": "keys", "keyVaultUrl": "https://llm-vault.vault.azure.net/secrets/llm-keys", "identity": IDENTITY}
    return {
        "location": "eastus",
        "identity": {"type": "UserAssigned", "userAssignedIdentities": {IDENTITY: {}}},
        "properties": {
            "environmentId": ENVIRONMENT,
            "workloadProfileName": "Consumption",
            "configuration": {
                "activeRevisionsMode": "Single",
                "ingress": {"external": True, "transport": "http", "targetPort": 11434},
                "secrets": [secret],
            },
            "template": {"containers": [container], "scale": {"minReplicas": count, "maxReplicas": count}},
        },
    }


@pytest.fixture
def whole(world: World) -> World:
    """With a network, an environment in it, an identity, and a vault with a secret."""
    network(world)
    call(world, "PUT", ENVIRONMENT, environment())
    call(world, "PUT", IDENTITY, {"location": "eastus"}, "2023-01-31")
    vault = {"tenantId": "00000000-0000-0000-0000-000000000002", "sku": {"family": "A", "name": "standard"}}
    call(world, "PUT", VAULT, {"location": "eastus", "properties": vault}, "2023-07-01")
    kept = {"version": "0" * 32, "secureValue": "hashes of keys", "enabled": True, "created": 0}
    world.state.secrets[f"{VAULT.lower()}/secrets/llm-keys"] = [kept]
    return world


def test_each_revision_has_its_own_replicas_and_the_secret_is_in_none_of_the_answers(whole: World) -> None:
    made = call(whole, "PUT", APP, app())
    assert made.status == 201
    first = made.body["properties"]["latestRevisionName"]
    assert made.body["properties"]["configuration"]["ingress"]["fqdn"].startswith("llm-edge.stage-")
    assert len(replicas.of(whole, APP.lower(), first)) == 2
    same = call(whole, "PUT", APP, app())
    assert (same.status, same.body["properties"]["latestRevisionName"]) == (200, first)
    second = call(whole, "PUT", APP, app(3, "acme/llm:2")).body["properties"]["latestRevisionName"]
    assert second != first
    assert [len(replicas.of(whole, APP.lower(), each)) for each in (first, second)] == [2, 3]
    listed = call(whole, "GET", f"{APP}/revisions/{second}/replicas").body["value"]
    assert len(listed) == 3
    told = [made.body, listed, call(whole, "GET", APP).body, call(whole, "GET", APP.rpartition("/")[0]).body]
    assert "hashes of keys" not in str(told)
    call(whole, "DELETE", APP)
    assert whole.state.runs == {}
    assert len(whole.state.leaving) == 5


def without_its_identity(body: dict[str, Any], _: World) -> None:
    body["identity"] = {"type": "None"}


def with_one_that_is_not_there(body: dict[str, Any], world: World) -> None:
    del world.state.resources[IDENTITY.lower()]


def with_a_secret_that_is_not_there(body: dict[str, Any], world: World) -> None:
    world.state.secrets.clear()


def with_a_secret_that_nobody_named(body: dict[str, Any], _: World) -> None:
    body["properties"]["configuration"]["secrets"] = []


def with_replicas_as_many_as_it_takes(body: dict[str, Any], _: World) -> None:
    body["properties"]["template"]["scale"]["maxReplicas"] = 9


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (without_its_identity, "ContainerAppSecretInvalid"),
        (with_one_that_is_not_there, "FailedIdentityOperation"),
        (with_a_secret_that_is_not_there, "ContainerAppSecretKeyVaultUrlInvalid"),
        (with_a_secret_that_nobody_named, "ContainerAppSecretRefNotFound"),
        (with_replicas_as_many_as_it_takes, "NotImplemented"),
    ],
)
def test_an_app_that_cannot_be_is_refused(change: Any, code: str, whole: World) -> None:
    body = copy.deepcopy(app())
    change(body, whole)
    with pytest.raises(ArmError) as caught:
        call(whole, "PUT", APP, body)
    assert caught.value.code == code
    assert whole.state.runs == {}


def test_a_name_is_told_where_its_zone_is_linked_to_a_network(whole: World) -> None:
    zone = f"{RG}/Microsoft.Network/privateDnsZones/llm.arriero.internal"
    call(whole, "PUT", zone, {"location": "global", "properties": {}}, "2024-06-01")
    records = {"properties": {"ttl": 10, "aRecords": [{"ipv4Address": "10.0.0.7"}]}}
    call(whole, "PUT", f"{zone}/A/targets", records, "2024-06-01")
    asked = "targets.LLM.arriero.internal"
    assert private_names.addresses(whole.state, asked) is None
    link = {
        "location": "global",
        "properties": {"virtualNetwork": {"id": NETWORK}},
    }
    call(whole, "PUT", f"{zone}/virtualNetworkLinks/net", link, "2024-06-01")
    assert private_names.addresses(whole.state, asked) == ("10.0.0.7",)
    assert private_names.addresses(whole.state, "nobody.llm.arriero.internal") is None
