"""Registries of the emulated AWS copy what is pushed, and a task pulls from the registry that its image names."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from emulated_cloud import Cloud, until

from arriero.rehearse.emulator import Fault

ACCOUNT, EU, WEST = "123456789012", "eu-west-1", "us-west-2"
NAME = "team/llm"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    made = Cloud(tmp_path)
    yield made
    made.close()


def rule(*regions: str, only: str = "", account: str = ACCOUNT) -> dict[str, Any]:
    said: dict[str, Any] = {"destinations": [{"region": region, "registryId": account} for region in regions]}
    return {**said, "repositoryFilters": [{"filter": only, "filterType": "PREFIX_MATCH"}]} if only else said


def configure(cloud: Cloud, *rules: dict[str, Any]) -> None:
    cloud.client("ecr").put_replication_configuration(replicationConfiguration={"rules": list(rules)})


def push(cloud: Cloud, tag: str, content: str, name: str = NAME) -> str:
    """An image of that content; its digest is that of its manifest, as a registry has it."""
    layer = {"digest": f"sha256:{hashlib.sha256(content.encode()).hexdigest()}", "size": 1}
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": {"size": 1}, "layers": [layer]})
    digest = f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
    cloud.client("ecr").put_image(repositoryName=name, imageManifest=manifest, imageTag=tag, imageDigest=digest)
    return digest


def held(cloud: Cloud, region: str, name: str = NAME) -> set[tuple[str, str]]:
    ecr = cloud.client("ecr", region)
    if name not in {each["repositoryName"] for each in ecr.describe_repositories()["repositories"]}:
        return set()
    listed = ecr.list_images(repositoryName=name)["imageIds"]
    return {(each.get("imageTag", ""), each["imageDigest"]) for each in listed}


def test_what_is_pushed_from_then_on_is_in_the_other_regions(cloud: Cloud) -> None:
    cloud.client("ecr").create_repository(repositoryName=NAME)
    push(cloud, "1", "one")
    configure(cloud, rule(WEST, only="other/"), rule(EU, only="team/"))
    assert held(cloud, EU) == set()
    after = push(cloud, "2", "two")
    assert held(cloud, EU) == {("2", after)}
    cloud.client("ecr", EU).describe_repositories(repositoryNames=[NAME])
    push(cloud, "1", "two")
    assert held(cloud, "us-east-1") == {("1", after), ("2", after)}
    assert held(cloud, EU) == {("1", after), ("2", after)}
    assert held(cloud, WEST) == set()


def test_a_tag_that_moves_moves_in_the_copy_too_and_all_of_it_outlives_a_restart(cloud: Cloud) -> None:
    cloud.client("ecr").create_repository(repositoryName=NAME)
    configure(cloud, rule(EU))
    first, second = push(cloud, "latest", "one"), push(cloud, "latest", "two")
    assert ("latest", second) in held(cloud, EU)
    assert ("latest", first) not in held(cloud, EU)
    cloud.restart()
    assert push(cloud, "3", "three") in {digest for _, digest in held(cloud, EU)}


def test_a_region_can_t_copy_to_itself(cloud: Cloud) -> None:
    with pytest.raises(ClientError, match="cannot be the same as the source"):
        configure(cloud, rule(EU), rule("us-east-1"))


def reason(cloud: Cloud, region: str, family: str) -> str:
    ecs = cloud.client("ecs", region)
    stopped = ecs.list_tasks(cluster="llm", family=family, desiredStatus="STOPPED")["taskArns"]
    return str(ecs.describe_tasks(cluster="llm", tasks=stopped)["tasks"][0]["stoppedReason"]) if stopped else ""


def run(cloud: Cloud, region: str, family: str, image: str) -> None:
    network = cloud.network(region)
    task = cloud.definition(family, image, region)
    cloud.client("ecs", region).run_task(
        cluster="llm", taskDefinition=task, launchType="FARGATE", networkConfiguration=network
    )


def runs(cloud: Cloud, region: str, family: str) -> bool:
    ecs = cloud.client("ecs", region)
    arns = ecs.list_tasks(cluster="llm", family=family)["taskArns"]
    found = ecs.describe_tasks(cluster="llm", tasks=arns)["tasks"] if arns else []
    return any(task["lastStatus"] == "RUNNING" for task in found)


def image(region: str, digest: str) -> str:
    return f"{ACCOUNT}.dkr.ecr.{region}.amazonaws.com/{NAME}@{digest}"


@pytest.mark.parametrize("kind", ["lose", "no-images"])
def test_who_pulls_from_a_lost_region_can_t_start_and_who_pulls_from_its_own_can(cloud: Cloud, kind: Any) -> None:
    cloud.client("ecr").create_repository(repositoryName=NAME)
    configure(cloud, rule(EU, only=NAME))
    digest = push(cloud, "1", "one")
    cloud.aws.apply(Fault("aws", "us-east-1", kind, until=time.time() + 600))
    run(cloud, EU, "far", image("us-east-1", digest))
    run(cloud, EU, "near", image(EU, digest))
    until(lambda: runs(cloud, EU, "near"))
    assert "CannotPullContainerError" in until(lambda: reason(cloud, EU, "far"))


def test_what_a_registry_does_not_hold_is_not_pulled(cloud: Cloud) -> None:
    cloud.client("ecr").create_repository(repositoryName=NAME)
    digest = push(cloud, "1", "one")
    run(cloud, EU, "never-copied", image(EU, digest))
    assert "not found" in until(lambda: reason(cloud, EU, "never-copied"))
    run(cloud, EU, "elsewhere", f"{ACCOUNT}.dkr.ecr.{EU}.amazonaws.com/nobody/pushed:1")
    until(lambda: runs(cloud, EU, "elsewhere"))
