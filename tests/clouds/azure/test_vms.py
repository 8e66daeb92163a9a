"""From a virtual machine's JSON, with its view and its interface, to what it is and how it is."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from arriero.clouds.azure import vm_bodies, vm_scaling, vms
from arriero.plan.model import SiteRef
from arriero.plan.wanted import azure_vms
from arriero.spec.model import Spec

REF = SiteRef("llm", "north", "azure", "swedencentral", machines=True, virtual=True)
TAGS = {"arriero-service": "llm", "arriero-site": "north", "arriero-release": "3", "arriero-definition": "abc"}
SUBNET = "/x/providers/Microsoft.Network/virtualNetworks/llm-north/subnets/targets"
SAID = "Enable failed: failed to execute command\n[stdout]\narriero-ollama.service ends again and again\n"


def view(power: str = "running", provisioning: str = "succeeded", message: str = "", said: str = "") -> dict[str, Any]:
    told = [{"code": f"ProvisioningState/{provisioning}", "message": message}, {"code": f"PowerState/{power}"}]
    failed = [{"code": "ProvisioningState/failed/1", "message": said}] if said else []
    extensions = [{"name": "other", "statuses": []}, {"name": "answers", "statuses": failed}]
    return {"statuses": told if power else told[:1], "extensions": extensions}


def gated(state: str) -> list[dict[str, Any]]:
    return [{"name": "answers", "properties": {"provisioningState": state}}]


def item(name: str = "llm-north-r3-1", gate: str = "", **properties: Any) -> dict[str, Any]:
    """As Azure shows a machine of ours: with what it adds."""
    gpu = {"type": "T4", "machines": "virtual"}
    sites = {"north": {"cloud": "azure", "region": "swedencentral", "gpu": gpu}}
    given = {"name": "llm", "image": "acme/llm:1", "models": ["llama2"], "sites": sites}
    site = Spec.model_validate(given).site("north")
    wanted = azure_vms.pattern(site, "llm-north", "llm-north/targets", 3, TAGS)
    body: Any = vm_bodies.machine(wanted, "llm-north", "s")
    body["properties"]["storageProfile"]["osDisk"]["managedDisk"]["id"] = "/x/disks/d"
    body["properties"]["storageProfile"]["imageReference"]["exactVersion"] = "22.04.1"
    whole = {"provisioningState": "Succeeded", "instanceView": view(), "vmId": "1", **body["properties"], **properties}
    configuration = {"subnet": {"id": SUBNET}, "privateIPAddress": "10.64.0.4", "primary": True}
    interface = {
        "id": "/x/n",
        "name": name,
        "location": "swedencentral",
        "tags": TAGS,
        "properties": {"ipConfigurations": [{"name": "default", "id": "/x/c", "properties": configuration}]},
    }
    extensions = {"resources": gated(gate)} if gate else {}
    return {**body, "id": f"/x/{name}", "name": name, "properties": whole, "interface": interface, **extensions}


STATES: dict[str, tuple[dict[str, Any], str, str]] = {
    "it runs and has answered": (item(gate="Succeeded"), "ready", ""),
    "a copy runs, of which nobody asked": (item(), "ready", ""),
    "it has not answered yet": (item(gate="Creating"), "starting", ""),
    "Azure makes it": (item(provisioningState="Creating", instanceView=view("", "creating")), "starting", ""),
    "it starts": (item(instanceView=view("starting")), "starting", ""),
    "it goes": (item(provisioningState="Deleting"), "draining", "it is being deleted"),
    "it was deallocated": (item(instanceView=view("deallocated")), "stopped", "it was stopped"),
    "it is stopped and paid": (item(instanceView=view("stopped")), "stopped", "it is stopped, and paid all the same"),
    "Azure failed and says why": (
        item(provisioningState="Failed", instanceView=view("", "failed/AllocationFailed", "We do not have capacity")),
        "stopped",
        "We do not have capacity",
    ),
    "Azure failed": (item(provisioningState="Failed"), "stopped", "the machine is Failed"),
    "its server does not answer": (
        item(gate="Failed", provisioningState="Failed", instanceView=view(said=SAID)),
        "stopped",
        "its server does not answer: arriero-ollama.service ends again and again",
    ),
    "its script failed without a word": (
        item(gate="Failed"),
        "stopped",
        "its server does not answer: the script that asks it failed",
    ),
}


@pytest.mark.parametrize("case", STATES, ids=lambda name: name.replace(" ", "-"))
def test_the_state_is_what_azure_and_the_script_say(case: str) -> None:
    found, state, reason = STATES[case]
    target = vms.as_target(found, REF)
    assert (target.state, target.reason) == (state, reason)
    assert (target.address, target.release, target.resource) == ("10.64.0.4:11434", 3, "llm-north-r3-1")


def test_without_its_interface_a_target_has_no_address() -> None:
    assert vms.as_target({**item(), "interface": None}, REF).address == ""


def test_a_machine_as_azure_shows_it_is_the_one_that_was_asked_for() -> None:
    found = vms.as_resource(item())
    assert found.properties["size"] == "Standard_NC4as_T4_v3"
    assert found.properties["image"] == azure_vms.IMAGE
    assert found.properties["disk"] == {"gib": 128, "type": "StandardSSD_LRS", "goes_with_it": True}
    assert found.properties["password"] is False
    containers = found.properties["containers"]
    assert isinstance(containers, Mapping)
    assert list(containers) == ["ollama", "sidecar"]
    assert found.tags == TAGS


DRIFT: dict[str, tuple[str, Any]] = {
    "a public address": ("network.is_public", True),
    "another subnet": ("network.subnet", "other/b"),
    "a security group of its own": ("network.security_group", "open"),
    "a disk that stays": ("disk.goes_with_it", False),
    "no user data": ("containers", {}),
    "a password": ("password", True),
}


@pytest.mark.parametrize("what", DRIFT, ids=lambda name: name.replace(" ", "-"))
def test_what_a_hand_changed_is_seen(what: str) -> None:
    odd = item()
    interface, properties = odd["interface"]["properties"], odd["properties"]
    configuration = interface["ipConfigurations"][0]["properties"]
    if what == "a public address":
        configuration["publicIPAddress"] = {"id": "/x/p"}
    elif what == "another subnet":
        configuration["subnet"] = {"id": "/x/providers/Microsoft.Network/virtualNetworks/other/subnets/b"}
    elif what == "a security group of its own":
        interface["networkSecurityGroup"] = {"id": "/x/open"}
    elif what == "a disk that stays":
        properties["storageProfile"]["osDisk"]["deleteOption"] = "Detach"
    elif what == "no user data":
        properties["userData"] = None
    else:
        properties["osProfile"]["linuxConfiguration"]["disablePasswordAuthentication"] = False
    place, value = DRIFT[what]
    found: Any = vms.as_resource(odd).properties
    for part in place.split("."):
        found = found[part]
    assert found == value


@pytest.mark.parametrize(("gate", "has"), [("Succeeded", True), ("Creating", True), ("Failed", True), ("", False)])
def test_whether_a_machine_has_the_script_is_known_for_the_controllers_copies_have_none(gate: str, has: bool) -> None:
    assert vms.as_resource(item(gate=gate)).details["has_gate"] is has


@pytest.mark.parametrize(
    ("items", "count"),
    [
        ([item(), item(name="llm-north-r3-2")], 2),
        ([item(), item(name="llm-north-r3-2", provisioningState="Failed")], 1),
        ([item(), item(name="llm-north-r3-2", instanceView=view("deallocated"))], 1),
        ([item(provisioningState="Deleting")], 0),
        ([{**item(), "tags": {**TAGS, "arriero-release": "2"}}, item(), item(name="llm-north-r3-2")], 2),
    ],
)
def test_of_two_releases_side_by_side_the_larger_one_counts(items: list[Any], count: int) -> None:
    assert vms.live_count(items) == count


def test_ours_are_known_by_their_tags_and_without_them_by_their_name() -> None:
    assert vms.is_ours({**item(), "tags": {}}, REF)
    assert vms.is_ours(item(name="another"), REF)
    assert not vms.is_ours({**item(name="another"), "tags": {}}, REF)
    assert not vms.is_ours({**item(name="llm-north-web"), "tags": {}}, REF)


def test_a_copy_asks_for_nothing_that_azure_added_and_has_its_own_interface_and_disk() -> None:
    found = item()
    body = vm_scaling.copy(found, "llm-north-r3-9")
    text = json.dumps(body)
    assert all(word not in text for word in ("exactVersion", "vmId", "/x/disks/d", "instanceView", "provisioningState"))
    properties = body["properties"]
    assert properties["storageProfile"]["osDisk"]["name"] == properties["osProfile"]["computerName"] == "llm-north-r3-9"
    [interface] = properties["networkProfile"]["networkInterfaces"]
    assert interface["id"].endswith("/networkInterfaces/llm-north-r3-9")
    told = base64.b64decode(properties["userData"]).decode()
    assert azure_vms.digest(told) == vms.as_resource(found).properties["start"]
    made = vm_scaling.interface(found)
    assert made["properties"]["ipConfigurations"] == [
        {
            "name": "default",
            "properties": {"subnet": {"id": SUBNET}, "primary": True, "privateIPAllocationMethod": "Dynamic"},
        }
    ]
