"""A registry of Azure that stands in several regions: set by the role, read again, pulled from while one is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from azure_sites import Azure
from test_azure_registry import ACCOUNTS, GROUP, REGISTRY
from test_facts import put

from arriero.clouds import read
from arriero.deploy import making
from arriero.pipeline.iam import files as iam
from arriero.plan import registries
from arriero.plan.model import Facts, Plan
from arriero.rehearse.azure import images
from arriero.rehearse.azure.answers import Document
from arriero.rehearse.permissions import AzureRole, Need
from arriero.spec.accounts import Accounts
from arriero.spec.model import Spec

WISH = Spec.model_validate(
    {
        "name": "llm",
        "image": {"name": "acmeimages.azurecr.io/team/llm:1", "replicate": True},
        "models": ["tiny"],
        "sites": {
            "azure-east": {"cloud": "azure", "region": "eastus"},
            "azure-west": {"cloud": "azure", "region": "westus"},
            "azure-eu": {"cloud": "azure", "region": "westeurope"},
        },
    }
)
ASKED = "GET Microsoft.ContainerRegistry/registries/replications"


def make_registry(azure: Azure, sku: str) -> None:
    put(azure, GROUP, "2022-09-01", {"location": "westeurope"})
    put(azure, REGISTRY, "2023-07-01", {"location": "westeurope", "sku": {"name": sku}, "properties": {}})


def stand(azure: Azure, region: str) -> None:
    put(azure, f"{REGISTRY}/replications/{region}", "2023-07-01", {"location": region, "properties": {}})


def world(azure: Azure, wish: Spec = WISH) -> Facts:
    with azure.entered():
        return Facts("llm", {}, registries=read.image_registries(wish, ACCOUNTS))


def planned(azure: Azure, wish: Spec = WISH) -> Plan:
    return Plan("llm", 1, (), registries=registries.plans(wish, world(azure, wish).registries))


def actions(azure: Azure) -> list[str]:
    return [json.loads(line)["action"] for line in (azure.folder / "requests.jsonl").read_text().splitlines()]


def test_nobody_asks_where_it_stands_unless_the_spec_does_and_the_tier_can(azure: Azure) -> None:
    make_registry(azure, "Premium")
    one = WISH.model_copy(update={"sites": {"azure-eu": WISH.sites["azure-eu"]}})
    off = WISH.model_copy(update={"image": WISH.image.model_copy(update={"replicate": False})})
    for wish in (one, off):
        planned(azure, wish)
    make_registry(azure, "Standard")
    assert planned(azure).registries[0].problem
    assert ASKED not in actions(azure)
    make_registry(azure, "Premium")
    planned(azure)
    assert actions(azure).count(ASKED) == 1


def test_the_stage_knows_which_tier_stands_in_one_region_alone(azure: Azure) -> None:
    make_registry(azure, "Standard")
    with pytest.raises(AssertionError, match="replications is not supported for the registry acmeimages"):
        stand(azure, "westus")


def test_where_it_is_still_being_filled_is_told(azure: Azure) -> None:
    make_registry(azure, "Premium")
    for region in ("eastus", "westus"):
        stand(azure, region)
    assert planned(azure).registries[0].problem is None
    resources = azure.emulator._world.state.resources
    (about,) = (each["properties"] for key, each in resources.items() if key.endswith("/replications/westus"))
    about["status"] = {"displayStatus": "Syncing"}
    assert "in westus (Syncing)" in str(planned(azure).registries[0].problem)
    about |= {"provisioningState": "Creating", "status": None}
    assert "in westus (Creating)" in str(planned(azure).registries[0].problem)


@pytest.mark.wide
def test_it_is_made_where_it_is_missing_and_stays_where_others_have_it(azure: Azure) -> None:
    make_registry(azure, "Premium")
    stand(azure, "westus")
    stand(azure, "swedencentral")
    wanted = planned(azure)
    assert [change.kind for change in wanted.registries[0].changes] == ["azure.purge_task", "azure.replication"]
    (host,) = making.registry_hosts(WISH, world(azure), wanted)
    assert host.variables["azure_registry_copies"] == ["eastus"]
    done = azure.play(host.variables, role_name="azure_registry")
    assert (done.code, done.recap["changed"]) == (0, 2), done.text
    assert planned(azure).registries[0].changes == ()
    found = world(azure).registries[0].resources[-2].properties
    assert set(found) == {"eastus", "westus", "swedencentral"}
    pinned = WISH.model_copy(update={"accounts": Accounts(azure=ACCOUNTS["azure"])})
    role = AzureRole(json.loads(iam.files(pinned, Path())["azure-role.json"]))
    lines = map(json.loads, (azure.folder / "requests.jsonl").read_text().splitlines())
    calls = [line for line in lines if "ContainerRegistry" in line["action"] and "requests/" not in line["client"]]
    refused = {need["action"] for line in calls for need in line["needs"] if not role.allows(Need.of(need))}
    assert refused == set()


@pytest.mark.parametrize(
    ("image", "lost", "is_pulled"),
    [
        ("acmeimages.azurecr.io/team/llm:1", set(), True),
        ("acmeimages.azurecr.io/team/llm:1", {"westeurope"}, True),
        ("acmeimages.azurecr.io/team/llm:1", {"westeurope", "westus"}, False),
        ("acmeimages.azurecr.io/team/llm:1", {"eastus"}, False),
        ("another.azurecr.io/llm:1", {"westeurope", "westus"}, True),
        ("acme/llm:1", {"westeurope", "westus"}, True),
    ],
)
def test_a_group_pulls_from_any_region_where_its_registry_still_stands(
    azure: Azure, image: str, lost: set[str], is_pulled: bool
) -> None:
    make_registry(azure, "Premium")
    stand(azure, "westus")
    group: Document = {"location": "eastus", "properties": {"containers": [{"properties": {"image": image}}]}}
    assert images.can_be_pulled(group, azure.emulator._world, lost.__contains__) is is_pulled
