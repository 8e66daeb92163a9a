"""More virtual machines, copied and named as a deployment would, and fewer, by name; against the emulated Azure."""

from __future__ import annotations

from typing import Any

import pytest
from azure_sites import DIGEST, Azure, allowed, planned, site, wait_for
from test_facts import SITE, make_parent, put

from arriero.clouds.azure import facts, scaling, variables
from arriero.clouds.scaling import Throttled
from arriero.errors import CloudError
from arriero.plan.model import SiteFacts, SiteRef
from arriero.plan.wanted.azure_vms import LEFT_KINDS, VM_KIND
from arriero.rehearse.azure import machine_rules
from arriero.rehearse.azure.world import SUBSCRIPTION
from arriero.rehearse.emulator import Fault

REF = SiteRef("llm", "azure-east", "azure", "eastus", machines=True, virtual=True)
GPU = {"gpu": {"type": "T4", "machines": "virtual"}}
NAMES = ["llm-azure-east-r1-1", "llm-azure-east-r1-2", "llm-azure-east-r1-3"]
NETWORK = f"{SITE}/providers/Microsoft.Network"
KEY = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ"


@pytest.fixture
def one(azure: Azure) -> Azure:
    """With the network and a single machine, as the role would make them."""
    make_parent(azure)
    found = SiteFacts("azure-east", "azure", "eastus", account=SUBSCRIPTION)
    values: Any = variables.site_variables(site(site=GPU), planned(site(site=GPU), found, count=1), found)
    subnet = {"name": "targets", "properties": {"addressPrefix": "10.64.0.0/18"}}
    network = {"addressSpace": {"addressPrefixes": ["10.64.0.0/16"]}, "subnets": [subnet]}
    whole = {"location": "eastus", "properties": network}
    put(azure, f"{NETWORK}/virtualNetworks/llm-azure-east", "2024-03-01", whole)
    [machine] = values["azure_site_machines"]
    place = {"id": f"/subscriptions/{SUBSCRIPTION}{NETWORK}/virtualNetworks/llm-azure-east/subnets/targets"}
    configuration = {"name": "default", "properties": {"subnet": place, "primary": True}}
    interface = {"location": "eastus", "tags": machine["tags"], "properties": {"ipConfigurations": [configuration]}}
    put(azure, f"{NETWORK}/networkInterfaces/{machine['name']}", "2024-03-01", interface)
    login = machine["body"]["properties"]["osProfile"]["linuxConfiguration"]["ssh"]["publicKeys"][0]
    login["keyData"] = KEY
    kind = f"{SITE}/providers/Microsoft.Compute/virtualMachines"
    put(azure, f"{kind}/{machine['name']}", "2024-03-01", machine["body"])
    assert wait_for(lambda: states(azure) == ["ready"])
    return azure


def states(azure: Azure) -> list[str]:
    with azure.entered():
        return [target.state for target in facts.read_targets(REF)]


def test_copies_are_what_a_plan_wants_and_go_by_name_with_what_is_theirs(one: Azure) -> None:
    with one.entered():
        standing = scaling.read(REF)
        assert (standing.count, standing.creates, standing.obstacle) == (1, True, "")
        assert scaling.start(REF, standing, 2, allowed) == NAMES[1:]
        found = facts.read_site(REF)
    machines = [each for each in found.resources if each.kind == VM_KIND]
    assert len(machines) == found.count == 3
    assert all(dict(each.properties) == dict(machines[0].properties) for each in machines)
    plan = planned(site(site=GPU), found, count=3, digest=DIGEST)
    assert not [change for change in plan.changes if change.kind == VM_KIND]
    assert wait_for(lambda: states(one) == ["ready"] * 3)
    assert len({target.address for target in found.targets}) == 3
    with one.entered():
        scaling.stop(REF, scaling.read(REF), [NAMES[1]], allowed)
        assert {target.id for target in scaling.read(REF).targets} == {NAMES[0], NAMES[2]}
        scaling.stop(REF, scaling.read(REF), [NAMES[1]], allowed)  # what is gone is gone
        after = facts.read_site(REF)
    assert [each for each in after.resources if each.kind in LEFT_KINDS] == []


def test_the_last_one_is_deallocated_and_started_again_at_its_address(one: Azure) -> None:
    with one.entered():
        [before] = scaling.read(REF).targets
        scaling.stop(REF, scaling.read(REF), [NAMES[0]], allowed)
        assert wait_for(lambda: scaling.read(REF).count == 0)
        assert wait_for(lambda: one.emulator.containers() == [])
        assert wait_for(lambda: [t.reason for t in facts.read_site(REF).targets] == ["it was stopped"])
        assert scaling.start(REF, scaling.read(REF), 1, allowed) == [NAMES[0]]
    assert wait_for(lambda: states(one) == ["ready"])
    with one.entered():
        assert scaling.read(REF).targets == (before,)


def test_without_a_machine_there_is_nothing_to_copy(azure: Azure) -> None:
    make_parent(azure)
    with azure.entered():
        standing = scaling.read(REF)
    assert (standing.count, standing.targets) == (0, ())
    assert standing.obstacle == "no virtual machine stands to make another one from; run arriero up"


def test_a_quota_that_is_used_up_is_told_and_leaves_an_interface_that_is_seen(
    one: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_rules, "MOST_CORES", 4)
    with one.entered(), pytest.raises(CloudError) as caught:
        scaling.start(REF, scaling.read(REF), 1, allowed)
    assert "standardNCASv3_T4Family Cores quota" in str(caught.value)
    with one.entered():
        found = facts.read_site(REF)
    assert [each.name for each in found.resources if each.kind in LEFT_KINDS] == [NAMES[1]]
    assert found.count == 1


def test_a_throttled_creation_says_when_to_come_again(one: Azure) -> None:
    one.emulator.apply(Fault("azure", "eastus", "throttle", until=2**33))
    with one.entered(), pytest.raises(Throttled) as caught:
        scaling.start(REF, scaling.read(REF), 1, allowed)
    assert caught.value.wait_seconds == 1


def test_a_server_that_is_killed_comes_back_at_the_same_address(one: Azure) -> None:
    with one.entered():
        [before] = scaling.read(REF).targets
    killed = {row.pid for row in one.emulator.containers()}
    one.emulator.apply(Fault("azure", "eastus", "kill", target=NAMES[0]))
    assert wait_for(lambda: len({row.pid for row in one.emulator.containers()} - killed) == 2)
    with one.entered():
        assert scaling.read(REF).targets == (before,)
