"""From a container app's JSON, with its replicas, to what it is and how it is."""

from __future__ import annotations

from typing import Any

import pytest

from arriero.clouds.azure import app_bodies, apps
from arriero.clouds.azure.app_scaling import copy
from arriero.plan.model import SiteRef
from arriero.plan.wanted import azure_apps
from arriero.spec.model import Spec

REF = SiteRef("llm", "north", "azure", "swedencentral", machines=True)
TAGS = {"arriero-service": "llm", "arriero-site": "north", "arriero-release": "3", "arriero-definition": "abc"}


def container(**changes: Any) -> dict[str, Any]:
    told = {"name": "ollama", "ready": True, "started": True, "restartCount": 0, "runningState": "Running"}
    return {**told, "runningStateDetails": "", **changes}


def item(*containers: dict[str, Any], name: str = "llm-north-r3-1", **properties: Any) -> dict[str, Any]:
    """As Azure shows an app of ours: with what it adds."""
    given = {
        "name": "llm",
        "image": "acme/llm:1",
        "models": ["llama2"],
        "sites": {"north": {"cloud": "azure", "region": "swedencentral", "gpu": "T4"}},
    }
    wanted = azure_apps.pattern(Spec.model_validate(given).site("north"), "llm-north", 3, TAGS)
    body: Any = app_bodies.app(wanted, "/x/providers/Microsoft.App/managedEnvironments/llm-north", 20007)
    body["properties"]["configuration"]["ingress"] |= {"transport": "Tcp", "fqdn": "x.io", "traffic": []}
    for each in body["properties"]["template"]["containers"]:
        each["resources"]["ephemeralStorage"] = "8Gi"
    whole = {"provisioningState": "Succeeded", "runningStatus": "Running", **body["properties"], **properties}
    replicas = [{"properties": {"containers": list(containers)}}] if containers else []
    return {**body, "id": f"/x/{name}", "name": name, "properties": whole, "replicas": replicas}


STATES: dict[str, tuple[dict[str, Any], str, str]] = {
    "both run": (item(container(), container(name="sidecar")), "ready", ""),
    "one is not ready": (item(container(), container(ready=False)), "starting", ""),
    "it has no replica yet": (item(), "starting", ""),
    "Azure makes it": (item(container(), provisioningState="InProgress"), "starting", ""),
    "it goes": (item(container(), provisioningState="Deleting"), "draining", "it is being deleted"),
    "it was stopped": (item(runningStatus="Stopped"), "stopped", "it was stopped"),
    "Azure failed": (item(provisioningState="Failed"), "stopped", "the app is Failed"),
    "it crashes": (
        item(container(ready=False, runningState="Waiting", restartCount=3, runningStateDetails="CrashLoopBackOff")),
        "stopped",
        "container ollama ends again and again (CrashLoopBackOff)",
    ),
    "it crashed and is up again": (item(container(restartCount=9)), "ready", ""),
}


@pytest.mark.parametrize("case", STATES, ids=lambda name: name.replace(" ", "-"))
def test_the_state_is_that_of_the_newest_revisions_replica(case: str) -> None:
    found, state, reason = STATES[case]
    target = apps.as_target(found, REF, "10.64.0.4")
    assert (target.state, target.reason) == (state, reason)
    assert (target.address, target.release, target.resource) == ("10.64.0.4:20007", 3, "llm-north-r3-1")


def test_without_the_environments_address_a_target_has_none() -> None:
    assert apps.as_target(item(), REF, "").address == ""


def test_an_app_as_azure_shows_it_is_the_one_that_was_asked_for() -> None:
    found = apps.as_resource(item())
    given = item()["properties"]
    assert found.properties["ingress"] == {"external": True, "transport": "tcp", "port": 11434}
    assert (found.properties["replicas"], found.properties["environment"]) == ((1, 1), "llm-north")
    assert found.details["port"] == given["configuration"]["ingress"]["exposedPort"] == 20007
    assert found.tags == TAGS


@pytest.mark.parametrize(
    ("items", "count"),
    [
        ([item(), item(name="llm-north-r3-2")], 2),
        ([item(), item(name="llm-north-r3-2", provisioningState="Failed")], 1),
        ([item(), item(name="llm-north-r3-2", runningStatus="Stopped")], 1),
        ([item(provisioningState="Deleting")], 0),
        ([{**item(), "tags": {**TAGS, "arriero-release": "2"}}, item(), item(name="llm-north-r3-2")], 2),
    ],
)
def test_of_two_releases_side_by_side_the_larger_one_counts(items: list[Any], count: int) -> None:
    assert apps.live_count(items) == count


def test_ours_are_known_by_their_tags_and_without_them_by_their_name() -> None:
    assert apps.is_ours({**item(), "tags": {}}, REF)
    assert apps.is_ours(item(name="another"), REF)
    assert not apps.is_ours({**item(name="another"), "tags": {}}, REF)
    assert not apps.is_ours({**item(name="llm-north-web"), "tags": {}}, REF)


def test_a_copy_asks_for_nothing_that_azure_added_and_has_a_port_of_its_own() -> None:
    body = copy(
        item(container(), latestRevisionName="x--1", managedEnvironmentId="/x", outboundIpAddresses=["1"]), 20009
    )
    assert set(body) == {"location", "tags", "properties"}
    assert set(body["properties"]) == {"environmentId", "workloadProfileName", "configuration", "template"}
    assert body["properties"]["configuration"]["ingress"] == {
        "external": True,
        "transport": "Tcp",
        "targetPort": 11434,
        "exposedPort": 20009,
    }
    assert all(set(each["resources"]) == {"cpu", "memory"} for each in body["properties"]["template"]["containers"])
