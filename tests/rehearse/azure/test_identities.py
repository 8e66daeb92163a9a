"""Identities of the emulated Azure's container groups: refused where there is none, and told with who each is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from running_azure import group

from arriero.rehearse.azure import resources
from arriero.rehearse.azure.answers import Answer, ArmError, Request
from arriero.rehearse.azure.ids import ResourceId
from arriero.rehearse.azure.world import SUBSCRIPTION, World

RG = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
IDENTITY = f"{RG}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/puller"
GROUP = f"{RG}/providers/Microsoft.ContainerInstance/containerGroups/g"


def put(world: World, path: str, body: dict[str, Any], version: str) -> Answer:
    resource = ResourceId.parse(path)
    assert resource
    request = Request.of("PUT", "h", f"{path}?api-version={version}", {}, json.dumps(body).encode())
    return resources.answer(world, request, resource)


def pulling(*given: str, identity: str = IDENTITY) -> dict[str, Any]:
    body = group(imageRegistryCredentials=[{"server": "llmregistry.azurecr.io", "identity": identity}])
    return {**body, "identity": {"type": "UserAssigned", "userAssignedIdentities": {each: {} for each in given}}}


def test_a_group_tells_who_its_identity_is(world: World) -> None:
    made = put(world, IDENTITY, {"location": "eastus"}, "2023-01-31").body
    assert made
    shown = put(world, GROUP, pulling(IDENTITY), "2025-09-01").body
    assert shown
    about = made["properties"]
    assert shown["identity"]["userAssignedIdentities"] == {
        IDENTITY: {"principalId": about["principalId"], "clientId": about["clientId"]}
    }


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        (pulling(IDENTITY + "-2"), "FailedIdentityOperation", "puller-2' of the container group 'g' was not found"),
        (pulling(), "InvalidImageRegistryIdentity", "'llmregistry.azurecr.io' with an identity that it has not"),
        (pulling(IDENTITY, identity=IDENTITY + "-2"), "InvalidImageRegistryIdentity", "that it has not"),
    ],
)
def test_one_that_is_not_there_or_not_its_own_is_refused(
    body: dict[str, Any], code: str, says: str, world: World
) -> None:
    put(world, IDENTITY, {"location": "eastus"}, "2023-01-31")
    with pytest.raises(ArmError, match=says) as caught:
        put(world, GROUP, body, "2025-09-01")
    assert caught.value.code == code
    assert GROUP.lower() not in world.state.resources
