"""What the emulated Azure refuses of container apps and their environments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from running_azure import patched

from arriero.clock import ManualClock
from arriero.rehearse.azure import resources
from arriero.rehearse.azure.answers import Answer, ArmError, Request
from arriero.rehearse.azure.ids import ResourceId
from arriero.rehearse.azure.operations import finish_due
from arriero.rehearse.azure.world import SUBSCRIPTION, World

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "cases" / "azure-refusals" / "apps.json").read_text()
)
RG = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers"
NETWORK = f"{RG}/Microsoft.Network/virtualNetworks/net"
ENVIRONMENT = f"{RG}/Microsoft.App/managedEnvironments/around"
T4, A100 = "Consumption-GPU-NC8as-T4", "Consumption-GPU-NC24-A100"


def call(world: World, method: str, path: str, body: Any = None, version: str = "2025-01-01") -> Answer:
    resource = ResourceId.parse(path)
    assert resource
    request = Request.of(method, "management.azure.com", f"{path}?api-version={version}", {}, json.dumps(body).encode())
    answered = resources.answer(world, request, resource)
    finish_due(world)
    return answered


def subnet(delegation: str = "Microsoft.App/environments", prefix: str = "10.0.1.0/27") -> dict[str, Any]:
    given = {"name": "d", "properties": {"serviceName": delegation}}
    return {"name": "targets", "properties": {"addressPrefix": prefix, "delegations": [given]}}


def network(world: World, *subnets: dict[str, Any]) -> None:
    space = {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}
    body = {"location": "eastus", "properties": {**space, "subnets": list(subnets or (subnet(),))}}
    call(world, "PUT", NETWORK, body, "2024-03-01")


def environment(*profiles: str, location: str = "eastus", subnet: str = f"{NETWORK}/subnets/targets") -> dict[str, Any]:
    return {
        "location": location,
        "properties": {
            "vnetConfiguration": {"infrastructureSubnetId": subnet, "internal": True},
            "workloadProfiles": [{"name": each, "workloadProfileType": each} for each in ("Consumption", *profiles)],
        },
    }


def app(port: int = 20000) -> dict[str, Any]:
    ollama = {"name": "ollama", "image": "acme/llm:1", "resources": {"cpu": 7.75, "memory": "55.5Gi"}}
    sidecar = {"name": "sidecar", "image": "acme/llm:1", "resources": {"cpu": 0.25, "memory": "0.5Gi"}}
    ingress = {"external": True, "transport": "tcp", "targetPort": 11434, "exposedPort": port}
    return {
        "location": "eastus",
        "properties": {
            "environmentId": ENVIRONMENT,
            "workloadProfileName": T4,
            "configuration": {"activeRevisionsMode": "Single", "ingress": ingress},
            "template": {"containers": [ollama, sidecar], "scale": {"minReplicas": 1, "maxReplicas": 1}},
        },
    }


def place(name: str) -> str:
    return f"{RG}/Microsoft.App/containerApps/{name}"


@pytest.fixture
def whole(world: World) -> World:
    """With a network, an environment that has a T4, and an app in it."""
    network(world)
    call(world, "PUT", ENVIRONMENT, environment(T4))
    call(world, "PUT", place("other"), app(20009))
    return world


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"].replace(" ", "-"))
def test_an_app_that_cannot_be_is_refused(case: dict[str, Any], whole: World) -> None:
    with pytest.raises(ArmError) as caught:
        call(whole, "PUT", place(case.get("app", "llm-1")), patched(app(), case["patch"]))
    assert (caught.value.code, case["says"] in caught.value.message) == (case["code"], True), caught.value.message
    assert len(whole.state.runs) == 1  # the other one's


def test_the_same_app_without_the_patch_is_made_and_shown_as_on_its_way(whole: World) -> None:
    made = call(whole, "PUT", place("llm-1"), app())
    assert (made.status, made.body["properties"]["provisioningState"]) == (201, "InProgress")
    assert made.body["properties"]["latestRevisionName"].startswith("llm-1--")
    assert "Azure-AsyncOperation" in made.headers
    listed = call(whole, "GET", place("llm-1").rpartition("/")[0]).body["value"]
    assert sorted(each["name"] for each in listed) == ["llm-1", "other"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (environment(T4, location="eastus2"), "ManagedEnvironmentInvalidNetworkConfiguration"),
        (environment("Consumption-GPU-NC99-H900"), "WorkloadProfileTypeNotSupported"),
        (environment(T4, subnet=f"{NETWORK}/subnets/none"), "ManagedEnvironmentInvalidNetworkConfiguration"),
    ],
)
def test_an_environment_that_cannot_be_is_refused(body: dict[str, Any], code: str, world: World) -> None:
    network(world)
    with pytest.raises(ArmError) as caught:
        call(world, "PUT", ENVIRONMENT, body)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (subnet("Microsoft.ContainerInstance/containerGroups"), "ManagedEnvironmentSubnetDelegationError"),
        (subnet(prefix="10.0.1.0/28"), "ManagedEnvironmentInvalidSubnetSize"),
    ],
)
def test_a_subnet_that_is_not_for_it_is_refused(given: dict[str, Any], code: str, world: World) -> None:
    network(world, given)
    with pytest.raises(ArmError) as caught:
        call(world, "PUT", ENVIRONMENT, environment(T4))
    assert caught.value.code == code


def test_a_gpu_is_to_be_had_in_some_regions_only(world: World) -> None:
    network(world)
    world.state.resources[NETWORK.lower()]["location"] = "eastus2"
    with pytest.raises(ArmError) as caught:
        call(world, "PUT", ENVIRONMENT, environment(T4, location="eastus2"))
    assert caught.value.code == "WorkloadProfileTypeNotSupported"


def test_a_profile_may_come_and_one_in_use_may_not_go(whole: World) -> None:
    assert call(whole, "PUT", ENVIRONMENT, environment(T4, A100)).status == 200
    with pytest.raises(ArmError) as caught:
        call(whole, "PUT", ENVIRONMENT, environment(A100))
    assert caught.value.code == "WorkloadProfileInUse"


def test_its_network_stays_as_it_is(whole: World) -> None:
    other = environment(T4)
    other["properties"]["vnetConfiguration"]["internal"] = False
    with pytest.raises(ArmError) as caught:
        call(whole, "PUT", ENVIRONMENT, other)
    assert caught.value.code == "ManagedEnvironmentInvalidNetworkConfiguration"


def test_what_is_in_use_does_not_go(whole: World, clock: ManualClock) -> None:
    for path, version, code in (
        (ENVIRONMENT, "2025-01-01", "ManagedEnvironmentNotEmpty"),
        (NETWORK, "2024-03-01", "InUseSubnetCannotBeDeleted"),
    ):
        with pytest.raises(ArmError) as caught:
            call(whole, "DELETE", path, version=version)
        assert caught.value.code == code
    assert call(whole, "DELETE", place("other")).status == 202
    clock.sleep(5)
    finish_due(whole)
    assert call(whole, "DELETE", ENVIRONMENT).status == 202
    clock.sleep(5)
    finish_due(whole)
    assert call(whole, "DELETE", NETWORK, version="2024-03-01").status == 202


def test_an_app_is_stopped_and_started(whole: World) -> None:
    assert call(whole, "POST", f"{place('other')}/stop").status == 202
    assert call(whole, "GET", place("other")).body["properties"]["runningStatus"] == "Stopped"
    whole.state.runs[place("other").lower()].phase = "stopped"
    assert call(whole, "POST", f"{place('other')}/start").status == 202
    assert call(whole, "GET", place("other")).body["properties"]["runningStatus"] == "Progressing"


@pytest.mark.parametrize("path", ["restart", "revisions/other--1/replicas", "getAuthToken"])
def test_what_is_not_emulated_is_refused(path: str, whole: World) -> None:
    method = "GET" if path.startswith("revisions") else "POST"
    with pytest.raises(ArmError) as caught:
        call(whole, method, f"{place('other')}/{path}")
    assert caught.value.status in (404, 405)


def test_a_second_revision_is_not_emulated(whole: World) -> None:
    with pytest.raises(ArmError) as caught:
        call(whole, "PUT", place("other"), app(20009))
    assert caught.value.status == 501
