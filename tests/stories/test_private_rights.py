"""A private site of Azure with private endpoints, to its models, a vault and the registry of its image, under exactly
the permissions that are exported for it: made, opened, closed again, and removed.

The tests of this file go on from one another, in their order, on one stage.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from places import Place, open_spec
from rights import documents, fails_without, needs_of, spare_of

from key_vault import GROUP, MANAGEMENT, VAULT, Hand

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long, pytest.mark.timeout(900)]

SPEC = """\
name: llm
image: {{name: registry.example.com/acme/ollama-llm, registries: {{azure: llmregistry.azurecr.io/acme/ollama-llm}}}}
models: [llama2, {{name: "llama2:70b", from: storage}}]
rehearse: always
scale: {{min: 1, by: hand}}
accounts: {{azure: 00000000-0000-0000-0000-000000000001}}
sites:
  azure-east:
    cloud: azure
    region: eastus
    environment_from: {{HF_TOKEN: {vault}/secrets/hf}}
    registry_identity: /subscriptions/00000000-0000-0000-0000-000000000001{identity}
    network: {network}
"""
PRIVATE, PUBLIC = "{mode: private, private_endpoints: [vault, registry]}", "public"
# What is not the deployer's to make: what pulls, and a registry that is closed to public networks.
IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/llm-pull"
REGISTRY = f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/llmregistry"
CLOSED = {"location": "eastus", "sku": {"name": "Premium"}, "properties": {"publicNetworkAccess": "Disabled"}}
# How far a group is asks the module that makes those without secrets; `test_least_rights.py` has such.
OF_PLAIN_GROUPS = "Microsoft.ContainerInstance/locations/operations/read"
TAKEN_AWAY = "Microsoft.KeyVault/vaults/PrivateEndpointConnectionsApproval/action"


def says(place: Place, network: str) -> None:
    (place.folder / "arriero.yaml").write_text(SPEC.format(vault=VAULT, identity=IDENTITY, network=network))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    spec = SPEC.format(vault=VAULT, identity=IDENTITY, network=PRIVATE)
    for found in open_spec(tmp_path_factory.mktemp("private"), spec):
        assert found.arriero("rehearse", "start").code == 0
        hand = Hand(found.environment())
        hand.make_vault()
        hand.keep("hf", "hf_0123456789abcdef")
        for path, version, body in ((IDENTITY, "2023-01-31", {"location": "eastus"}), (REGISTRY, "2023-07-01", CLOSED)):
            made = hand.ask("PUT", hand.managed(path), body, version, MANAGEMENT)
            assert made.status_code < 300, made.text
        yield found
        found.arriero("rehearse", "start")  # all may be done again: what a failed test left is removed


@pytest.fixture(scope="module")
def before(place: Place) -> int:
    """How many calls the hand made that set the stage."""
    return len(place.calls())


def azure_calls(place: Place, before: int) -> list[dict[str, Any]]:
    """On a stage sites that left the spec are looked for at AWS, too, which is not what the role is for."""
    return [call for call in place.calls()[before:] if call["cloud"] == "azure"]


def test_a_deployment_that_may_not_approve_a_connection_fails_and_names_it(place: Place, before: int) -> None:
    fails_without(place, TAKEN_AWAY)


def test_under_exactly_these_permissions_it_is_made_opened_closed_and_removed(place: Place, before: int) -> None:
    assert place.arriero("rehearse", "start", "--permissions", "iam").code == 0
    for network in (PRIVATE, PUBLIC, PRIVATE):
        says(place, network)
        up = place.arriero("up", "--yes")
        assert up.code == 0, up.err + up.out
        assert place.arriero("plan").code == 0
    down = place.arriero("down", "--purge", "--yes")
    assert down.code == 0, down.err + down.out


def test_the_table_knows_every_call_the_role_allows_each_and_each_action_is_needed(place: Place, before: int) -> None:
    calls, given = azure_calls(place, before), documents(place.folder / "iam")
    assert len(calls) > 300
    assert spare_of(given, calls) <= {OF_PLAIN_GROUPS}


def test_what_is_approved_is_what_the_endpoint_leads_to(place: Place, before: int) -> None:
    approved = {
        (need.action.partition("/")[0], need.resource.rpartition("/")[2])
        for _, need in needs_of(azure_calls(place, before))
        if need.action.lower().endswith("privateendpointconnectionsapproval/action")
    }
    assert ("Microsoft.KeyVault", "llm-vault") in approved
    assert ("Microsoft.ContainerRegistry", "llmregistry") in approved
    assert {kind for kind, _ in approved} == {"Microsoft.ContainerRegistry", "Microsoft.KeyVault", "Microsoft.Storage"}
    assert len(approved) == 3


def test_without_its_endpoint_the_closed_registry_gives_no_image(place: Place) -> None:
    assert place.arriero("rehearse", "start").code == 0
    says(place, "{mode: private, private_endpoints: [vault]}")
    up = place.arriero("up", "--yes")
    assert up.code != 0
    assert "llmregistry.azurecr.io" in up.err + up.out
    assert "is not accessible" in up.err + up.out
    assert place.arriero("down", "--purge", "--yes").code == 0
