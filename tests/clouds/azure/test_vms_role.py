"""A site with GPUs on virtual machines: the role makes them with unmodified Azure modules, on the emulated Azure."""

from __future__ import annotations

import http.client
from dataclasses import replace
from typing import Any

import pytest
from azure_sites import REF as PLAIN
from azure_sites import Azure, planned, site, whole
from test_facts import make_parent

from arriero.clouds.azure import facts, variables, vms
from arriero.clouds.azure.connection import connect
from arriero.clouds.azure.network import NETWORK_VERSION
from arriero.plan.model import SiteFacts

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

GPU = {"gpu": {"type": "T4", "machines": "virtual"}}
REF = replace(PLAIN, machines=True, virtual=True)
ONE, TWO = "llm-azure-east-r1-1", "llm-azure-east-r1-2"


def test_a_site_of_machines_is_made_kept_repaired_renewed_and_removed(azure: Azure) -> None:
    made_and_left_alone(azure)
    repaired(azure)
    renewed(azure)
    gone = azure.play(variables.removal_variables(read(azure), purge=True), "remove")
    assert gone.code == 0, gone.text
    assert read(azure).resources == ()
    assert azure.emulator.containers() == []


def made_and_left_alone(azure: Azure) -> None:
    plan, played = up(azure, site(site=GPU))
    assert played.code == 0, played.text + played.errors
    assert [step.name for step in plan.steps] == ["group", "network", "targets"]
    found = read(azure)
    assert [(t.id, t.state) for t in found.targets] == [(ONE, "ready"), (TWO, "ready")]
    assert {t.address.rpartition(":")[2] for t in found.targets} == {"11434"}
    assert len({t.address for t in found.targets}) == 2
    assert all(answers(t.address) == 200 for t in found.targets)
    assert planned(site(site=GPU), found).changes == ()
    again = azure.play(variables.site_variables(site(site=GPU), whole(plan), found))
    assert (again.code, again.recap["changed"]) == (0, 0), again.text
    assert one_key_without_another_half(azure)


def one_key_without_another_half(azure: Azure) -> bool:
    """Both machines of a release have the same public key; nothing that the run left holds a private one."""
    with azure.entered():
        items = connect().list(vms.path(REF, ""), vms.VERSION)
    keys = {
        each["keyData"]
        for item in items
        for each in item["properties"]["osProfile"]["linuxConfiguration"]["ssh"]["publicKeys"]
    }
    texts = [path.read_bytes() for path in azure.folder.rglob("*") if path.is_file()]
    return len(keys) == 1 and not any(b"PRIVATE KEY" in text and b"OPENSSH" in text for text in texts)


def repaired(azure: Azure) -> None:
    """A machine is deleted by hand, with what goes with it: it comes back under its name."""
    with azure.entered():
        connect().delete(vms.path(REF, ONE), vms.VERSION)
    assert [each.name for each in read(azure).resources if each.kind == "azure.virtual_machine"] == [TWO]
    assert listed(azure, vms.INTERFACES) == [TWO] == listed(azure, vms.DISKS)
    plan, played = up(azure, site(site=GPU))
    assert [(c.action, c.name) for c in plan.changes] == [("create", ONE)]
    assert played.code == 0, played.text
    assert sorted(target.id for target in read(azure).targets) == [ONE, TWO]


def renewed(azure: Azure) -> None:
    """A new release comes up beside the old one, which then goes with interfaces and disks, a left one, too."""
    with azure.entered():
        path = f"{vms.interface_path(REF, 'x').removesuffix('x')}llm-azure-east-r1-9"
        connect().put(path, NETWORK_VERSION, interface(azure))
    wanted = site(site=GPU, image="acme/llm:2")
    plan, played = up(azure, wanted, release=2, digest="00000000000b")
    assert played.code == 0, played.text
    assert [c.action for c in plan.changes] == ["create", "create", "remove", "remove", "remove"]
    found, names = read(azure), [f"llm-azure-east-r2-{n}" for n in (1, 2)]
    assert [(t.id, t.state) for t in found.targets] == [(name, "ready") for name in names]
    assert listed(azure, vms.INTERFACES) == names == listed(azure, vms.DISKS)
    assert planned(wanted, found, release=2, digest="00000000000b").changes == ()


def test_a_server_that_does_not_come_up_is_told_of_in_its_own_words(azure: Azure) -> None:
    make_parent(azure)
    wanted = site(site=GPU, image="acme/x:exit-3", deploy={"ready_within": "60s"})
    _, played = up(azure, wanted, count=1)
    assert played.code != 0
    assert f"the virtual machine {ONE} does not answer: " in played.text
    assert "arriero-ollama.service ends again and again" in played.text
    [target] = read(azure).targets
    assert target.state == "stopped"
    assert target.reason == "its server does not answer: arriero-ollama.service ends again and again"

    # The resource group is somebody else's: only our things leave it.
    gone = azure.play(variables.removal_variables(read(azure), purge=True), "remove")
    assert gone.code == 0, gone.text
    assert [each.kind for each in read(azure).resources] == ["azure.resource_group"]
    assert listed(azure, vms.INTERFACES) == [] == listed(azure, vms.DISKS)


def test_a_quota_that_is_used_up_is_told_of_and_what_was_made_for_it_goes(azure: Azure) -> None:
    large = {"gpu": {"type": "T4", "count": 4, "machines": "virtual"}}
    wanted = site(site=large)
    plan, played = up(azure, wanted, count=5)
    assert len(plan.wanted) > 5
    assert played.code != 0
    assert "standardNCASv3_T4Family Cores quota" in played.text
    found = read(azure)
    assert [each.name for each in found.resources if each.kind == "azure.network_interface"] == ["llm-azure-east-r1-5"]
    again, played = up(azure, wanted, count=4)
    assert [(each.action, each.kind) for each in again.changes] == [("remove", "azure.network_interface")]
    assert played.code == 0, played.text
    assert listed(azure, vms.INTERFACES) == [f"llm-azure-east-r1-{n}" for n in range(1, 5)]


def read(azure: Azure) -> SiteFacts:
    with azure.entered():
        return facts.read_site(REF)


def up(azure: Azure, wanted: Any, **how: Any) -> Any:
    found = read(azure)
    plan = planned(wanted, found, **how)
    return plan, azure.play(variables.site_variables(wanted, plan, found))


def listed(azure: Azure, kind: str) -> list[str]:
    version = vms.DISKS_VERSION if kind == vms.DISKS else NETWORK_VERSION
    with azure.entered():
        items = connect().list(f"/resourceGroups/llm-azure-east/providers/{kind}", version)
    return sorted(str(item["name"]) for item in items)


def interface(azure: Azure) -> dict[str, Any]:
    with azure.entered():
        subnet = (
            "/resourceGroups/llm-azure-east/providers/Microsoft.Network/virtualNetworks/llm-azure-east/subnets/targets"
        )
        found: Any = connect().get(subnet, NETWORK_VERSION)
    configuration = {"name": "default", "properties": {"subnet": {"id": found["id"]}}}
    return {"location": "eastus", "properties": {"ipConfigurations": [configuration]}}


def answers(address: str) -> int:
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    connection.request("GET", "/")
    status = connection.getresponse().status
    connection.close()
    return status
