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
    more += "storage: {throughput: 40MiB/s}\n"  # the same from here on: AWS takes less once in a day
    verbs = (*verbs, (["up"], more))
    for words, spec in verbs:
        done(place, words, spec)
    plan = place.arriero("plan")
    assert plan.code == 0, plan.out
    (place.folder / "arriero.yaml").write_text(more.replace("40MiB/s", "bursting"))
    planned = place.arriero("plan").out
    assert (
        "  ~ file system llm-aws-east: throughput: is provisioned, should be bursting; provisioned_mibps: is 40"
        in planned
    )
    refused = place.arriero("up", "--yes")
    assert refused.code == 1
    assert "You have reached the maximum number of throughput mode changes" in refused.err + refused.out
    done(place, ["up"], more.replace("40MiB/s", "50MiB/s"))
    done(place, ["down", "--purge"], more)


def done(place: Place, words: list[str], spec: str) -> None:
    (place.folder / "arriero.yaml").write_text(spec)
    ended = place.arriero(*words, "--yes")
    assert ended.code == 0, ended.err + ended.out


def test_the_table_knows_every_call_the_policies_allow_each_and_each_action_is_needed(place: Place) -> None:
    calls, given = [call for call in place.calls() if call["cloud"] == "aws"], documents(place.folder / "iam")
    assert len(calls) > 300
    assert spare_of(given, calls) <= set(permissions.calls("aws").besides)
