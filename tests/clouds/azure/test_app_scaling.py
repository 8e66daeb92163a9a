"""More container apps, copied and named as a deployment would, and fewer, by name; against the emulated Azure."""

from __future__ import annotations

from typing import Any

import pytest
from azure_sites import DIGEST, Azure, allowed, planned, site, wait_for
from test_facts import SITE, make_parent, put

from arriero.clouds.azure import facts, scaling, variables
from arriero.clouds.scaling import Throttled
from arriero.plan.model import SiteFacts, SiteRef
from arriero.plan.wanted.azure_apps import APP_KIND
from arriero.rehearse.azure.world import SUBSCRIPTION
from arriero.rehearse.emulator import Fault

REF = SiteRef("llm", "azure-east", "azure", "eastus", machines=True)
GPU = {"gpu": "T4"}
NAMES = ["llm-azure-east-r1-1", "llm-azure-east-r1-2", "llm-azure-east-r1-3"]


@pytest.fixture
def one(azure: Azure) -> Azure:
    """With the network, the environment and a single app, as the role would make them."""
    make_parent(azure)
    found = SiteFacts("azure-east", "azure", "eastus", account=SUBSCRIPTION)
    values: Any = variables.site_variables(site(site=GPU), planned(site(site=GPU), found, count=1), found)
    given = {"name": "d", "properties": {"serviceName": values["azure_site_delegation"]["service"]}}
    subnet = {"name": "targets", "properties": {"addressPrefix": "10.64.0.0/18", "delegations": [given]}}
    network = {"addressSpace": {"addressPrefixes": ["10.64.0.0/16"]}, "subnets": [subnet]}
    whole = {"location": "eastus", "properties": network}
    put(azure, f"{SITE}/providers/Microsoft.Network/virtualNetworks/llm-azure-east", "2024-03-01", whole)
    for kind, each in (
        ("managedEnvironments", values["azure_site_environments"][0]),
        ("containerApps", values["azure_site_apps"][0]),
    ):
        put(azure, f"{SITE}/providers/Microsoft.App/{kind}/{each['name']}", "2025-01-01", each["body"])
        assert wait_for(lambda: is_settled(azure))
    return azure


def is_settled(azure: Azure) -> bool:
    with azure.entered():
        found = facts.read_site(REF)
    around = found.find("azure.app_environment")
    states = [target.state for target in found.targets]
    return around is not None and around.properties["state"] == "succeeded" and set(states) <= {"ready"}


def test_copies_are_what_a_plan_wants_and_go_by_name(one: Azure) -> None:
    with one.entered():
        standing = scaling.read(REF)
        assert (standing.count, standing.creates, standing.obstacle) == (1, True, "")
        assert scaling.start(REF, standing, 2, allowed) == NAMES[1:]
        found = facts.read_site(REF)
    apps = [each for each in found.resources if each.kind == APP_KIND]
    assert len(apps) == found.count == 3
    assert all(dict(app.properties) == dict(apps[0].properties) for app in apps)
    assert sorted(app.details["port"] for app in apps) == [20000, 20001, 20002]
    plan = planned(site(site=GPU), found, count=3, digest=DIGEST)
    assert not [change for change in plan.changes if change.kind == APP_KIND]
    with one.entered():
        scaling.stop(REF, scaling.read(REF), [NAMES[1]], allowed)
        assert {target.id for target in scaling.read(REF).targets} == {NAMES[0], NAMES[2]}
        scaling.stop(REF, scaling.read(REF), [NAMES[1]], allowed)  # what is gone is gone


def test_a_start_that_comes_while_it_stops_is_not_lost(one: Azure) -> None:
    with one.entered():
        assert wait_for(lambda: [target.state for target in scaling.read(REF).targets] == ["ready"])
        before = one.emulator.containers()
        scaling.stop(REF, scaling.read(REF), [NAMES[0]], allowed)
        assert scaling.start(REF, scaling.read(REF), 1, allowed) == [NAMES[0]]
        assert wait_for(lambda: [target.state for target in scaling.read(REF).targets] == ["ready"])
        assert wait_for(lambda: len({row.pid for row in one.emulator.containers()} - {row.pid for row in before}) == 2)


def test_the_last_one_is_stopped_and_started_again(one: Azure) -> None:
    with one.entered():
        scaling.stop(REF, scaling.read(REF), [NAMES[0]], allowed)
        assert wait_for(lambda: scaling.read(REF).count == 0)
        assert wait_for(lambda: one.emulator.containers() == [])
        rest = facts.read_site(REF)
        assert [target.reason for target in rest.targets] == ["it was stopped"]
        assert scaling.start(REF, scaling.read(REF), 1, allowed) == [NAMES[0]]
        assert wait_for(lambda: [target.state for target in scaling.read(REF).targets] == ["ready"])


def test_without_an_app_there_is_nothing_to_copy(azure: Azure) -> None:
    make_parent(azure)
    with azure.entered():
        standing = scaling.read(REF)
    assert (standing.count, standing.targets) == (0, ())
    assert standing.obstacle == "no container app stands to make another one from; run arriero up"


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
        assert wait_for(lambda: is_settled(one))
        assert scaling.read(REF).targets == (before,)
