"""Services of the emulated ECS, with real processes behind their tasks."""

from __future__ import annotations

import os
import signal
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from emulated_cloud import EAST, WEST, Cloud, until


def address(task: dict[str, Any]) -> str:
    [attachment] = task["attachments"]
    return next(detail["value"] for detail in attachment["details"] if detail["name"] == "privateIPv4Address")


def answers(task: dict[str, Any]) -> bool:
    with urllib.request.urlopen(f"http://{address(task)}:11434/", timeout=2) as response:
        return bool(response.status == 200)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def messages(cloud: Cloud, name: str) -> str:
    return "\n".join(event["message"] for event in cloud.described(name)["events"])


def test_every_task_of_a_service_answers_at_its_own_address_in_two_regions(cloud: Cloud) -> None:
    for region in (EAST, WEST):
        cloud.service("llm", cloud.definition("llm", region=region), 2, region)
    for region in (EAST, WEST):
        until(lambda region=region: cloud.is_stable("llm", region))
        tasks = cloud.tasks("llm", region=region)
        assert [task["lastStatus"] for task in tasks] == ["RUNNING", "RUNNING"]
        assert [task["healthStatus"] for task in tasks] == ["HEALTHY", "HEALTHY"]
        assert all(map(answers, tasks))
    assert "capacityProviderStrategy" not in cloud.described("llm")  # an empty one is not a launch type to Ansible
    assert len({row.address for row in cloud.aws.containers()}) == 4
    assert {row.region for row in cloud.aws.containers()} == {EAST, WEST}


def test_a_killed_process_is_told_with_its_exit_code_and_replaced(cloud: Cloud) -> None:
    cloud.service("llm", cloud.definition("llm"), 2)
    until(lambda: cloud.is_stable("llm"))
    victim, survivor = cloud.tasks("llm")
    os.kill(cloud.pid_of(victim), signal.SIGKILL)
    [stopped] = until(lambda: cloud.tasks("llm", "STOPPED"), 2)
    assert stopped["taskArn"] == victim["taskArn"]
    assert (stopped["stopCode"], stopped["stoppedReason"]) == (
        "EssentialContainerExited",
        "Essential container in task exited",
    )
    assert stopped["containers"][0]["exitCode"] == 137
    until(lambda: cloud.described("llm")["runningCount"] == 2)
    assert survivor["taskArn"] in [task["taskArn"] for task in cloud.tasks("llm")]


def test_scaling_starts_and_stops_and_keeps_protected_tasks(cloud: Cloud) -> None:
    ecs = cloud.client("ecs")
    cloud.service("llm", cloud.definition("llm"), 1)
    until(lambda: cloud.is_stable("llm"))
    ecs.update_service(cluster="llm", service="llm", desiredCount=3)
    until(lambda: cloud.described("llm")["runningCount"] == 3)
    assert cloud.described("llm")["deployments"][0]["rolloutState"] == "COMPLETED"
    kept = [task["taskArn"] for task in cloud.tasks("llm")][-1]
    ecs.update_task_protection(cluster="llm", tasks=[kept], protectionEnabled=True, expiresInMinutes=5)
    ecs.update_service(cluster="llm", service="llm", desiredCount=1)
    until(lambda: len(cloud.tasks("llm")) == 1)
    assert cloud.tasks("llm")[0]["taskArn"] == kept
    [told] = ecs.get_task_protection(cluster="llm", tasks=[kept])["protectedTasks"]
    assert told["protectionEnabled"]


def test_a_new_definition_rolls_through_without_a_gap(cloud: Cloud) -> None:
    cloud.service("llm", cloud.definition("llm"), 2)
    until(lambda: cloud.is_stable("llm"))
    second = cloud.definition("llm", "acme/llm:2")
    cloud.client("ecs").update_service(cluster="llm", service="llm", taskDefinition=second)
    seen = [cloud.described("llm")]
    until(lambda: seen.append(cloud.described("llm")) or cloud.is_stable("llm"))
    assert min(service["runningCount"] for service in seen) >= 2
    assert {task["taskDefinitionArn"] for task in cloud.tasks("llm")} == {second}
    assert cloud.described("llm")["taskDefinition"] == second


def test_an_image_that_exits_opens_the_breaker_and_the_former_one_stays(cloud: Cloud) -> None:
    first = cloud.definition("llm")
    cloud.service("llm", first, 1)
    until(lambda: cloud.is_stable("llm"))
    [before] = cloud.tasks("llm")
    cloud.client("ecs").update_service(
        cluster="llm", service="llm", taskDefinition=cloud.definition("llm", "acme/llm:exit-3")
    )
    until(lambda: "rolling back to deployment" in messages(cloud, "llm"))
    until(lambda: cloud.is_stable("llm"))
    assert cloud.described("llm")["taskDefinition"] == first
    assert [task["taskArn"] for task in cloud.tasks("llm")] == [before["taskArn"]]
    assert "deployment failed: tasks failed to start." in messages(cloud, "llm")
    assert {task["containers"][0]["exitCode"] for task in cloud.tasks("llm", "STOPPED")} == {3}


