"""The official SDKs, led here by environment variables only."""

from __future__ import annotations

import os
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import EnvironmentCredential
from azure.mgmt.containerinstance import ContainerInstanceManagementClient
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.resource import ResourceManagementClient
from running_azure import Azure, container, eventually, group

from arriero.rehearse.azure.world import SUBSCRIPTION
from arriero.rehearse.emulator import Fault


class Clients:
    def __init__(self) -> None:
        credential = EnvironmentCredential()
        self.resources = ResourceManagementClient(credential, SUBSCRIPTION)
        self.groups = ContainerInstanceManagementClient(credential, SUBSCRIPTION)
        self.network = NetworkManagementClient(credential, SUBSCRIPTION)
        self.hasty = ContainerInstanceManagementClient(credential, SUBSCRIPTION, retry_total=0)

    def put(self, name: str, body: dict[str, Any]) -> Any:
        return self.groups.container_groups.begin_create_or_update("rg", name, body).result(20)

    def get(self, name: str) -> Any:
        return self.groups.container_groups.get("rg", name)


@pytest.fixture
def clients(azure: Azure) -> Iterator[Clients]:
    with azure.entered():
        made = Clients()
        made.resources.resource_groups.create_or_update(
            "rg", {"location": "eastus", "tags": {"arriero-service": "llm"}}
        )
        yield made


def code_of(call: Callable[[], Any]) -> tuple[int | None, str]:
    with pytest.raises(HttpResponseError) as caught:
        call()
    return caught.value.status_code, caught.value.error.code if caught.value.error else ""


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_a_group_is_a_process_that_answers_where_azure_says(azure: Azure, clients: Clients) -> None:
    made = clients.put("g", group())
    assert (made.provisioning_state, made.instance_view.state) == ("Succeeded", "Running")
    assert eventually(lambda: answers(f"http://{made.ip_address.ip}:11434/"))
    (row,) = azure.emulator.containers()
    assert (row.target, row.container, row.region, row.address) == ("g", "ollama", "eastus", made.ip_address.ip)
    events = [event.name for event in made.containers[0].instance_view.events]
    assert events == ["Pulling", "Pulled", "Created", "Started"]


def test_kill_9_is_told_within_two_seconds_and_repaired_in_place(azure: Azure, clients: Clients) -> None:
    made = clients.put("g", group())
    (before,) = azure.emulator.containers()
    os.kill(before.pid, signal.SIGKILL)
    began = time.monotonic()
    view = eventually(lambda: (v := clients.get("g").containers[0].instance_view).restart_count == 1 and v, 2)
    assert time.monotonic() - began < 2
    assert (view.previous_state.state, view.previous_state.exit_code) == ("Terminated", 137)
    (after,) = azure.emulator.containers()
    assert after.pid != before.pid
    assert after.address == before.address == made.ip_address.ip


def test_an_image_that_exits_backs_off_with_its_exit_code(clients: Clients) -> None:
    clients.put("g", group(container(image="acme/llm:exit-3")))
    current = "CrashLoopBackOff: Back-off restarting failed"
    view = eventually(
        lambda: (v := clients.get("g").containers[0].instance_view).current_state.detail_status == current and v
    )
    assert (view.current_state.state, view.previous_state.exit_code, view.restart_count) == ("Waiting", 3, 1)
    assert "exits with 3" in clients.groups.containers.list_logs("rg", "g", "ollama").content


def test_a_policy_of_never_leaves_a_failed_group(clients: Clients) -> None:
    clients.put("g", group(container(image="acme/llm:exit-3"), restartPolicy="Never"))
    eventually(lambda: clients.get("g").instance_view.state == "Failed")


def test_init_containers_run_first_to_their_end(clients: Clients) -> None:
    clients.put("g", group(initContainers=[{"name": "copy", "properties": {"image": "acme/copy:exit-0"}}]))
    found = clients.get("g")
    assert found.init_containers[0].instance_view.current_state.exit_code == 0
    assert found.instance_view.state == "Running"


