"""What the emulated Azure makes of virtual machines and their interfaces, and what it refuses."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from running_azure import patched

from arriero.clock import ManualClock
from arriero.plan.wanted import azure_boot
from arriero.rehearse.azure import apps, machine_rules, machines, resources
from arriero.rehearse.azure.answers import Answer, ArmError, Request
from arriero.rehearse.azure.ids import ResourceId
from arriero.rehearse.azure.operations import finish_due
from arriero.rehearse.azure.world import SUBSCRIPTION, World

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "cases" / "azure-refusals" / "machines.json").read_text()
)
RG = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers"
NETWORK = f"{RG}/Microsoft.Network/virtualNetworks/net"
INTERFACES, MACHINES = f"{RG}/Microsoft.Network/networkInterfaces", f"{RG}/Microsoft.Compute/virtualMachines"
DISKS = f"{RG}/Microsoft.Compute/disks"
CONTAINER = {"image": "acme/llm:1", "command": ("ollama", "serve"), "environment": {"A": "1"}, "has_gpu": True}
WAITS = "until curl http://localhost:11434/; do sleep 1; done"


def call(world: World, method: str, path: str, body: Any = None, version: str = "2024-03-01") -> Answer:
    resource = ResourceId.parse(path.partition("?")[0])
    assert resource
    asked = f"{path}{'&' if '?' in path else '?'}api-version={version}"
    request = Request.of(method, "management.azure.com", asked, {}, json.dumps(body).encode())
    answered = resources.answer(world, request, resource)
    finish_due(world)
    return answered


def network(world: World, delegation: str = "") -> None:
    given = [{"name": "d", "properties": {"serviceName": delegation}}] if delegation else []
    subnet = {"name": "targets", "properties": {"addressPrefix": "10.0.1.0/24", "delegations": given}}
    space = {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}
    call(world, "PUT", NETWORK, {"location": "eastus", "properties": {**space, "subnets": [subnet]}})


def interface(location: str = "eastus", subnet: str = "targets") -> dict[str, Any]:
    place = {"id": f"{NETWORK}/subnets/{subnet}"}
    return {
        "location": location,
        "properties": {"ipConfigurations": [{"name": "default", "properties": {"subnet": place}}]},
    }


def machine(name: str, size: str = "Standard_NC4as_T4_v3", stays: str = "Delete") -> dict[str, Any]:
    text = azure_boot.user_data({"ollama": CONTAINER}, 30)
    used = {"id": f"{INTERFACES}/{name}", "properties": {"primary": True, "deleteOption": stays}}
    key = {"path": "/home/a/.ssh/authorized_keys", "keyData": "ssh-rsa AAAA"}
    disk = {"name": name, "createOption": "FromImage", "diskSizeGB": 128, "deleteOption": stays}
    image = {"publisher": "microsoft-dsvm", "offer": "ubuntu-hpc", "sku": "2204", "version": "latest"}
    return {
        "location": "eastus",
        "properties": {
            "hardwareProfile": {"vmSize": size},
            "priority": "Regular",
            "storageProfile": {"imageReference": image, "osDisk": disk},
            "osProfile": {
                "computerName": name,
                "adminUsername": "a",
                "linuxConfiguration": {"disablePasswordAuthentication": True, "ssh": {"publicKeys": [key]}},
            },
            "networkProfile": {"networkInterfaces": [used]},
            "userData": base64.b64encode(text.encode()).decode(),
        },
    }


def make(world: World, name: str, **how: str) -> Answer:
    call(world, "PUT", f"{INTERFACES}/{name}", interface())
    return call(world, "PUT", f"{MACHINES}/{name}", machine(name, **how))


@pytest.fixture
def whole(world: World) -> World:
    """With a network, and a machine in it."""
    network(world)
    make(world, "other")
    call(world, "PUT", f"{INTERFACES}/llm-1", interface())
    return world


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"].replace(" ", "-"))
def test_a_machine_that_cannot_be_is_refused(case: dict[str, Any], whole: World) -> None:
    with pytest.raises(ArmError) as caught:
        call(whole, "PUT", f"{MACHINES}/{case.get('machine', 'llm-1')}", patched(machine("llm-1"), case["patch"]))
    assert (caught.value.code, case["says"] in caught.value.message) == (case["code"], True), caught.value.message
    assert len(whole.state.runs) == 1  # the other one's


def test_the_same_machine_without_the_patch_is_made_with_its_disk(whole: World) -> None:
    made = call(whole, "PUT", f"{MACHINES}/llm-1", machine("llm-1"))
    assert (made.status, "Azure-AsyncOperation" in made.headers) == (201, True)
    disk = call(whole, "GET", f"{DISKS}/llm-1", version="2024-03-02").body
    assert (disk["managedBy"], disk["properties"]["diskSizeGB"]) == (f"{MACHINES}/llm-1", 128)
    shown = call(whole, "GET", f"{INTERFACES}/llm-1").body
    assert shown["properties"]["virtualMachine"]["id"] == f"{MACHINES}/llm-1"


def test_what_a_machine_was_told_is_shown_to_who_asks_for_it_alone(whole: World) -> None:
    assert "userData" not in call(whole, "GET", f"{MACHINES}/other").body["properties"]
    told = call(whole, "GET", f"{MACHINES}/other?$expand=userData").body["properties"]["userData"]
    assert told == machine("other")["properties"]["userData"]
    view = call(whole, "GET", f"{MACHINES}/other?$expand=instanceView").body["properties"]["instanceView"]
    assert view == call(whole, "GET", f"{MACHINES}/other/instanceView").body
    assert view["statuses"][1]["code"] == "PowerState/starting"


def test_it_runs_what_its_user_data_says_and_another_size_has_more(whole: World) -> None:
    shape = apps.shape(whole, f"{MACHINES}/other".lower())
    [container] = shape["properties"]["containers"]
    assert (container["name"], container["properties"]["image"]) == ("ollama", "acme/llm:1")
    assert container["properties"]["resources"]["requests"]["cpu"] == 4.0
    assert apps.billed(whole, f"{MACHINES}/other".lower()) == {"vm.Standard_NC4as_T4_v3": 1.0}
    assert machines.billed_disk(whole.state.resources[f"{DISKS}/other".lower()]) == {"vm.disk.E10": 1.0}


@pytest.mark.parametrize("text", ["#!/bin/sh\ndocker run acme/llm:1", "#cloud-config\n{}", "not base64"])
def test_a_machine_that_is_told_nothing_runs_on_without_a_container(text: str, whole: World) -> None:
    body = machine("llm-1")
    body["properties"]["userData"] = text if text == "not base64" else base64.b64encode(text.encode()).decode()
    call(whole, "PUT", f"{MACHINES}/llm-1", body)
    run = whole.state.runs[f"{MACHINES}/llm-1".lower()]
    run.phase = "running"
    run.settle()
    assert (run.containers, run.phase) == ([], "running")


def test_the_quota_counts_processors_and_not_those_of_machines_that_rest(
    whole: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_rules, "MOST_CORES", 7)
    with pytest.raises(ArmError) as caught:
        call(whole, "PUT", f"{MACHINES}/llm-1", machine("llm-1"))
    assert (caught.value.code, caught.value.status) == ("OperationNotAllowed", 409)
    assert "Current Limit: 7, Current Usage: 4, Additional Required: 4, (Minimum) New Limit Required: 8." in str(
        caught.value.message
    )
    whole.state.runs[f"{MACHINES}/other".lower()].phase = "stopped"
    assert call(whole, "PUT", f"{MACHINES}/llm-1", machine("llm-1")).status == 201
    with pytest.raises(ArmError) as caught:
        call(whole, "POST", f"{MACHINES}/other/start")
    assert caught.value.code == "OperationNotAllowed"


@pytest.mark.parametrize(("stays", "left"), [("Delete", []), ("Detach", ["other"])])
def test_disk_and_interface_go_with_a_machine_or_stay(
    stays: str, left: list[str], world: World, clock: ManualClock
) -> None:
    network(world)
    make(world, "other", stays=stays)
    for path, code in ((f"{INTERFACES}/other", "NicInUse"), (NETWORK, "InUseSubnetCannotBeDeleted")):
        with pytest.raises(ArmError) as caught:
            call(world, "DELETE", path)
        assert caught.value.code == code
    assert call(world, "DELETE", f"{MACHINES}/other").status == 202
    for kind, version in ((INTERFACES, "2024-03-01"), (DISKS, "2024-03-02")):
        assert [each["name"] for each in call(world, "GET", kind, version=version).body["value"]] == left
    if left:
        for path, version in ((f"{INTERFACES}/other", "2024-03-01"), (f"{DISKS}/other", "2024-03-02")):
            assert call(world, "DELETE", path, version=version).status == 202
    clock.sleep(5)
    finish_due(world)
    assert call(world, "DELETE", NETWORK).status == 202


@pytest.mark.parametrize(
    ("delegation", "body", "code"),
    [
        ("Microsoft.App/environments", interface(), "SubnetIsDelegatedAndCannotBeUsedByResource"),
        ("", interface(subnet="none"), "InvalidResourceReference"),
        ("", interface(location="westus"), "InvalidResourceReference"),
    ],
)
def test_an_interface_that_cannot_be_is_refused(delegation: str, body: Any, code: str, world: World) -> None:
    network(world, delegation)
    with pytest.raises(ArmError) as caught:
        call(world, "PUT", f"{INTERFACES}/llm-1", body)
    assert caught.value.code == code


def test_a_machine_is_given_back_and_started(whole: World) -> None:
    assert call(whole, "POST", f"{MACHINES}/other/deallocate").status == 202
    view = call(whole, "GET", f"{MACHINES}/other/instanceView").body
    assert view["statuses"][1]["code"] == "PowerState/deallocating"
    run = whole.state.runs[f"{MACHINES}/other".lower()]
    run.phase = "stopped"
    view = call(whole, "GET", f"{MACHINES}/other/instanceView").body
    assert view["statuses"][1]["code"] == "PowerState/deallocated"
    assert call(whole, "POST", f"{MACHINES}/other/start").status == 202
    assert run.phase == "pending"


def test_tags_and_user_data_may_change_and_nothing_else(whole: World) -> None:
    other = {**machine("other"), "tags": {"a": "b"}}
    assert call(whole, "PUT", f"{MACHINES}/other", other).body["tags"] == {"a": "b"}
    with pytest.raises(ArmError) as caught:
        call(whole, "PUT", f"{MACHINES}/other", machine("other", size="Standard_NC8as_T4_v3"))
    assert (caught.value.code, "hardwareProfile" in caught.value.message) == ("PropertyChangeNotAllowed", True)


def extension(command: str = WAITS, kind: str = "CustomScript") -> dict[str, Any]:
    settings = {"publisher": "Microsoft.Azure.Extensions", "type": kind, "typeHandlerVersion": "2.1"}
    return {"location": "eastus", "properties": {**settings, "settings": {"commandToExecute": command}}}


def test_a_script_ends_when_its_port_answers(whole: World) -> None:
    path = f"{MACHINES}/other/extensions/answers"
    assert call(whole, "PUT", path, extension()).status == 201
    whole.state.runs[f"{MACHINES}/other".lower()].phase = "running"
    for answer, state in ((None, "Creating"), (False, "Creating"), (True, "Succeeded")):
        machines.tend(whole, lambda target, port, answer=answer: answer if port == 11434 else False)  # type: ignore[misc]
        assert call(whole, "GET", path).body["properties"]["provisioningState"] == state
    [shown] = call(whole, "GET", f"{MACHINES}/other").body["resources"]
    assert shown["name"] == "answers"


def test_a_script_fails_where_a_container_comes_and_goes(whole: World) -> None:
    path = f"{MACHINES}/other/extensions/answers"
    call(whole, "PUT", path, extension())
    run = whole.state.runs[f"{MACHINES}/other".lower()]
    run.containers[0].restarts = 3
    machines.tend(whole, lambda target, port: False)
    shown = call(whole, "GET", f"{MACHINES}/other?$expand=instanceView").body["properties"]
    [status] = shown["instanceView"]["extensions"][0]["statuses"]
    assert (shown["provisioningState"], status["code"]) == ("Failed", "ProvisioningState/failed/1")
    assert status["message"].endswith("arriero-ollama.service ends again and again")


@pytest.mark.parametrize("body", [extension("reboot"), extension(kind="NvidiaGpuDriverLinux")])
def test_other_scripts_and_extensions_are_not_emulated(body: Any, whole: World) -> None:
    with pytest.raises(ArmError) as caught:
        call(whole, "PUT", f"{MACHINES}/other/extensions/x", body)
    assert caught.value.status == 501


@pytest.mark.parametrize("path", ["restart", "powerOff", "capture"])
def test_what_is_not_emulated_is_refused(path: str, whole: World) -> None:
    with pytest.raises(ArmError) as caught:
        call(whole, "POST", f"{MACHINES}/other/{path}")
    assert caught.value.status == 405
