"""A site at Azure with GPUs, from its price to its end, under exactly the role that is exported for it.

The tests of this file go on from one another, in their order, on one stage.
"""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from burst import Burst
from places import Place, open_spec, wait_for

from arriero.clouds.azure import apps, connection
from arriero.clouds.endpoints import Endpoints
from arriero.plan.model import SiteRef

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {min: 1, max: 2, by: hand}
deploy: {stop_within: 10s}
accounts: {azure: 00000000-0000-0000-0000-000000000001}
sites:
  azure-gpu: {cloud: azure, region: southcentralus, gpu: T4}
"""
BASE = "llm-azure-gpu"
REF = SiteRef("llm", "azure-gpu", "azure", "southcentralus", machines=True)
CLIENTS = 4


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    for found in open_spec(tmp_path_factory.mktemp("apps"), SPEC):
        yield found
        found.arriero("rehearse", "start")  # all may be done again: what a failed test left is removed


def at_azure(place: Place, path: str) -> list[Any]:
    """The apps or the environments of the site's resource group, as Azure lists them."""
    with Endpoints("the test", place.environment()).entered():
        return list(connection.connect().list(f"/resourceGroups/{BASE}/providers/{path}", apps.VERSION))


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


def test_the_plan_names_the_profile_and_what_is_known_of_its_price(place: Place) -> None:
    assert place.arriero("export", "iam", "--out", "iam").code == 0
    role = json.loads((place.folder / "iam" / "azure-role.json").read_text())
    assert "Microsoft.App/containerApps/write" in role["Actions"]
    plan = place.arriero("plan")
    assert plan.code == 2, plan.out + plan.err
    assert "azure-gpu: Azure Container Apps southcentralus, active, 1 target" in plan.out
    assert "each a container app of its own with all of Consumption-GPU-NC8as-T4 (8 vCPU, 56GiB)" in plan.out
    # a T4 at 0.3168 an hour, by 730 hours
    assert (
        "at least $231.26 a month (price of vCPU, memory, load balancer, NAT gateway, public IPv4 unknown)" in plan.out
    )


def test_it_comes_up_in_an_environment_of_the_sites_own(place: Place) -> None:
    assert place.arriero("rehearse", "start", "--permissions", "iam").code == 0
    up = place.arriero("up", "--yes")
    assert up.code == 0, up.err + up.out
    [environment] = at_azure(place, apps.ENVIRONMENTS)
    [app] = at_azure(place, apps.TYPE)
    profiles = {each["workloadProfileType"] for each in environment["properties"]["workloadProfiles"]}
    assert profiles == {"Consumption", "Consumption-GPU-NC8as-T4"}
    assert environment["properties"]["vnetConfiguration"]["internal"] is True
    template = app["properties"]["template"]
    assert [each["name"] for each in template["containers"]] == ["ollama", "sidecar"]  # the first one has the GPU
    assert app["properties"]["workloadProfileName"] == "Consumption-GPU-NC8as-T4"
    assert (app["name"], template["scale"]) == (f"{BASE}-r1-1", {"minReplicas": 1, "maxReplicas": 1})
    [target] = targets(place)
    assert target["address"] == f"{environment['properties']['staticIp']}:20000"


def test_the_gateway_serves_through_its_ingress(place: Place) -> None:
    assert ask(place)["done"] is True
    reach = place.arriero("check")
    assert "10.64.0.0/16 -> port 20000-21999, 30000-32767" in reach.out.replace("may reach", "->"), (
        reach.out + reach.err
    )


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
    assert wait_for(lambda: are_ready(place, 1) and targets(place)[0]["pid"] != before["pid"], 60)
    [after] = targets(place)
    assert (after["id"], after["address"]) == (before["id"], before["address"])
    assert ask(place)["done"] is True


def test_the_count_goes_up_and_down(place: Place) -> None:
    spec = place.folder / "arriero.yaml"
    spec.write_text(SPEC.replace("min: 1, max: 2", "min: 2, max: 2"))
    more = place.arriero("up", "--yes")
    assert more.code == 0, more.err + more.out
    assert are_ready(place, 2)
    assert {target["id"] for target in targets(place)} == {f"{BASE}-r1-1", f"{BASE}-r1-2"}
    spec.write_text(SPEC.replace("min: 1, max: 2", "min: 1, max: 1"))
    fewer = place.arriero("up", "--yes")
    assert fewer.code == 0, fewer.err + fewer.out
    assert [app["name"] for app in at_azure(place, apps.TYPE)] == [f"{BASE}-r1-1"]
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
    assert [app["name"].rpartition("-")[0] for app in at_azure(place, apps.TYPE)] == [f"{BASE}-r2"]
    assert place.arriero("plan").code == 0


def test_terraform_would_take_over_all_that_stands(place: Place) -> None:
    export = place.arriero("export", "terraform", "--out", "terraform")
    assert export.code == 0, export.err
    lines = [line for file in (place.folder / "terraform").glob("*.tf") for line in file.read_text().splitlines()]
    assert sum(line.startswith("resource ") for line in lines) == lines.count("import {") > 10
    [app] = at_azure(place, apps.TYPE)
    assert f'    "{app["name"]}" = {app["properties"]["configuration"]["ingress"]["exposedPort"]}' in lines
    assert f'  id = "{app["id"]}?api-version={apps.VERSION}"' in lines


def test_it_goes_back_to_the_former_release(place: Place) -> None:
    back = place.arriero("rollback", "1", "--yes")
    assert back.code == 0, back.err + back.out
    assert [app["name"].rpartition("-")[0] for app in at_azure(place, apps.TYPE)] == [f"{BASE}-r1"]
    assert ask(place)["done"] is True


def test_what_is_not_built_for_apps_is_said_exactly(place: Place) -> None:
    logs = place.arriero("logs")
    assert "lines of container apps are not read here, and azure-gpu has some; az containerapp logs show" in logs.out


def test_all_that_was_asked_of_the_cloud_was_known_and_was_allowed(place: Place) -> None:
    calls = [call for call in place.calls() if call["cloud"] == "azure"]
    assert {call["action"] for call in calls if any(need.get("unknown") for need in call["needs"])} == set()
    assert any(call["action"] == "PUT Microsoft.App/containerApps" for call in calls)
    judged = {call["judged"] for call in calls if call["action"].startswith("PUT Microsoft.App/")}
    assert judged == {"2025-01-01"}


def test_its_end_leaves_nothing(place: Place) -> None:
    down = place.arriero("down", "--purge", "--yes")
    assert down.code == 0, down.err + down.out
    assert at_azure(place, apps.TYPE) == at_azure(place, apps.ENVIRONMENTS) == []
    assert place.arriero("rehearse", "status", "--json").json.get("servers", []) == []
