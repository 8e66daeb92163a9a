"""Two regions of each cloud, with a registry in both: the first one's region is lost with it, and the other region goes
on, and deploys. The sites in the lost regions are never deployed: nothing here depends on them.

The tests of this file go on from one another, in their order, on one stage.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from places import Command, Place, open_spec, wait_for

from arriero.deploy.project import Project
from arriero.pipeline.image import push as pushing
from arriero.pipeline.image import record
from key_vault import MANAGEMENT, Hand

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

WEST, EU, NAME, ACCOUNT = "us-west-2", "eu-west-1", "team/llm", "123456789012"
HOST = "acmeimages.azurecr.io"
GROUP = "/resourceGroups/images"
OF_GROUPS = "2023-05-01"
REGISTRY = f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/acmeimages"
KIND = "application/vnd.oci.image.manifest.v1+json"
THEIRS = {
    "destinations": [{"region": "eu-west-2", "registryId": ACCOUNT}],
    "repositoryFilters": [{"filter": "theirs/", "filterType": "PREFIX_MATCH"}],
}
SPEC = f"""\
name: llm
image:
  name: {ACCOUNT}.dkr.ecr.{WEST}.amazonaws.com/{NAME}:1
  registries: {{azure: {HOST}/{NAME}}}
  replicate: true
models: [llama2]
rehearse: always
scale: {{min: 1, max: 2, by: hand}}
sites:
  eu:         {{cloud: aws,   region: {EU}}}
  azure-eu:   {{cloud: azure, region: westeurope}}
  west:       {{cloud: aws,   region: {WEST}, role: standby}}
  azure-east: {{cloud: azure, region: eastus, role: standby}}
failover:
  pairs: [{{sites: [eu, west]}}, {{sites: [azure-eu, azure-east]}}]
"""
EUROPE = ("--site", "eu", "--site", "azure-eu")


def manifest(content: str) -> str:
    layer = {"mediaType": KIND, "size": 1, "digest": f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"}
    return json.dumps({"schemaVersion": 2, "mediaType": KIND, "config": {"size": 1}, "layers": [layer]})


def digest(content: str) -> str:
    return f"sha256:{hashlib.sha256(manifest(content).encode()).hexdigest()}"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from open_spec(tmp_path_factory.mktemp("regions"), SPEC)


@pytest.fixture(scope="module")
def session(place: Place) -> dict[str, str]:
    return place.environment()


@pytest.fixture(scope="module")
def hand(session: dict[str, str]) -> Hand:
    return Hand(session)


def client(session: dict[str, str], service: str, region: str) -> Any:
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=session["AWS_ENDPOINT_URL"],
        aws_access_key_id=session["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=session["AWS_SECRET_ACCESS_KEY"],
    )


def push(session: dict[str, str], region: str, tag: str, content: str) -> None:
    client(session, "ecr", region).put_image(
        repositoryName=NAME, imageManifest=manifest(content), imageTag=tag, imageDigest=digest(content)
    )


def note_as_pushed(place: Place, content: str) -> None:
    """What `arriero image push` leaves behind; the stage's registries have an API, and take no layers."""
    heads = (f"{ACCOUNT}.dkr.ecr.{region}.amazonaws.com" for region in (EU, WEST))
    repositories = tuple(f"{host}/{NAME}" for host in (*heads, HOST))
    file = pushing.pushed_of(Project(place.folder / "arriero.yaml"))
    record.write(file, record.Pushed(digest(content), "an id", repositories, ("1",), {}))


def up(place: Place) -> Command:
    return place.arriero("up", "--yes", "--pushed", "--no-gateway", *EUROPE)


def fault(place: Place, site: str, seconds: int) -> None:
    """The site's region is lost for so long; with less than none it is back."""
    played = place.arriero("rehearse", "fault", "--site", site, "--kind", "lose", f"--for={seconds}")
    assert played.code == 0, played.err


def rules(session: dict[str, str]) -> list[Any]:
    return list(client(session, "ecr", WEST).describe_registry()["replicationConfiguration"]["rules"])


def do(hand: Hand, method: str, path: str, body: object = None, version: str = "2023-07-01") -> Any:
    told = hand.ask(method, hand.managed(path), body, version, MANAGEMENT)
    assert told.status_code < 300, told.text
    return told.json() if told.content else None


def replicas(hand: Hand) -> set[str]:
    return {each["location"] for each in do(hand, "GET", f"{REGISTRY}/replications")["value"]}


def images_at_aws(session: dict[str, str]) -> set[str]:
    """Of the tasks that run in Europe."""
    ecs = client(session, "ecs", EU)
    arns = ecs.list_tasks(cluster="llm-eu", desiredStatus="RUNNING")["taskArns"]
    tasks = ecs.describe_tasks(cluster="llm-eu", tasks=arns)["tasks"] if arns else []
    return {one["image"] for task in tasks if task["lastStatus"] == "RUNNING" for one in task["containers"]}


def groups(hand: Hand) -> list[str]:
    listed = do(hand, "GET", "/providers/Microsoft.ContainerInstance/containerGroups", version=OF_GROUPS)["value"]
    return [each["id"].partition(hand.environment["AZURE_SUBSCRIPTION_ID"])[2] for each in listed]


def images_at_azure(hand: Hand) -> set[str]:
    """Of the groups that run."""
    all_of_them = [do(hand, "GET", group, version=OF_GROUPS)["properties"] for group in groups(hand)]
    running = [group for group in all_of_them if group["instanceView"]["state"] == "Running"]
    return {one["properties"]["image"] for group in running for one in group["containers"]}


