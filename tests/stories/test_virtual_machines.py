"""A site at Azure with GPUs on virtual machines, from its price to its end, under exactly the role exported for it.

The tests of this file go on from one another, in their order, on one stage.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from burst import Burst
from places import Place, open_spec, wait_for

from arriero.clouds.azure import connection, vms
from arriero.clouds.azure.network import NETWORK_VERSION
from arriero.clouds.endpoints import Endpoints

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {min: 1, max: 2, by: hand}
accounts: {azure: 00000000-0000-0000-0000-000000000001}
sites:
  azure-gpu: {cloud: azure, region: eastus, gpu: {type: T4, machines: virtual}}
"""
BASE = "llm-azure-gpu"
CLIENTS = 4
VERSIONS = {vms.TYPE: vms.VERSION, vms.INTERFACES: NETWORK_VERSION, vms.DISKS: vms.DISKS_VERSION}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    for found in open_spec(tmp_path_factory.mktemp("machines"), SPEC):
        yield found
        found.arriero("rehearse", "start")  # all may be done again: what a failed test left is removed


def at_azure(place: Place, kind: str) -> list[Any]:
    """What of that kind the site's resource group holds, as Azure lists it."""
    with Endpoints("the test", place.environment()).entered():
        return list(connection.connect().list(f"/resourceGroups/{BASE}/providers/{kind}", VERSIONS[kind]))


def names(place: Place) -> set[str]:
    """Of the machines; each has an interface and a disk of its own name."""
    found = [{str(item["name"]) for item in at_azure(place, kind)} for kind in VERSIONS]
    assert found[0] == found[1] == found[2]
    return found[0]


def targets(place: Place) -> list[dict[str, Any]]:
    [site] = place.arriero("status", "--json").json["sites"]
    return list(site["targets"])


def are_ready(place: Place, count: int) -> bool:
    return [target["state"] for target in targets(place)] == ["ready"] * count


def port_of_gateway(place: Place) -> int:
    return int(place.arriero("status", "--json").json["gateway"]["url"].rpartition(":")[2])


def ask(place: Place) -> dict[str, Any]:
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port_of_gateway(place)}/api/generate",
        json.dumps({"model": "llama2", "prompt": "hello", "stream": False}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=60) as answer:
        said: dict[str, Any] = json.loads(answer.read())
    return said


def test_the_plan_names_the_machine_and_what_is_known_of_its_price(place: Place) -> None:
    assert place.arriero("export", "iam", "--out", "iam").code == 0
    role = json.loads((place.folder / "iam" / "azure-role.json").read_text())
    assert "Microsoft.Compute/virtualMachines/write" in role["Actions"]
    plan = place.arriero("plan")
    assert plan.code == 2, plan.out + plan.err
    assert "azure-gpu: Azure virtual machines eastus, active, 1 target" in plan.out
    assert (
        "each a virtual machine of its own, Standard_NC4as_T4_v3 (1 x T4, 4 vCPU, 26.25GiB for containers)" in plan.out
    )
    # the machine at 0.526 an hour and its disk at 0.013151, by 730 hours
    assert "at least $393.58 a month (price of NAT gateway, public IPv4 unknown)" in plan.out


def test_it_comes_up_in_the_sites_own_subnet(place: Place) -> None:
    assert place.arriero("rehearse", "start", "--permissions", "iam").code == 0
    up = place.arriero("up", "--yes")
    assert up.code == 0, up.err + up.out
    assert names(place) == {f"{BASE}-r1-1"}
    [machine], [interface] = at_azure(place, vms.TYPE), at_azure(place, vms.INTERFACES)
    properties = machine["properties"]
    assert properties["hardwareProfile"]["vmSize"] == "Standard_NC4as_T4_v3"
    assert properties["osProfile"]["linuxConfiguration"]["disablePasswordAuthentication"] is True
    [configuration] = interface["properties"]["ipConfigurations"]
    assert configuration["properties"]["subnet"]["id"].endswith(f"/virtualNetworks/{BASE}/subnets/targets")
    assert "publicIPAddress" not in configuration["properties"]
    [target] = targets(place)
    assert target["address"] == f"{configuration['properties']['privateIPAddress']}:11434"


def test_the_gateway_serves_through_its_sidecar(place: Place) -> None:
    assert ask(place)["done"] is True
    reach = place.arriero("check")
    assert "10.64.0.0/16 -> port 11434" in reach.out.replace("may reach", "->"), reach.out + reach.err


def test_afterwards_the_plan_is_empty_and_a_second_run_changes_nothing(place: Place) -> None:
    plan = place.arriero("plan")
    assert plan.code == 0, plan.out
    before = len(place.calls())
    up = place.arriero("up", "--yes")
    assert up.code == 0, up.err
    made = [call for call in place.calls()[before:] if call["writes"] and "blob" not in call["action"]]
    assert made == []  # the ledger is in blobs


