"""A deployment, a second release, the way back and the end under exactly the permissions that are exported.

The tests of this file go on from one another, in their order, on one stage.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from places import Place, open_spec

from arriero.catalog import permissions
from arriero.rehearse.permissions import AwsPolicies, AzureRole, Need

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {min: 1}
accounts: {aws: "123456789012", azure: 00000000-0000-0000-0000-000000000001}
sites:
  aws-east: {cloud: aws, region: us-east-1, network: private}
  azure-east: {cloud: azure, region: eastus}
metrics: {container_insights: enhanced}
"""
TAKEN_AWAY = {"aws": "ecs:CreateService", "azure": "Microsoft.ContainerInstance/containerGroups/write"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    for found in open_spec(tmp_path_factory.mktemp("permissions"), SPEC):
        yield found
        found.arriero("rehearse", "start")  # all may be done again: what a failed test left is removed


def documents(folder: Path) -> dict[str, dict[str, Any]]:
    return {path.name: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def test_the_policies_are_those_of_the_spec(place: Place) -> None:
    assert place.arriero("export", "iam", "--out", "iam").code == 0
    assert place.arriero("export", "iam", "--out", "iam", "--check").code == 0
    assert set(documents(place.folder / "iam")) == {
        "aws-network.json", "aws-nat.json", "aws-service.json", "aws-insights.json", "aws-ledger.json",
        "azure-role.json",
    }  # fmt: skip


def test_a_deployment_that_lacks_an_action_fails_and_names_it(place: Place) -> None:
    less = place.folder / "less"
    less.mkdir()
    for name, document in documents(place.folder / "iam").items():
        for action in TAKEN_AWAY.values():
            document = without(document, action)
        (less / name).write_text(json.dumps(document))
    assert place.arriero("rehearse", "start", "--permissions", "less").code == 0
    up = place.arriero("up", "--yes")
    assert up.code == 1
    for action in TAKEN_AWAY.values():
        assert action in up.err + up.out
    assert "Traceback" not in up.err + up.out


def test_under_exactly_these_permissions_all_of_it_works(place: Place) -> None:
    # The calls of the run before count, too: what it made is not made again.
    assert place.arriero("rehearse", "start", "--permissions", "iam").code == 0
    spec = place.folder / "arriero.yaml"
    for words in (["up"], ["up"], ["rollback"], ["down", "--purge"]):
        ended = place.arriero(*words, "--yes")
        assert ended.code == 0, ended.err + ended.out
        spec.write_text(SPEC + "environment: {A: b}\n")


def test_the_table_knows_every_call_and_the_policies_allow_each(place: Place) -> None:
    calls = place.calls()
    assert len(calls) > 500
    assert {call["action"] for call in calls if any(need.get("unknown") for need in call["needs"])} == set()
    needs = needs_of(calls)
    assert refused(documents(place.folder / "iam"), needs) == []


def test_each_action_is_needed_by_some_call(place: Place) -> None:
    given, needs = documents(place.folder / "iam"), needs_of(place.calls())
    spare = {action for action in actions_of(given) if not refused(only_without(given, action), needs)}
    excused = {*permissions.calls("aws").besides, *permissions.calls("azure").besides}
    print(f"{len(actions_of(given))} actions, {len(needs)} different needs; not needed here: {sorted(spare)}")
    assert spare == excused & actions_of(given)


def test_nothing_of_a_statement_is_superfluous(place: Place) -> None:
    given, needs = documents(place.folder / "iam"), needs_of(place.calls())
    excused, spare = permissions.calls("aws").besides, []
    for name, document in given.items():
        for number, statement in enumerate(document.get("Statement", ())):
            for key in ("Action", "Resource"):
                for each in statement[key]:
                    less = deepcopy(given)
                    less[name]["Statement"][number][key].remove(each)
                    spare += [] if refused(less, needs) else [(statement["Action"], each)]
    assert [each for actions, each in spare if not {*actions, each} & set(excused)] == []


def needs_of(calls: list[dict[str, Any]]) -> list[tuple[str, Need]]:
    """Each different permission once, with its cloud."""
    found = {(call["cloud"], json.dumps(need, sort_keys=True)) for call in calls for need in call.get("needs", ())}
    return [(cloud, Need.of(json.loads(text))) for cloud, text in sorted(found)]


def refused(given: dict[str, dict[str, Any]], needs: list[tuple[str, Need]]) -> list[Need]:
    aws = AwsPolicies(document for name, document in given.items() if name.startswith("aws"))
    azure = AzureRole(given["azure-role.json"])
    return [need for cloud, need in needs if not (aws if cloud == "aws" else azure).allows(need)]


def actions_of(given: dict[str, dict[str, Any]]) -> set[str]:
    found = set(given["azure-role.json"]["Actions"])
    for document in given.values():
        found |= {action for statement in document.get("Statement", ()) for action in statement["Action"]}
    return found


def only_without(given: dict[str, dict[str, Any]], action: str) -> dict[str, dict[str, Any]]:
    return {name: without(document, action) for name, document in given.items()}


def without(document: dict[str, Any], action: str) -> dict[str, Any]:
    less = deepcopy(document)
    for statement in less.get("Statement", ()):
        statement["Action"] = [each for each in statement["Action"] if each != action]
    if "Actions" in less:
        less["Actions"] = [each for each in less["Actions"] if each != action]
    return less
