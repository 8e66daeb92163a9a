"""Which images a registry of Azure lets go: a task of it, set by the role and read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from azure_sites import Azure
from test_facts import put

from arriero.clouds import read
from arriero.clouds.azure import registry
from arriero.deploy import fleet, making
from arriero.pipeline.iam import files as iam
from arriero.plan import place, purging
from arriero.plan.model import Facts, StorePlan
from arriero.rehearse.emulator import Fault
from arriero.rehearse.permissions import AzureRole, Need
from arriero.spec.accounts import Accounts
from arriero.spec.model import Spec

GROUP = "/resourceGroups/images"
REGISTRY = f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/acmeimages"
TASK = f"{REGISTRY}/tasks/llm-purge"
WISH = Spec.model_validate(
    {
        "name": "llm",
        "image": {"name": "acmeimages.azurecr.io/team/llm:1", "keep": 7},
        "models": ["tiny"],
        "sites": {"azure-east": {"cloud": "azure", "region": "eastus"}},
    }
)
ACCOUNTS = {"azure": "00000000-0000-0000-0000-000000000001"}


def make_registry(azure: Azure) -> None:
    put(azure, GROUP, "2022-09-01", {"location": "westeurope"})
    put(azure, REGISTRY, "2023-07-01", {"location": "westeurope", "sku": {"name": "Basic"}, "properties": {}})


def world(azure: Azure) -> Facts:
    with azure.entered():
        return Facts("llm", {"azure-east": azure.read()}, registries=read.image_registries(WISH, ACCOUNTS))


def planned(azure: Azure) -> tuple[StorePlan, ...]:
    return place.plan(WISH, world(azure)).registries


def test_a_registry_that_is_not_of_this_subscription_is_left_to_its_owner(azure: Azure) -> None:
    assert planned(azure) == ()
    assert [found.is_there for found in world(azure).registries] == [False]
    assert read.image_registries(WISH, {}) == (), "who has no login asks for nothing"


def test_what_azure_does_not_tell_is_told_and_no_error(azure: Azure) -> None:
    make_registry(azure)
    azure.emulator.apply(Fault("azure", "westeurope", "refuse", until=2**33))
    (plan,) = planned(azure)
    assert (plan.changes, plan.problem and plan.problem.what) == ((), "Azure answers 503")


def test_a_task_is_judged_as_azure_would(azure: Azure) -> None:
    make_registry(azure)
    body: dict[str, Any] = {"location": "westeurope", "properties": dict(purging.body("team/llm", 7))}
    put(azure, TASK, "2019-06-01-preview", body)
    wrong = {**body["properties"], "trigger": {"timerTriggers": [{"name": "nightly", "schedule": "daily"}]}}
    with pytest.raises(AssertionError, match=r"InvalidRequestContent.*schedule"):
        put(azure, TASK, "2019-06-01-preview", {**body, "properties": wrong})


def test_plain_ansible_sets_the_rules_too(azure: Azure, tmp_path: Path) -> None:
    make_registry(azure)
    (tmp_path / "arriero.yaml").write_text(WISH.model_dump_json(include={"name", "image", "models", "sites"}))
    with azure.entered():
        hosts = {host.name: host for host in fleet.inventory(tmp_path / "arriero.yaml", None, azure.environment())}
    assert hosts["registry.azure.westeurope"].groups[0] == "stores"
    assert hosts["registry.azure.westeurope"].variables["azure_registry_task"] == "llm-purge"


@pytest.mark.wide
def test_the_task_is_made_and_kept_as_it_should_be(azure: Azure) -> None:
    make_registry(azure)
    (plan,) = planned(azure)
    assert [(change.action, change.kind, change.name) for change in plan.changes] == [
        ("create", "azure.purge_task", "llm-purge")
    ]
    facts = world(azure)
    (host,) = making.registry_hosts(WISH, facts, place.plan(WISH, facts))
    done = azure.play(host.variables, role_name="azure_registry")
    assert (done.code, done.recap["changed"]) == (0, 1), done.text
    (plan,) = planned(azure)
    assert plan.changes == ()
    again = azure.play(registry.variables(WISH, world(azure).registries[0]), role_name="azure_registry")
    assert (again.code, again.recap["changed"]) == (0, 0), again.text
    put(azure, TASK, "2019-06-01-preview", {"properties": {"status": "Disabled"}}, "PATCH")
    (plan,) = planned(azure)
    assert [change.reason for change in plan.changes] == ["status: is Disabled, should be Enabled"]
    done = azure.play(host.variables, role_name="azure_registry")
    assert (done.code, done.recap["changed"]) == (0, 1), done.text
    assert planned(azure)[0].changes == ()
    assert forbidden(azure) == set()


def forbidden(azure: Azure) -> set[str]:
    """What the exported role would not have allowed of arriero's and its modules' requests about the registry."""
    pinned = WISH.model_copy(update={"accounts": Accounts(azure=ACCOUNTS["azure"])})
    role = AzureRole(json.loads(iam.files(pinned, Path())["azure-role.json"]))
    lines = map(json.loads, (azure.folder / "requests.jsonl").read_text().splitlines())
    calls = [line for line in lines if "ContainerRegistry" in line["action"] and "requests/" not in line["client"]]
    needs = [Need.of(need) for line in calls for need in line["needs"]]
    assert {need.action.rpartition("/")[2] for need in needs} == {"read", "write"}
    return {need.action for need in needs if not role.allows(need)}
