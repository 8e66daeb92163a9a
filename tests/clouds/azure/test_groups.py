from __future__ import annotations

from typing import Any

import pytest

from arriero.clouds.azure import groups
from arriero.plan.model import SiteRef

REF = SiteRef("llm", "azure-east", "azure", "eastus")
CRASHED = {"state": "Terminated", "exitCode": 137, "detailStatus": "Error"}
KEPT_BACK = {"state": "Waiting", "detailStatus": "CrashLoopBackOff: Back-off restarting failed"}


def item(provisioning: str = "Succeeded", state: str = "Running", **view: Any) -> dict[str, Any]:
    view.setdefault("currentState", {"state": "Running"})
    properties = {"image": "acme/llm:1", "resources": {"requests": {"cpu": 4, "memoryInGB": 16}}, "instanceView": view}
    return {
        "id": "/subscriptions/0/…/llm-azure-east-r3-1",
        "name": "llm-azure-east-r3-1",
        "location": "eastus",
        "tags": {"arriero-service": "llm", "arriero-site": "azure-east", "arriero-release": "3", "team": "x"},
        "properties": {
            "provisioningState": provisioning,
            "osType": "Linux",
            "ipAddress": {"type": "Private", "ip": "10.64.0.4", "ports": [{"port": 11434}]},
            "instanceView": {"state": state},
            "containers": [{"name": "ollama", "properties": properties}],
        },
    }


WARNING = {"type": "Warning", "name": "Failed", "message": 'Failed to pull image "acme/llm:1"', "lastTimestamp": "2"}

STATES = {
    "it runs": (item(), "ready", ""),
    "it is being made": (item("Creating", "Pending", currentState={"state": "Waiting"}), "starting", ""),
    "its image is being pulled": (item("Pending", "Pending", currentState={}), "starting", ""),
    "it runs but Azure has not said so": (item("Creating"), "starting", ""),
    "it is being deleted": (item("Deleting"), "draining", "it is being deleted"),
    "its container ended": (item(currentState=CRASHED), "stopped", "container ollama exited with code 137 (Error)"),
    "it was killed once and is back": (item(restartCount=1, previousState=CRASHED), "ready", ""),
    "it crashes": (
        item(currentState=KEPT_BACK, previousState=CRASHED, restartCount=1),
        "stopped",
        "container ollama exited with code 137 (Error), again and again",
    ),
    "it can't be made": (
        item("Failed", "Failed", currentState={"state": "Waiting"}, events=[WARNING]),
        "stopped",
        'Failed: Failed to pull image "acme/llm:1"',
    ),
    "it was stopped by hand": (item("Succeeded", "Stopped", currentState=CRASHED), "stopped", "the group is Stopped"),
}


@pytest.mark.parametrize("name", STATES)
def test_a_group_has_the_state_of_a_target(name: str) -> None:
    found, state, reason = STATES[name]
    target = groups.as_target(found, REF)
    assert (target.state, target.reason) == (state, reason)
    assert (target.id, target.address, target.release) == ("llm-azure-east-r3-1", "10.64.0.4:11434", 3)


def test_a_group_without_an_address_yet_has_none() -> None:
    found = item("Pending")
    del found["properties"]["ipAddress"]["ip"]
    assert groups.as_target(found, REF).address == ""


def test_a_group_is_ours_by_its_tags_or_by_its_name() -> None:
    bare, stranger = item() | {"tags": {}}, item() | {"name": "somebody", "tags": {"arriero-service": "llm"}}
    assert groups.is_ours(item() | {"name": "any"}, REF)
    assert groups.is_ours(bare, REF)
    assert not groups.is_ours(stranger, REF)
    assert not groups.is_ours(bare | {"name": "llm-azure-east-r3-1-mine"}, REF)


def test_a_spare_is_ours_once_it_has_a_name_of_ours_whatever_its_tags_say() -> None:
    spare = item()
    spare["properties"] = {**spare["properties"], "isCreatedFromStandbyPool": True}
    assert not groups.is_ours(spare | {"name": "spares-0a1b2c3d"}, REF)
    assert groups.is_ours(spare, REF)


def test_only_our_tags_are_compared() -> None:
    assert groups.as_resource(item()).properties["tags"] == {
        "arriero-service": "llm",
        "arriero-site": "azure-east",
        "arriero-release": "3",
    }


def test_the_count_is_that_of_one_release_and_leaves_out_the_failed() -> None:
    def of(release: str, *rest: str) -> dict[str, Any]:
        made = item(*rest)
        made["tags"]["arriero-release"] = release
        return made

    assert groups.live_count([]) == 0
    assert groups.live_count([of("1"), of("1"), of("2")]) == 2
    assert groups.live_count([of("1"), of("1", "Failed"), of("1", "Deleting")]) == 1


def test_a_probe_of_another_kind_is_shown_as_it_is() -> None:
    assert liveness({"tcpSocket": {"port": 1}}) == "{'tcpSocket': {'port': 1}}"


def test_a_probe_that_runs_a_command_is_read_in_the_words_of_the_plan() -> None:
    probe = {"exec": {"command": ["ollama", "list"]}, "periodSeconds": 10, "failureThreshold": 6}
    assert liveness(probe) == "`ollama list` every 10s, restart after 6 failures"


def liveness(probe: dict[str, Any]) -> str:
    found = item()
    found["properties"]["containers"][0]["properties"]["livenessProbe"] = probe
    containers: Any = groups.as_resource(found).properties["containers"]
    return str(containers["ollama"]["liveness"])