def test_a_killed_server_comes_back_in_its_place(place: Place) -> None:
    [before] = targets(place)
    os.kill(before["pid"], signal.SIGKILL)
    assert wait_for(lambda: are_ready(place, 1) and targets(place)[0]["pid"] not in (None, before["pid"]), 60)
    [after] = targets(place)
    assert (after["id"], after["address"]) == (before["id"], before["address"])
    assert wait_for(lambda: ask(place)["done"] is True, 60)


def test_the_count_goes_up_and_down(place: Place) -> None:
    spec = place.folder / "arriero.yaml"
    spec.write_text(SPEC.replace("min: 1, max: 2", "min: 2, max: 2"))
    more = place.arriero("up", "--yes")
    assert more.code == 0, more.err + more.out
    assert are_ready(place, 2)
    assert names(place) == {f"{BASE}-r1-1", f"{BASE}-r1-2"}
    spec.write_text(SPEC.replace("min: 1, max: 2", "min: 1, max: 1"))
    fewer = place.arriero("up", "--yes")
    assert fewer.code == 0, fewer.err + fewer.out
    assert names(place) == {f"{BASE}-r1-1"}
    assert are_ready(place, 1)
    spec.write_text(SPEC)


def test_a_new_release_takes_the_place_of_the_former_and_loses_no_request(place: Place) -> None:
    burst = Burst(port_of_gateway(place))
    burst.start(CLIENTS)
    try:
        assert wait_for(lambda: len(burst.answers) > CLIENTS, 60), burst.faults
        changed = SPEC + "environment: {OLLAMA_FLASH_ATTENTION: '1'}\n"
        (place.folder / "arriero.yaml").write_text(changed)
        up = place.arriero("up", "--yes")
        assert up.code == 0, up.err + up.out
        before = len(burst.answers)
        assert wait_for(lambda: len(burst.answers) > before + CLIENTS, 60), burst.faults
    finally:
        burst.end()
    assert burst.faults == []
    assert {answer.rpartition("-")[0] for answer in burst.answers} == {f"{BASE}-r1", f"{BASE}-r2"}
    assert {name.rpartition("-")[0] for name in names(place)} == {f"{BASE}-r2"}
    assert place.arriero("plan").code == 0


def test_what_somebody_changed_is_told(place: Place) -> None:
    [machine] = at_azure(place, vms.TYPE)
    path = f"/resourceGroups/{BASE}/providers/{vms.TYPE}/{machine['name']}"
    with Endpoints("the test", place.environment()).entered():
        arm = connection.connect()
        found: Any = arm.get(path, vms.VERSION, **{"$expand": "userData"})
        told = base64.b64decode(found["properties"]["userData"]).decode()
        arm.put(path, vms.VERSION, asked(found, told.replace("acme/ollama-llm", "acme/another")))
    plan = place.arriero("plan")
    assert plan.code == 2
    assert "containers.ollama.image: is registry.example.com/acme/another" in plan.out
    with Endpoints("the test", place.environment()).entered():
        connection.connect().put(path, vms.VERSION, asked(found, told))
    assert place.arriero("plan").code == 0


def asked(found: dict[str, Any], told: str) -> dict[str, Any]:
    """The machine with that as its user data, and the rest as it is."""
    properties = {"userData": base64.b64encode(told.encode()).decode()}
    return {"location": found["location"], "tags": found["tags"], "properties": properties}


def test_it_goes_back_to_the_former_release(place: Place) -> None:
    back = place.arriero("rollback", "1", "--yes")
    assert back.code == 0, back.err + back.out
    assert {name.rpartition("-")[0] for name in names(place)} == {f"{BASE}-r1"}
    assert ask(place)["done"] is True


def test_terraform_says_machines(place: Place) -> None:
    export = place.arriero("export", "terraform", "--out", "terraform")
    assert export.code == 0, export.err
    assert "Microsoft.Compute/virtualMachines@" in (place.folder / "terraform" / "azure.tf").read_text()


def test_what_is_not_built_for_machines_is_said_exactly(place: Place) -> None:
    logs = place.arriero("logs")
    said = (
        "lines of virtual machines stay on them and are not read here, and azure-gpu has some; az vm run-command invoke"
    )
    assert said in logs.out


def test_all_that_was_asked_of_the_cloud_was_known_and_was_allowed(place: Place) -> None:
    calls = [call for call in place.calls() if call["cloud"] == "azure"]
    assert {call["action"] for call in calls if any(need.get("unknown") for need in call["needs"])} == set()
    assert any(call["action"] == "PUT Microsoft.Compute/virtualMachines" for call in calls)
    judged = {call["judged"] for call in calls if call["action"].startswith("PUT Microsoft.Compute/")}
    assert judged == {"2024-03-01"}


def test_its_end_leaves_nothing(place: Place) -> None:
    down = place.arriero("down", "--purge", "--yes")
    assert down.code == 0, down.err + down.out
    assert names(place) == set()
    assert place.arriero("rehearse", "status", "--json").json.get("servers", []) == []