def test_stop_start_restart_and_delete(azure: Azure, clients: Clients) -> None:
    address = clients.put("g", group()).ip_address.ip
    eventually(lambda: answers(f"http://{address}:11434/"))
    clients.groups.container_groups.stop("rg", "g")
    eventually(lambda: clients.get("g").instance_view.state == "Stopped")
    assert azure.emulator.containers() == []
    clients.groups.container_groups.begin_start("rg", "g").result()
    (row,) = eventually(azure.emulator.containers)
    clients.groups.container_groups.begin_restart("rg", "g").result()
    eventually(lambda: azure.emulator.containers() and azure.emulator.containers()[0].pid != row.pid)
    clients.groups.container_groups.begin_delete("rg", "g").result()
    assert list(clients.groups.container_groups.list_by_resource_group("rg")) == []
    eventually(lambda: not azure.processes.all())


def test_secrets_are_never_shown_nor_written_in_clear(azure: Azure, clients: Clients) -> None:
    variables = [{"name": "A", "value": "seen"}, {"name": "TOKEN", "secureValue": "hush-hush-9"}]
    made = clients.put("g", group(container(environmentVariables=variables)))
    assert [(one.name, one.secure_value) for one in made.containers[0].environment_variables] == [
        ("A", None),
        ("TOKEN", None),
    ]
    (row,) = azure.emulator.containers()
    assert b"TOKEN=hush-hush-9" in Path(f"/proc/{row.pid}/environ").read_bytes()
    azure.emulator._world.state.changed()
    time.sleep(0.4)
    assert (azure.folder / "azure" / "state.json").stat().st_mode & 0o777 == 0o600
    for file in (azure.folder / "azure").iterdir():
        assert file.is_dir() or b"hush-hush-9" not in file.read_bytes(), file


def test_everything_persists_and_servers_start_anew_on_their_addresses(azure: Azure, clients: Clients) -> None:
    before = clients.put("g", group(tags={"arriero-site": "a"}))
    (row,) = azure.emulator.containers()
    azure.restart()
    after = clients.get("g")
    assert after.tags == {"arriero-site": "a"}
    assert after.ip_address.ip == before.ip_address.ip
    (anew,) = eventually(azure.emulator.containers)
    assert (anew.address, anew.pid != row.pid) == (row.address, True)


def test_a_list_has_no_instance_views_as_in_azure(clients: Clients) -> None:
    clients.put("g", group())
    (listed,) = clients.groups.container_groups.list()
    assert listed.instance_view is None
    assert listed.ip_address.ip


def test_resources_are_found_by_tag(clients: Clients) -> None:
    clients.put("g", group(tags={"arriero-service": "llm", "arriero-site": "east"}))
    clients.put("other", group(tags={"arriero-service": "x"}))
    by_tag = "tagName eq 'arriero-service' and tagValue eq 'llm'"
    assert [one.name for one in clients.resources.resources.list(filter=by_tag)] == ["g"]
    assert [one.name for one in clients.resources.resources.list_by_resource_group("rg", filter=by_tag)] == ["g"]
    assert [one.name for one in clients.resources.resource_groups.list(filter=by_tag)] == ["rg"]
    mixed = "tagName eq 'a' and resourceType eq 'b'"
    assert code_of(lambda: list(clients.resources.resources.list(filter=mixed)))[1] == "InvalidFilterInQueryString"


def test_any_resource_is_read_by_its_id_and_version(clients: Clients) -> None:
    identifier = clients.put("g", group()).id
    assert clients.resources.resources.get_by_id(identifier, "2023-05-01").name == "g"
    wrong = code_of(lambda: clients.resources.resources.get_by_id(identifier, "2001-01-01"))
    assert wrong == (400, "NoRegisteredProviderFound")
    absent = identifier.replace("/g", "/h")
    with pytest.raises(ResourceNotFoundError):
        clients.resources.resources.get_by_id(absent, "2023-05-01")


def test_quota_is_refused_as_azure_words_it(clients: Clients) -> None:
    big = container()
    big["properties"]["resources"]["requests"]["cpu"] = 31
    for n in range(3):
        clients.put(f"g{n}", group(big, location="westeurope"))
    with pytest.raises(HttpResponseError, match=r"quota 'StandardCores' exceeded in region 'westeurope'.*Usage: '93'"):
        clients.put("g3", group(big, location="westeurope"))


