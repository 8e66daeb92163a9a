"""A site with GPUs: the role makes container apps with the unmodified Azure modules, on the emulated Azure."""

from __future__ import annotations

import http.client

import pytest
from azure_sites import REF, Azure, planned, site, whole
from test_facts import make_parent

from arriero.clouds.azure import apps, variables
from arriero.clouds.azure.connection import connect

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

GPU = {"gpu": "T4"}


def test_a_site_of_apps_is_made_kept_repaired_renewed_and_removed(azure: Azure) -> None:
    made_and_left_alone(azure)
    repaired(azure)
    renewed(azure)
    gone = azure.down()
    assert gone.code == 0, gone.text
    assert azure.read().resources == ()
    assert azure.emulator.containers() == []


def made_and_left_alone(azure: Azure) -> None:
    plan, played = azure.up(site(site=GPU))
    assert played.code == 0, played.text
    assert [step.name for step in plan.steps] == ["group", "network", "environment", "targets"]
    found = azure.read()
    assert [t.state for t in found.targets] == ["ready", "ready"]
    assert {t.address.rpartition(":")[2] for t in found.targets} == {"20000", "20001"}
    assert len({t.address.rpartition(":")[0] for t in found.targets}) == 1  # the environment's
    assert all(answers(t.address) == 200 for t in found.targets)
    assert planned(site(site=GPU), found).changes == ()
    again = azure.play(variables.site_variables(site(site=GPU), whole(plan), found))
    assert (again.code, again.recap["changed"]) == (0, 0), again.text


def repaired(azure: Azure) -> None:
    """An app is deleted by hand: it comes back at a port that nobody had, and nothing else is done."""
    delete(azure, "llm-azure-east-r1-1")
    plan, played = azure.up(site(site=GPU))
    assert [(c.action, c.name) for c in plan.changes] == [("create", "llm-azure-east-r1-1")]
    assert (played.code, played.recap["changed"]) == (0, 1), played.text
    ports = {target.id: target.address.rpartition(":")[2] for target in azure.read().targets}
    assert ports == {"llm-azure-east-r1-1": "20002", "llm-azure-east-r1-2": "20001"}


def renewed(azure: Azure) -> None:
    """A new release comes up beside the old one, which then goes."""
    wanted = site(site=GPU, image="acme/llm:2")
    plan, played = azure.up(wanted, release=2, digest="00000000000b")
    assert played.code == 0, played.text
    assert [c.action for c in plan.changes] == ["create", "create", "remove", "remove"]
    found = azure.read()
    assert [(t.id, t.state) for t in found.targets] == [(f"llm-azure-east-r2-{n}", "ready") for n in (1, 2)]
    assert planned(wanted, found, release=2, digest="00000000000b").changes == ()


def test_an_app_that_does_not_stay_up_is_told_of_with_its_container(azure: Azure) -> None:
    make_parent(azure)
    wanted = site(site=GPU, image="acme/x:exit-3", deploy={"ready_within": "60s"})
    _, played = azure.up(wanted, count=1)
    assert played.code != 0
    assert "the container app llm-azure-east-r1-1 does not run: " in played.text
    assert "exit code" in played.text
    [target] = azure.read().targets
    assert (target.state, "ends again and again" in target.reason) == ("stopped", True)

    # The resource group is somebody else's: only our things leave it.
    gone = azure.down()
    assert gone.code == 0, gone.text
    assert [each.kind for each in azure.read().resources] == ["azure.resource_group"]


def answers(address: str) -> int:
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    connection.request("GET", "/")
    status = connection.getresponse().status
    connection.close()
    return status


def delete(azure: Azure, name: str) -> None:
    with azure.entered():
        connect().delete(apps.path(REF, name), apps.VERSION)
