"""A deployment, a second release, the way back and the end under exactly the permissions that are exported.

The tests of this file go on from one another, in their order, on one stage.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import pytest
from places import Place, open_spec
from rights import actions_of, documents, fails_without, needs_of, refused, spare_of

from arriero.catalog import permissions

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


def test_the_policies_are_those_of_the_spec(place: Place) -> None:
    assert place.arriero("export", "iam", "--out", "iam").code == 0
    assert place.arriero("export", "iam", "--out", "iam", "--check").code == 0
    assert set(documents(place.folder / "iam")) == {
        "aws-network.json", "aws-nat.json", "aws-service.json", "aws-insights.json", "aws-ledger.json",
        "azure-role.json",
    }  # fmt: skip


def test_a_deployment_that_lacks_an_action_fails_and_names_it(place: Place) -> None:
    fails_without(place, *TAKEN_AWAY.values())


def test_under_exactly_these_permissions_all_of_it_works(place: Place) -> None:
    # The calls of the run before count, too: what it made is not made again.
    assert place.arriero("rehearse", "start", "--permissions", "iam").code == 0
    spec = place.folder / "arriero.yaml"
    for words in (["up"], ["up"], ["rollback"], ["down", "--purge"]):
        ended = place.arriero(*words, "--yes")
        assert ended.code == 0, ended.err + ended.out
        spec.write_text(SPEC + "environment: {A: b}\n")


def test_the_table_knows_every_call_the_policies_allow_each_and_each_action_is_needed(place: Place) -> None:
    given, calls = documents(place.folder / "iam"), place.calls()
    assert len(calls) > 500
    spare = spare_of(given, calls)
    excused = {*permissions.calls("aws").besides, *permissions.calls("azure").besides}
    print(f"{len(actions_of(given))} actions; not needed here: {sorted(spare)}")
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