def test_faults_end_with_their_time(azure: Azure, clients: Clients) -> None:
    clients.put("g", group())
    azure.emulator.apply(Fault("azure", "eastus", "throttle", until=time.time() + 5.0))
    assert code_of(lambda: clients.hasty.container_groups.begin_create_or_update("rg", "h", group()))[0] == 429
    assert clients.get("g").name == "g"
    azure.emulator.apply(Fault("azure", "eastus", "throttle", until=0.0))
    azure.emulator.apply(Fault("azure", "eastus", "refuse", until=time.time() + 3.0))
    assert code_of(lambda: clients.hasty.container_groups.get("rg", "g"))[0] == 503
    (row,) = azure.emulator.containers()
    eventually(lambda: not answers(f"http://{row.address}:11434/"), 1)
    eventually(lambda: answers(f"http://{row.address}:11434/"))
    assert clients.get("g").containers[0].instance_view.restart_count == 0


def test_an_eviction_moves_the_group_and_kill_leaves_others(azure: Azure, clients: Clients) -> None:
    clients.put("g", group())
    clients.put("h", group())
    before = {row.target: row.pid for row in azure.emulator.containers()}
    assert azure.emulator.apply(Fault("azure", "eastus", "evict", "g")) == ["evict: g"]
    eventually(lambda: {r.target: r.pid for r in azure.emulator.containers()}.get("g") not in (None, before["g"]))
    assert azure.emulator.apply(Fault("azure", "eastus", "kill", "h")) == [f"kill: h: ollama (pid {before['h']})"]
    eventually(lambda: {r.target: r.pid for r in azure.emulator.containers()}.get("h") not in (None, before["h"]))


def test_a_failed_liveness_probe_restarts_the_container(clients: Clients) -> None:
    probe = {"httpGet": {"path": "/no/such/path", "port": 11434}, "periodSeconds": 1, "failureThreshold": 1}
    clients.put("g", group(container(livenessProbe=probe)))
    view = eventually(lambda: (v := clients.get("g").containers[0].instance_view).restart_count >= 1 and v)
    assert {"Unhealthy", "Killing"} <= {event.name for event in view.events}


def test_a_private_group_needs_a_delegated_subnet(clients: Clients) -> None:
    space = {"addressPrefixes": ["10.0.0.0/16"]}
    subnets = [{"name": "plain", "properties": {"addressPrefix": "10.0.1.0/24"}}]
    network = {"location": "eastus", "properties": {"addressSpace": space, "subnets": subnets}}
    clients.network.virtual_networks.begin_create_or_update("rg", "net", network).result()
    subnet = clients.network.subnets.get("rg", "net", "plain")
    private = group(ipAddress={"type": "Private", "ports": [{"port": 11434}]}, subnetIds=[{"id": subnet.id}])
    assert code_of(lambda: clients.put("g", private)) == (400, "SubnetMissingRequiredDelegation")
    service = {"name": "aci", "properties": {"serviceName": "Microsoft.ContainerInstance/containerGroups"}}
    wanted = {"properties": {"addressPrefix": "10.0.1.0/24", "delegations": [service]}}
    clients.network.subnets.begin_create_or_update("rg", "net", "plain", wanted).result()
    assert clients.put("g", private).ip_address.type == "Private"
    in_use = code_of(lambda: clients.network.subnets.begin_delete("rg", "net", "plain"))
    assert in_use == (400, "InUseSubnetCannotBeDeleted")
    outside = {"properties": {"addressPrefix": "10.1.0.0/24"}}
    refused = code_of(lambda: clients.network.subnets.begin_create_or_update("rg", "net", "out", outside))
    assert refused[1] == "NetcfgSubnetRangeOutsideVnet"


def test_deleting_a_resource_group_ends_all_in_it(azure: Azure, clients: Clients) -> None:
    clients.put("g", group())
    clients.resources.resource_groups.begin_delete("rg").result()
    assert not clients.resources.resource_groups.check_existence("rg")
    eventually(lambda: not azure.processes.all())
    assert list(clients.resources.resources.list()) == []


def test_a_regions_usage_counts_groups_and_cores_and_is_told_by_the_region_only(azure: Azure, clients: Clients) -> None:
    clients.put("one", group())
    told = clients.groups.location.list_usage("eastus")
    usages = {usage.name.value: (usage.current_value, usage.limit) for usage in told}
    assert usages == {"ContainerGroups": (1, 100), "StandardCores": (1, 100), "StandardSpotCores": (0, 100)}
    azure.emulator.apply(Fault("azure", "eastus", "refuse", until=2**33))
    assert code_of(lambda: list(clients.hasty.location.list_usage("eastus"))) == (503, "ServiceUnavailable")
    assert [usage.current_value for usage in clients.groups.location.list_usage("westeurope")] == [0, 0, 0]
