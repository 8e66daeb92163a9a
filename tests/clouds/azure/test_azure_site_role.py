"""The role through ansible-playbook, with the unmodified Azure modules, against the emulated Azure."""

from __future__ import annotations

import json
import time

import pytest
from azure_sites import Azure, planned, site, whole
from test_facts import make_parent, put

from arriero.clouds.azure import variables
from arriero.rehearse.emulator import Fault

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

RULE = (
    "/resourceGroups/llm-azure-east/providers/Microsoft.Network/networkSecurityGroups/llm-azure-east/securityRules/ssh"
)
GROUP = "/resourceGroups/llm-azure-east/providers/Microsoft.ContainerInstance/containerGroups/llm-azure-east-r1-1"


def test_a_site_is_made_kept_repaired_renewed_and_removed(azure: Azure) -> None:
    made_and_left_alone(azure)
    repaired(azure)
    renewed(azure)
    gone = azure.down()
    assert gone.code == 0, gone.text
    assert azure.read().resources == ()
    assert written_by_modules_only(azure)


def made_and_left_alone(azure: Azure) -> None:
    plan, played = azure.up(site())
    assert played.code == 0, played.text
    found = azure.read()
    assert [t.state for t in found.targets] == ["ready", "ready"]
    assert planned(site(), found).changes == ()
    again = azure.play(variables.site_variables(site(), whole(plan), found))
    assert (again.code, again.recap["changed"]) == (0, 0), again.text


def repaired(azure: Azure) -> None:
    """A rule opened and a group deleted by hand: only these are put right, and only their steps are run."""
    rule = {"priority": 200, "direction": "Inbound", "access": "Allow", "protocol": "Tcp", "sourcePortRange": "*"}
    anywhere = {"sourceAddressPrefix": "*", "destinationAddressPrefix": "*", "destinationPortRange": "22"}
    put(azure, RULE, "2024-03-01", {"properties": {**rule, **anywhere}})
    put(azure, GROUP, "2025-09-01", {}, "DELETE")
    plan, played = azure.up(site())
    assert [(c.action, c.name) for c in plan.changes] == [
        ("update", "llm-azure-east"),
        ("create", "llm-azure-east-r1-1"),
    ]
    assert (played.code, played.recap["changed"]) == (0, 2), played.text
    assert planned(site(), azure.read()).changes == ()


def renewed(azure: Azure) -> None:
    """A new release comes up beside the old one, which then goes; with a probe, so by the other module."""
    wanted = site(image="acme/llm:2", deploy={"hung_after": "60s"})
    plan, played = azure.up(wanted, release=2, count=1, digest="fedcba987654")
    assert [step.name for step in plan.steps] == ["targets", "retire"]
    assert played.code == 0, played.text
    found = azure.read()
    assert [(t.id, t.state) for t in found.targets] == [("llm-azure-east-r2-1", "ready")]
    assert planned(wanted, found, release=2, count=1, digest="fedcba987654").changes == ()


def written_by_modules_only(azure: Azure) -> bool:
    """But for what this test's own hand did."""
    log = map(json.loads, (azure.folder / "requests.jsonl").read_text().splitlines())
    clients = {line["client"].split("/")[0] for line in log if line["writes"]}
    return any("Ansible" in client for client in clients) and not any("arriero" in client for client in clients)


def test_an_image_that_exits_fails_the_site_and_says_why(azure: Azure) -> None:
    make_parent(azure)
    _, played = azure.up(site(image="acme/x:exit-3"), count=1)
    assert played.code != 0
    assert (
        "the container group llm-azure-east-r1-1 does not run: a container exits with code 3; Back-off restarting "
        "failed container | see its output with arriero logs, mend the image or the settings, and run arriero up again"
    ) in played.text
    found = azure.read()
    assert [t.state for t in found.targets] == ["stopped"]
    assert found.count == 0

    # The resource group is somebody else's: only our things leave it.
    gone = azure.down()
    assert gone.code == 0, gone.text
    assert [r.kind for r in azure.read().resources] == ["azure.resource_group"]


def test_a_storm_of_429s_is_waited_out_and_one_without_end_is_named(azure: Azure) -> None:
    found = azure.read()
    values = {**variables.site_variables(site(), planned(site(), found), found), "azure_site_steps": ["group"]}
    azure.emulator.apply(Fault("azure", "eastus", "throttle", until=2**33))
    played = azure.play({**values, "patient_step_seconds": 2})
    assert played.code != 0
    assert (
        "Azure has throttled this site for 2 seconds; its last words: Error creating or updating resource group "
        "llm-azure-east - (TooManyRequests) The request rate in 'eastus' is too high. Please retry after 1 second. | "
        "Azure throttles: wait a minute and run arriero up again"
    ) in played.text
    assert azure.environment()["AZURE_SECRET"] not in played.text + played.errors
    azure.emulator.apply(Fault("azure", "eastus", "throttle", until=time.time() + 20))
    played = azure.play(values)
    assert played.code == 0, played.text
    assert "Wait, because the cloud throttles this site" in played.text
    assert azure.read().find("azure.resource_group") is not None
