"""The main job, from nothing to an answer, through drift and a killed server, and back to nothing.

The tests of this file go on from one another, in their order, on one stage.
"""

from __future__ import annotations

import os
import signal
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from places import Place, wait_for

pytestmark = pytest.mark.story

BASE = "llm-aws-east"
# What no module can do: a lease has to be kept while Ansible works, so the ledger's objects are written by obstore.
WRITERS_BESIDES_ANSIBLE = {("s3:PutObject", "object_store"), ("PUT blob", "object_store")}


@pytest.fixture(scope="module")
def clouds(two_clouds: Place) -> Callable[[str], Any]:
    """boto3 clients of the stage, as somebody's hand would use them."""
    found = two_clouds.environment()
    keys = {"aws_access_key_id": found["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": found["AWS_SECRET_ACCESS_KEY"]}
    session = boto3.Session(**keys, region_name="us-east-1")
    return lambda service: session.client(service, endpoint_url=found["AWS_ENDPOINT_URL"])


def plan_lines(place: Place) -> list[str]:
    return [line for line in place.arriero("plan").out.splitlines() if line.startswith("  ")]


def test_up_deploys_four_sites_and_says_where_the_gateway_is(two_clouds: Place) -> None:
    up = two_clouds.arriero("up", "--yes")
    assert up.code == 0, up.err + up.out
    assert up.err.startswith("Acting on the stage.")
    assert "Release 1 is up. The gateway answers at http://127.0.0.1:" in up.out
    assert two_clouds.states() == dict.fromkeys(("aws-east", "aws-west", "azure-east", "azure-eu"), "ready")


def test_every_target_has_a_process_and_an_address_of_its_own(two_clouds: Place) -> None:
    status = two_clouds.arriero("status", "--json").json
    targets = [target for site in status["sites"] for target in site["targets"]]
    assert len(targets) == 6
    assert len({target["pid"] for target in targets}) == 6
    assert len({target["address"] for target in targets}) == 6
    assert all(target["address"].startswith("127.") and target["models"] == ["llama2:latest"] for target in targets)
    assert {site["engine"] for site in status["sites"]} <= {"simulated", "ollama"}


def test_every_target_tells_its_figures_on_its_own_port(two_clouds: Place) -> None:
    status = two_clouds.arriero("status", "--json").json
    for target in [target for site in status["sites"] for target in site["targets"]]:
        with urllib.request.urlopen(f"http://{target['address']}/metrics", timeout=5) as answer:
            figures = answer.read().decode().splitlines()
        assert {"arriero_sidecar_ollama_up 1", "arriero_sidecar_slots 4"} <= set(figures)
        assert "arriero_sidecar_readers 1" in figures, "the edge follows it"


def test_the_gateway_streams_an_answer(two_clouds: Place) -> None:
    asked = two_clouds.arriero("ask", "Why deploy to two clouds?")
    assert asked.code == 0, asked.err
    assert asked.out.strip()
    assert "answered by" in asked.err


def test_a_second_up_does_nothing_and_starts_no_ansible(two_clouds: Place) -> None:
    before = two_clouds.runs
    assert two_clouds.arriero("plan").code == 0
    again = two_clouds.arriero("up", "--yes")
    assert again.code == 0
    assert "Nothing to do" in again.out
    assert two_clouds.runs == before


def test_kill_9_removes_exactly_that_target_and_the_service_comes_back(two_clouds: Place) -> None:
    site = two_clouds.arriero("status", "--json", "--file", "arriero.yaml").json["sites"][0]
    victim, others = site["targets"][0], {target["id"] for target in site["targets"][1:]}
    os.kill(victim["pid"], signal.SIGKILL)

    def is_told() -> bool:
        now = two_clouds.arriero("status", "--json").json["sites"][0]["targets"]
        return victim["id"] not in {t["id"] for t in now if t["state"] == "ready"}

    assert wait_for(is_told, 2)
    assert wait_for(lambda: two_clouds.states()[site["name"]] == "ready", 20)
    now = {target["id"] for target in two_clouds.arriero("status", "--json").json["sites"][0]["targets"]}
    assert others <= now
    assert two_clouds.arriero("ask", "Still there?").code == 0


def test_a_killed_sidecar_ends_its_task_and_in_a_container_group_comes_back_alone(two_clouds: Place) -> None:
    servers = two_clouds.arriero("rehearse", "status", "--json").json["servers"]
    beside = {server["cloud"]: server for server in servers if server["container"] == "sidecar"}
    for server in beside.values():
        os.kill(server["pid"], signal.SIGKILL)

    def ollamas() -> set[int]:
        rows = two_clouds.arriero("rehearse", "status", "--json").json["servers"]
        return {row["pid"] for row in rows if row["container"] == "ollama"}

    behind = {
        cloud: next(s["pid"] for s in servers if (s["target"], s["container"]) == (one["target"], "ollama"))
        for cloud, one in beside.items()
    }
    assert wait_for(lambda: behind["aws"] not in ollamas(), 2)
    assert behind["azure"] in ollamas()
    assert wait_for(lambda: set(two_clouds.states().values()) == {"ready"}, 20)
    assert two_clouds.arriero("ask", "Still there?").code == 0


def test_a_count_within_min_and_max_is_left_alone(two_clouds: Place, clouds: Callable[[str], Any]) -> None:
    clouds("ecs").update_service(cluster=BASE, service=BASE, desiredCount=3)
    assert wait_for(lambda: two_clouds.arriero("plan").code == 0, 20)


def test_drift_is_shown_with_its_reason_and_put_right(two_clouds: Place, clouds: Callable[[str], Any]) -> None:
    ecs, ec2 = clouds("ecs"), clouds("ec2")
    service = ecs.describe_services(cluster=BASE, services=[BASE])["services"][0]
    found = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
    container, *rest = found["containerDefinitions"]
    container["environment"] = [*container["environment"], {"name": "OLLAMA_DEBUG", "value": "1"}]
    given = ("family", "cpu", "memory", "networkMode", "executionRoleArn", "taskRoleArn", "volumes")
    changed = {key: found[key] for key in given if key in found}
    revision = ecs.register_task_definition(
        **changed, requiresCompatibilities=["FARGATE"], containerDefinitions=[container, *rest]
    )["taskDefinition"]["taskDefinitionArn"]
    ecs.update_service(cluster=BASE, service=BASE, desiredCount=7, taskDefinition=revision)
    group = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [BASE]}])["SecurityGroups"][0]
    opened = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.authorize_security_group_ingress(GroupId=group["GroupId"], IpPermissions=[opened])

    lines = "\n".join(plan_lines(two_clouds))
    assert "desired_count: is 7, should be 4" in lines
    assert "OLLAMA_DEBUG: is 1, should be not set" in lines
    assert "tcp 22 0.0.0.0/0" in lines
    up = two_clouds.arriero("up", "--yes")
    assert up.code == 0, up.err
    assert two_clouds.arriero("plan").code == 0


def test_every_writing_call_but_for_the_hand_above_came_from_an_ansible_module(two_clouds: Place) -> None:
    writers = {
        (" ".join(call["action"].split("/")[0].split(" ")[:2]), call["client"].split("/")[0])
        for call in two_clouds.calls()
        if call["writes"] and "Ansible" not in call["client"] and not call["client"].startswith("Boto3/")
    }
    assert writers == WRITERS_BESIDES_ANSIBLE


def test_down_purge_leaves_nothing(two_clouds: Place, clouds: Callable[[str], Any]) -> None:
    pids = [row["pid"] for row in two_clouds.arriero("rehearse", "status", "--json").json["servers"]]
    down = two_clouds.arriero("down", "--purge", "--yes")
    assert down.code == 0, down.err
    assert set(two_clouds.states().values()) == {"absent"}
    assert wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), 10)
    assert two_clouds.arriero("rehearse", "status", "--json").json["servers"] == []
    clusters = clouds("ecs").describe_clusters(clusters=[BASE])["clusters"]
    assert {cluster["status"] for cluster in clusters} <= {"INACTIVE"}  # ECS tells of removed ones for a while
    assert "There was nothing to remove" in two_clouds.arriero("down", "--purge", "--yes").out