def pulled(content: str) -> tuple[set[str], set[str]]:
    name = f"{NAME}@{digest(content)}"
    return {f"{ACCOUNT}.dkr.ecr.{EU}.amazonaws.com/{name}"}, {f"{HOST}/{name}"}


def test_what_was_pushed_before_has_to_be_brought_there_before_anything_is_deployed(
    place: Place, session: dict[str, str], hand: Hand
) -> None:
    for region in (WEST, EU):
        client(session, "ecr", region).create_repository(repositoryName=NAME)
    client(session, "ecr", WEST).put_replication_configuration(replicationConfiguration={"rules": [THEIRS]})
    push(session, WEST, "1", "one")
    do(hand, "PUT", GROUP, {"location": "eastus"}, version="2022-09-01")
    do(hand, "PUT", REGISTRY, {"location": "eastus", "sku": {"name": "Premium"}, "properties": {}})
    planned = place.arriero("plan")
    assert planned.code == 2, planned.err
    assert f"~ replication {NAME}: {EU}: is not set, should be copied" in planned.out
    assert f"replication {HOST}: westeurope: is not set, should be copied" in planned.out
    assert f"ECR of {EU} has no {NAME} 1: what was pushed before is not copied" in planned.out
    unpriced = f"images: a copy in aws {EU}, each GB at an unknown price, and at an unknown price to bring it there"
    assert {unpriced, "images: a copy in azure westeurope, at an unknown price"} <= set(planned.out.splitlines())
    note_as_pushed(place, "one")
    refused = up(place)
    assert refused.code == 1
    assert f"{digest('one')}: what was pushed before is not copied" in refused.err
    assert "arriero image push" in refused.err
    assert (rules(session), replicas(hand)) == ([THEIRS], set())


def test_each_site_pulls_the_same_digest_from_a_registry_of_its_own_region(
    place: Place, session: dict[str, str], hand: Hand
) -> None:
    push(session, EU, "r1", "one")
    done = up(place)
    assert done.code == 0, done.out + done.err
    assert (images_at_aws(session), images_at_azure(hand)) == pulled("one")
    for region in (WEST, EU):
        assert client(session, "ecr", region).get_lifecycle_policy(repositoryName=NAME)["lifecyclePolicyText"]
    assert rules(session)[0] == THEIRS
    assert [each["region"] for each in rules(session)[1]["destinations"]] == [EU]
    assert replicas(hand) == {"westeurope"}


def test_a_copy_is_asked_for_the_digest_that_is_deployed_and_not_for_a_tag(place: Place) -> None:
    """The tag `1` was never given in Europe, and no registry answers docker's protocol: the release's digest holds."""
    planned = place.arriero("plan", *EUROPE)
    assert planned.code == 0, planned.out + planned.err
    assert "what was pushed before" not in planned.out


def test_what_is_pushed_from_then_on_is_copied(session: dict[str, str]) -> None:
    push(session, WEST, "2", "two")
    there = client(session, "ecr", EU).describe_images(repositoryName=NAME, imageIds=[{"imageDigest": digest("two")}])
    assert there["imageDetails"][0]["imageTags"] == ["2"]


def test_the_first_regions_are_lost_with_their_registries_and_the_others_deploy_a_new_release(
    place: Place, session: dict[str, str], hand: Hand
) -> None:
    fault(place, "west", 900)
    fault(place, "azure-east", 900)
    note_as_pushed(place, "never copied")
    refused = up(place)
    assert refused.code == 1
    assert f"ECR of {EU} has no {NAME} {digest('never copied')}" in refused.err
    note_as_pushed(place, "two")
    done = up(place)
    assert done.code == 0, done.out + done.err
    assert (images_at_aws(session), images_at_azure(hand)) == pulled("two")
    client(session, "ecs", EU).update_service(cluster="llm-eu", service="llm-eu", desiredCount=2)
    assert wait_for(lambda: running(session) == 2, 90)
    planned = place.arriero("plan", *EUROPE)
    assert planned.code == 0, planned.out + planned.err
    assert f"images: their registry at aws {WEST}\n  ! " in planned.out
    assert f"images: their registry at aws {EU}" not in planned.out


def running(session: dict[str, str]) -> int:
    found = client(session, "ecs", EU).describe_services(cluster="llm-eu", services=["llm-eu"])
    return int(found["services"][0]["runningCount"])


def test_a_group_waits_whose_registry_stands_in_a_lost_region_alone(place: Place, hand: Hand) -> None:
    """Else the test before would have shown nothing of Azure."""
    fault(place, "azure-east", -1)
    do(hand, "DELETE", f"{REGISTRY}/replications/westeurope")
    fault(place, "azure-east", 900)
    [group] = groups(hand)
    do(hand, "POST", f"{group}/restart", version=OF_GROUPS)
    assert wait_for(lambda: not images_at_azure(hand), 30)
    assert not wait_for(lambda: bool(images_at_azure(hand)), 5)
    fault(place, "azure-east", -1)
    assert wait_for(lambda: images_at_azure(hand) == pulled("two")[1], 60)
    up(place)
    assert replicas(hand) == {"westeurope"}


def test_a_purge_takes_the_services_rule_away_and_leaves_all_else(
    place: Place, session: dict[str, str], hand: Hand
) -> None:
    fault(place, "west", -1)
    down = place.arriero("down", "--purge", "--yes")
    assert down.code == 0, down.err
    assert f"  - replication of {NAME} to {EU}: what is there stays" in down.out
    assert (rules(session), replicas(hand)) == ([THEIRS], {"westeurope"})
    held = client(session, "ecr", EU).list_images(repositoryName=NAME)["imageIds"]
    assert {each["imageDigest"] for each in held} == {digest("one"), digest("two")}
