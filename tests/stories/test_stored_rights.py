"""A private site of AWS with a model on EFS under exactly the permissions that are exported for it: made, left, and
removed with its data.

The tests of this file go on from one another, in their order, on one stage.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from places import Place, open_spec
from rights import documents, fails_without, spare_of

from arriero.catalog import permissions

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2, {name: "llama2:70b", from: storage}]
rehearse: always
scale: {min: 1, by: hand}
accounts: {aws: "123456789012"}
sites:
  aws-east: {cloud: aws, region: us-east-1, network: private}
"""
TAKEN_AWAY = "elasticfilesystem:CreateMountTarget"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    for found in open_spec(tmp_path_factory.mktemp("stored"), SPEC):
        yield found
        found.arriero("rehearse", "start")  # all may be done again: what a failed test left is removed


def test_a_deployment_that_may_mount_nothing_fails_and_names_it(place: Place) -> None:
    fails_without(place, TAKEN_AWAY)


def test_under_exactly_these_permissions_it_is_made_changed_cleaned_and_removed(place: Place) -> None:
    assert place.arriero("rehearse", "start", "--permissions", "iam").code == 0
    more = SPEC.replace("llama2:70b", "llama2:13b")
    verbs = (["up"], SPEC), (["up"], more), (["models", "clean"], more), (["down"], more), (["up"], more)
    for words, spec in (*verbs, (["down", "--purge"], more)):
        (place.folder / "arriero.yaml").write_text(spec)
        ended = place.arriero(*words, "--yes")
        assert ended.code == 0, ended.err + ended.out


def test_the_table_knows_every_call_the_policies_allow_each_and_each_action_is_needed(place: Place) -> None:
    calls, given = [call for call in place.calls() if call["cloud"] == "aws"], documents(place.folder / "iam")
    assert len(calls) > 300
    assert spare_of(given, calls) <= set(permissions.calls("aws").besides)
