"""Tasks of two containers on the emulated ECS, as the plan wishes for them: both are real processes."""

from __future__ import annotations

import json
import os
import signal
import threading
import urllib.error
import urllib.request
from typing import Any

import pytest
from emulated_cloud import Cloud, until
from two_containers import get, rows, start, tell_a_story


def is_protected(cloud: Cloud) -> list[bool]:
    arns = [task["taskArn"] for task in cloud.tasks("llm")]
    told = cloud.client("ecs").get_task_protection(cluster="llm", tasks=arns)["protectedTasks"]
    return [one["protectionEnabled"] for one in told]


def test_every_task_answers_through_its_sidecar_and_tells_its_figures(cloud: Cloud) -> None:
    start(cloud, 2)
    for task in cloud.tasks("llm"):
        both = rows(cloud, task)
        assert set(both) == {"ollama", "sidecar"}
        assert both["ollama"].address == both["sidecar"].address
        address = both["sidecar"].address
        assert get(address, "/readyz") == (200, "ok\n")
        status, figures = get(address, "/metrics")
        assert (status, "arriero_sidecar_slots 2" in figures) == (200, True)
        assert [c["healthStatus"] for c in task["containers"]] == ["HEALTHY", "HEALTHY"]
        assert json.loads(get(address, "/api/tags")[1])["models"][0]["name"] == "llama2:latest"


@pytest.mark.parametrize("container", ["sidecar", "ollama"])
def test_the_kill_of_either_ends_the_task_within_two_seconds(cloud: Cloud, container: str) -> None:
    start(cloud)
    [task] = cloud.tasks("llm")
    both = rows(cloud, task)
    os.kill(both[container].pid, signal.SIGKILL)
    [stopped] = until(lambda: cloud.tasks("llm", "STOPPED"), 2)
    assert (stopped["taskArn"], stopped["stopCode"]) == (task["taskArn"], "EssentialContainerExited")
    until(lambda: not any(os.path.exists(f"/proc/{row.pid}") for row in both.values()), 3)  # noqa: PTH110
    until(lambda: cloud.is_stable("llm"))


def test_streams_end_before_ollama_is_told_to_stop(cloud: Cloud) -> None:
    start(cloud)
    [task] = cloud.tasks("llm")
    both, told = rows(cloud, task), []  # type: ignore[var-annotated]
    address = both["sidecar"].address
    teller = threading.Thread(target=lambda: told.extend(tell_a_story(address, 120)))
    teller.start()
    until(lambda: "arriero_sidecar_in_flight 1" in get(address, "/metrics")[1])
    cloud.client("ecs").stop_task(cluster="llm", task=task["taskArn"])
    until(lambda: get(address, "/readyz") == (503, "draining\n"), 2)
    assert os.path.exists(f"/proc/{both['ollama'].pid}")  # noqa: PTH110
    teller.join(20)
    assert told[-1]["done"] is True
    until(lambda: not any(os.path.exists(f"/proc/{row.pid}") for row in both.values()), 3)  # noqa: PTH110


def test_a_task_with_open_streams_is_not_scaled_in(cloud: Cloud) -> None:
    start(cloud, 2)
    busy = max(cloud.tasks("llm"), key=lambda task: task["createdAt"])  # ECS would end the youngest first
    told: list[dict[str, Any]] = []
    address = rows(cloud, busy)["sidecar"].address
    teller = threading.Thread(target=lambda: told.extend(tell_a_story(address, 400)))
    teller.start()
    until(lambda: any(is_protected(cloud)), 2)
    cloud.client("ecs").update_service(cluster="llm", service="llm", desiredCount=1)
    until(lambda: len(cloud.tasks("llm")) == 1)
    assert [task["taskArn"] for task in cloud.tasks("llm")] == [busy["taskArn"]]
    teller.join(20)
    assert told[-1]["done"] is True
    until(lambda: not any(is_protected(cloud)), 6)


def test_a_role_that_does_not_allow_it_protects_nothing_and_the_sidecar_says_so(cloud: Cloud) -> None:
    start(cloud, 1, policies={})
    [task] = cloud.tasks("llm")
    assert tell_a_story(rows(cloud, task)["sidecar"].address, 20)[-1]["done"] is True
    name = task["taskArn"].rpartition("/")[2]
    log = cloud.folder / "targets" / name / "sidecar.log"
    until(lambda: "ECS does not protect this task: /ecs-agent/" in log.read_text(), 3)
    assert is_protected(cloud) == [False]


def test_the_agent_refuses_what_ecs_refuses(cloud: Cloud) -> None:
    start(cloud)
    [task] = cloud.tasks("llm")
    agent = f"{cloud.aws.environment()['AWS_ENDPOINT_URL']}/ecs-agent"
    name = task["taskArn"].rpartition("/")[2]

    def put(task_id: str, body: object) -> tuple[int, dict[str, Any]]:
        path = f"{agent}/{task_id}/task-protection/v1/state"
        request = urllib.request.Request(path, json.dumps(body).encode(), method="PUT")
        try:
            with urllib.request.urlopen(request, timeout=5) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    status, told = put(name, {"ProtectionEnabled": True, "ExpiresInMinutes": 3})
    assert (status, told["protection"]["ProtectionEnabled"], is_protected(cloud)) == (200, True, [True])
    assert put(name, {"ProtectionEnabled": False})[1]["protection"]["ExpirationDate"] is None
    for bad in ({"ProtectionEnabled": "yes"}, {"ProtectionEnabled": True, "ExpiresInMinutes": 2881}, {}, []):
        assert put(name, bad)[1]["error"]["Code"] == "InvalidParameterException"
    assert put("0" * 32, {"ProtectionEnabled": True})[0] == 404