def test_a_first_deployment_that_fails_stays_failed(cloud: Cloud) -> None:
    cloud.service("llm", cloud.definition("llm", "acme/llm:exit-1"), 1)
    until(lambda: cloud.described("llm")["deployments"][0]["rolloutState"] == "FAILED")
    [deployment] = cloud.described("llm")["deployments"]
    assert deployment["rolloutStateReason"] == "ECS deployment circuit breaker: tasks failed to start."
    assert deployment["failedTasks"] >= 3


def test_a_frozen_server_fails_its_health_check_and_is_replaced(cloud: Cloud) -> None:
    cloud.service("llm", cloud.definition("llm"), 1)
    until(lambda: cloud.is_stable("llm"))
    [task] = cloud.tasks("llm")
    os.kill(cloud.pid_of(task), signal.SIGSTOP)
    until(lambda: "failed container health checks" in messages(cloud, "llm"))
    until(lambda: [t for t in cloud.tasks("llm") if t["taskArn"] != task["taskArn"] and t["healthStatus"] == "HEALTHY"])


def test_a_log_group_that_is_not_there_keeps_tasks_from_starting(cloud: Cloud) -> None:
    options = {"awslogs-group": "/ecs/none", "awslogs-region": EAST, "awslogs-stream-prefix": "llm"}
    cloud.service("llm", cloud.definition("llm", logConfiguration={"logDriver": "awslogs", "options": options}), 1)
    until(lambda: cloud.described("llm")["deployments"][0]["rolloutState"] == "FAILED")
    stopped = cloud.tasks("llm", "STOPPED")[0]
    assert stopped["stopCode"] == "TaskFailedToStart"
    assert "The specified log group does not exist" in stopped["stoppedReason"]


def test_what_a_container_prints_is_in_its_log_stream(cloud: Cloud) -> None:
    logs = cloud.client("logs")
    logs.create_log_group(logGroupName="/ecs/llm")
    options = {"awslogs-group": "/ecs/llm", "awslogs-region": EAST, "awslogs-stream-prefix": "llm"}
    cloud.service("llm", cloud.definition("llm", logConfiguration={"logDriver": "awslogs", "options": options}), 1)
    until(lambda: cloud.is_stable("llm"))
    [task] = cloud.tasks("llm")
    assert answers(task)
    events = until(lambda: logs.filter_log_events(logGroupName="/ecs/llm")["events"], 5)
    assert address(task) in events[0]["message"]
    name = task["taskArn"].rpartition("/")[2]
    assert {event["logStreamName"] for event in events} == {f"llm/ollama/{name}"}


def test_deleting_a_service_ends_its_processes_and_frees_the_cluster(cloud: Cloud) -> None:
    ecs = cloud.client("ecs")
    cloud.service("llm", cloud.definition("llm"), 2)
    until(lambda: cloud.is_stable("llm"))
    pids = [row.pid for row in cloud.aws.containers()]
    with pytest.raises(ClientError, match="ClusterContainsServices"):
        ecs.delete_cluster(cluster="llm")
    ecs.delete_service(cluster="llm", service="llm", force=True)
    until(lambda: cloud.described("llm")["status"] == "INACTIVE")
    assert all(map(is_gone, pids))
    assert ecs.list_services(cluster="llm")["serviceArns"] == []
    assert cloud.client("ec2").describe_network_interfaces()["NetworkInterfaces"] == []
    assert ecs.delete_cluster(cluster="llm")["cluster"]["status"] == "INACTIVE"


def test_stopping_a_task_and_running_one_alone(cloud: Cloud) -> None:
    ecs = cloud.client("ecs")
    network = cloud.network()
    [task] = ecs.run_task(
        cluster="llm", taskDefinition=cloud.definition("llm"), launchType="FARGATE", networkConfiguration=network
    )["tasks"]
    describe = lambda: ecs.describe_tasks(cluster="llm", tasks=[task["taskArn"]])["tasks"][0]  # noqa: E731
    until(lambda: describe()["healthStatus"] == "HEALTHY")
    assert answers(describe())
    ecs.stop_task(cluster="llm", task=task["taskArn"], reason="enough")
    ended = until(lambda: describe()["lastStatus"] == "STOPPED" and describe())
    assert (ended["stopCode"], ended["stoppedReason"]) == ("UserInitiated", "enough")
    assert cloud.aws.containers() == []


def test_the_stage_survives_a_restart_and_a_kill_of_its_processes(cloud: Cloud, tmp_path: Path) -> None:
    cloud.service("llm", cloud.definition("llm"), 1)
    until(lambda: cloud.is_stable("llm"))
    [before] = cloud.tasks("llm")
    role = {"RoleName": "llm", "AssumeRolePolicyDocument": "{}"}
    policy = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
    cloud.client("iam").create_role(**role)
    cloud.client("iam").attach_role_policy(RoleName="llm", PolicyArn=policy)
    old_pid = cloud.pid_of(before)
    cloud.restart()
    assert is_gone(old_pid)
    [attached] = cloud.client("iam").list_attached_role_policies(RoleName="llm")["AttachedPolicies"]
    assert attached["PolicyArn"] == policy
    until(lambda: cloud.described("llm")["runningCount"] == 1)
    [lost] = [task for task in cloud.tasks("llm", "STOPPED") if task["taskArn"] == before["taskArn"]]
    assert lost["stopCode"] == "TerminationNotice"
    assert cloud.described("llm")["deployments"][0]["failedTasks"] == 0
