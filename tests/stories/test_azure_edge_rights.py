"""A site at Azure with edges before its targets under exactly the permissions that are exported for it: made, changed,
left without its edges, and removed; then the same behind a Front Door, with what is exported for both.

The tests of this file go on from one another, in their order, on one stage.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from places import Place, open_spec
from rights import actions_of, documents, fails_without, needs_of, spare_of

from arriero.catalog import permissions
from key_vault import GROUP, MANAGEMENT, VAULT, Hand
from way_in import key_and_hashes

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long, pytest.mark.timeout(900)]

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/llm-edge"
SPEC = f"""\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {{min: 1, by: hand}}
deploy: {{stop_within: 5s}}
accounts: {{azure: {SUBSCRIPTION}}}
sites:
  west: {{cloud: azure, region: westeurope}}
"""
EDGES = f"""\
ingress:
  edges: {{keys: {VAULT}/secrets/llm-keys, identity: /subscriptions/{SUBSCRIPTION}{IDENTITY}}}
"""
DOOR = "  front_door: {}\n"
ANOTHER_IMAGE = SPEC.replace("acme/ollama-llm", "acme/ollama-llm:2")
CHANGED = ANOTHER_IMAGE + EDGES.replace("{keys", "{count: 3, keys")
WITHOUT = ANOTHER_IMAGE
UP = ["up", "--no-gateway"]
GIVES = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"
# How far a group is asks the module that makes those without secrets; `test_least_rights.py` has such.
OF_PLAIN_GROUPS = "Microsoft.ContainerInstance/locations/operations/read"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    for found in open_spec(tmp_path_factory.mktemp("edges"), SPEC + EDGES):
        assert found.arriero("rehearse", "start").code == 0
        set_up(found, tmp_path_factory.mktemp("keys"))
        yield found
        found.arriero("rehearse", "start")  # all may be done again: what a failed test left is removed


def set_up(place: Place, folder: Path) -> None:
    """What is not the deployer's to make: the secret with the edges' keys, and the identity that reads it."""
    hand = Hand(place.environment())
    hand.make_vault()
    hand.keep("llm-keys", key_and_hashes(folder)[1])
    made = hand.ask("PUT", hand.managed(IDENTITY), {"location": "westeurope"}, "2023-01-31", MANAGEMENT)
    assert made.status_code < 300, made.text


@pytest.fixture(scope="module")
def before(place: Place) -> int:
    """How many calls the hand made that set the stage."""
    return len(place.calls())


def done(place: Place, *runs: tuple[list[str], str]) -> None:
    for words, spec in runs:
        (place.folder / "arriero.yaml").write_text(spec)
        ended = place.arriero(*words, "--yes")
        assert ended.code == 0, ended.err + ended.out


def azure_calls(place: Place, before: int) -> list[dict[str, Any]]:
    """On a stage sites that left the spec are looked for at AWS, too, which is not what the role is for."""
    return [call for call in place.calls()[before:] if call["cloud"] == "azure"]


def test_a_deployment_that_may_not_give_the_identity_fails_and_names_it(place: Place, before: int) -> None:
    fails_without(place, GIVES)


def test_under_exactly_these_permissions_it_is_made_changed_and_removed(place: Place, before: int) -> None:
    assert place.arriero("rehearse", "start", "--permissions", "iam").code == 0
    done(place, (UP, SPEC + EDGES))
    assert place.arriero("plan").code == 0
    done(place, (UP, CHANGED), (UP, WITHOUT), (["down", "--purge"], WITHOUT))


def test_the_table_knows_every_call_the_roles_allow_each_and_each_action_is_needed(place: Place, before: int) -> None:
    calls, given = azure_calls(place, before), documents(place.folder / "iam")
    assert set(given) == {"azure-role.json", "azure-identity-role.json"}
    assert len(calls) > 300
    assert any(call["action"] == "DELETE Microsoft.App/managedEnvironments" for call in calls)
    assert spare_of(given, calls) <= {OF_PLAIN_GROUPS}


def test_nothing_is_given_but_the_identity_that_the_spec_names(place: Place, before: int) -> None:
    given = [need.resource for _, need in needs_of(azure_calls(place, before)) if need.action == GIVES]
    assert [each.lower() for each in given] == [f"/subscriptions/{SUBSCRIPTION}{IDENTITY}".lower()]


def test_behind_a_front_door_it_is_made_changed_and_removed_under_what_is_exported_for_both(place: Place) -> None:
    (place.folder / "arriero.yaml").write_text(SPEC + EDGES + DOOR)
    exported = place.arriero("export", "iam", "--out", "both")
    assert exported.code == 0, exported.err
    assert place.arriero("rehearse", "start", "--permissions", "both").code == 0
    before = len(place.calls())
    done(place, (UP, SPEC + EDGES + DOOR))
    assert place.arriero("plan").code == 0
    done(place, (UP, CHANGED + DOOR), (UP, WITHOUT), (["down", "--purge"], WITHOUT))
    given = documents(place.folder / "both")
    # What sets right a Front Door that somebody changed is needed in `test_door_rights.py`.
    of_doors = {each.action for each in permissions.calls("azure").of_part("door")}
    spare = spare_of(given, azure_calls(place, before))
    assert spare <= {OF_PLAIN_GROUPS, *(of_doors - actions_of(documents(place.folder / "iam")))}
