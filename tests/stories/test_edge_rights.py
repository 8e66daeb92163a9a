"""A site of AWS with edges before its targets under exactly the permissions that are exported for it: made, changed,
left without its edges, and removed.

The tests of this file go on from one another, in their order, on one stage.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from places import Place, open_spec
from rights import documents, fails_without, spare_of

from arriero.catalog import permissions
from way_in import key_and_hashes

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long, pytest.mark.timeout(900)]

SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {min: 1, by: hand}
deploy: {stop_within: 5s}
accounts: {aws: "123456789012"}
sites:
  aws-east: {cloud: aws, region: us-east-1}
ingress:
  alb:
    hosts: [llm.example.com]
    certificates: ['arn:aws:acm:us-east-1:123456789012:certificate/0a1b']
"""
EDGES = "    edges: {{keys: ['{keys}']}}\n"
# Of the edges' own things: the settings that their definition holds.
CHANGED = "gateway: {hosts: [other.example.com]}\n"
TAKEN_AWAY = "servicediscovery:CreatePrivateDnsNamespace"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    for found in open_spec(tmp_path_factory.mktemp("edges"), SPEC):
        assert found.arriero("rehearse", "start").code == 0
        yield found
        found.arriero("rehearse", "start")  # all may be done again: what a failed test left is removed


@pytest.fixture(scope="module")
def with_edges(place: Place, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The spec's text, once the secret is there that holds the edges' keys: which is not the deployer's to make."""
    text = SPEC + EDGES.format(keys=kept(place, tmp_path_factory.mktemp("keys")))
    (place.folder / "arriero.yaml").write_text(text)
    return text


@pytest.fixture(scope="module")
def before(place: Place, with_edges: str) -> int:
    """How many calls the hand made that set the stage."""
    return len(place.calls())


def kept(place: Place, folder: Path) -> str:
    """The ARN of a secret that holds the hash of a key."""
    session = place.environment()
    secrets = boto3.client(
        "secretsmanager",
        region_name="us-east-1",
        endpoint_url=session["AWS_ENDPOINT_URL"],
        aws_access_key_id=session["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=session["AWS_SECRET_ACCESS_KEY"],
    )
    _, hashes = key_and_hashes(folder)
    return str(secrets.create_secret(Name="llm/keys", SecretString=hashes)["ARN"])


def test_a_deployment_that_may_make_no_zone_fails_and_names_it(place: Place, before: int) -> None:
    fails_without(place, TAKEN_AWAY)


def test_under_exactly_these_permissions_it_is_made_changed_and_removed(place: Place, with_edges: str) -> None:
    assert place.arriero("rehearse", "start", "--permissions", "iam").code == 0
    changed = with_edges + CHANGED
    for words, spec in (
        (["up", "--no-gateway"], with_edges),
        (["up", "--no-gateway"], SPEC),
        (["up", "--no-gateway"], with_edges),
        (["up", "--no-gateway"], changed),
        (["down", "--purge"], changed),
    ):
        (place.folder / "arriero.yaml").write_text(spec)
        ended = place.arriero(*words, "--yes")
        assert ended.code == 0, ended.err + ended.out


def test_the_table_knows_every_call_the_policies_allow_each_and_each_action_is_needed(
    place: Place, before: int
) -> None:
    calls = [call for call in place.calls()[before:] if call["cloud"] == "aws"]
    given = documents(place.folder / "iam")
    assert len(calls) > 300
    assert any(call["action"] == "servicediscovery:DeleteNamespace" for call in calls)
    assert spare_of(given, calls) <= set(permissions.calls("aws").besides)
