"""A private site's way to its storage through ansible-playbook, with the unmodified Azure modules, on the emulated
Azure: made, left alone, put back after a hand was at it, and taken away.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from azure_sites import REF, Azure, Played, planned, site
from test_facts import put

from arriero.clouds.azure import facts, variables
from arriero.plan.model import Resource, SiteFacts, SitePlan
from arriero.plan.wanted import azure_files
from arriero.plan.wanted import azure_private as wish
from arriero.spec.model import ResolvedSite
from key_vault import VAULT, Hand

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

TOKEN = f"{VAULT}/secrets/hf/{'0' * 32}"
BIG = {"name": "llama2:70b", "from": "storage"}
NETWORKS = "/resourceGroups/llm-azure-east/providers/Microsoft.Network"
LINK = f"{NETWORKS}/privateDnsZones/{wish.FILES_ZONE}/virtualNetworkLinks/llm-azure-east"
ENDPOINT = f"{NETWORKS}/privateEndpoints/llm-azure-east-files"
OF_A_TARGET = ("seed", "targets")


def private(mode: str = "private") -> ResolvedSite:
    return site(models=["llama2", BIG], network={"mode": mode})


def secretive(*endpoints: str) -> ResolvedSite:
    """A private site without stored models, that has a secret."""
    own = {"environment_from": {"HF_TOKEN": TOKEN}, "network": {"private_endpoints": endpoints}}
    return site(site=own, network={"mode": "private"})


def around(wanted: ResolvedSite, found: SiteFacts) -> SitePlan:
    """The plan but for the targets, and for the job that fills the storage."""
    plan = planned(wanted, found)
    return replace(plan, steps=tuple(step for step in plan.steps if step.name not in OF_A_TARGET))


def up(azure: Azure, wanted: ResolvedSite) -> tuple[SitePlan, Played]:
    found = azure.read()
    plan = around(wanted, found)
    played = azure.play(variables.site_variables(wanted, plan, found))
    assert played.code == 0, played.text
    return plan, played


def account(azure: Azure) -> Resource:
    return next(each for each in azure.read().resources if each.kind == azure_files.ACCOUNT_KIND)


def account_path(azure: Azure) -> str:
    storage = "/resourceGroups/llm-azure-east.files/providers/Microsoft.Storage/storageAccounts"
    return f"{storage}/{azure_files.account_name(azure.read().account, 'llm-azure-east')}"


def steps(azure: Azure, wanted: ResolvedSite) -> list[str]:
    return [step.name for step in around(wanted, azure.read()).steps]


def test_the_way_to_the_storage_is_made_kept_repaired_and_taken_away(azure: Azure) -> None:
    made_and_left_alone(azure)
    put_back(azure)
    opened_and_closed_again(azure)
    gone = azure.down()
    assert gone.code == 0, gone.text
    assert azure.read().resources == ()


def test_a_way_to_a_vault_is_made_without_a_key_of_it_and_taken_away(azure: Azure) -> None:
    Hand(azure.environment()).make_vault()
    asking = replace(REF, secrets=(TOKEN,), vaults=("llm-vault",))
    with azure.entered():
        found = facts.read_site(asking)
    plan = around(secretive("vault"), found)
    assert [step.name for step in plan.steps] == ["group", "network", "endpoints"]
    played = azure.play(variables.site_variables(secretive("vault"), plan, found))
    assert played.code == 0, played.text
    with azure.entered():
        found = facts.read_site(asking)
        assert around(secretive("vault"), found).steps == ()
        found = facts.read_site(replace(asking, vaults=()))
    plan = around(secretive(), found)
    assert [step.name for step in plan.steps] == ["retire"]
    assert azure.play(variables.site_variables(secretive(), plan, found)).code == 0
    assert not wish.KINDS.keys() & {each.kind for each in azure.read().resources}


def made_and_left_alone(azure: Azure) -> None:
    plan, _ = up(azure, private())
    assert [step.name for step in plan.steps] == ["group", "network", "storage", "endpoints"]
    assert account(azure).properties["public_access"] is False
    found = azure.read()
    assert steps(azure, private()) == []
    again = azure.play(variables.site_variables(private(), plan, found))
    assert (again.code, again.recap["changed"]) == (0, 0), again.text


def put_back(azure: Azure) -> None:
    """What a hand took away, opened or led elsewhere."""
    put(azure, account_path(azure), "2023-05-01", {"properties": {"publicNetworkAccess": "Enabled"}}, "PATCH")
    put(
        azure,
        f"{NETWORKS}/privateDnsZones/{wish.FILES_ZONE}/virtualNetworkLinks/llm-azure-east",
        "2024-06-01",
        {},
        "DELETE",
    )
    assert steps(azure, private()) == ["storage", "endpoints"]
    up(azure, private())
    assert steps(azure, private()) == []
    put(azure, ENDPOINT, "2024-03-01", {}, "DELETE")
    assert [change.reason for change in around(private(), azure.read()).changes] == ["it is not there"]
    up(azure, private())
    assert steps(azure, private()) == []


def opened_and_closed_again(azure: Azure) -> None:
    plan, _ = up(azure, private("public"))
    assert [step.name for step in plan.steps] == ["network", "storage", "retire"]
    assert account(azure).properties["public_access"] is True
    assert not wish.KINDS.keys() & {each.kind for each in azure.read().resources}
    plan, _ = up(azure, private())
    assert [step.name for step in plan.steps] == ["network", "storage", "endpoints"]
    assert account(azure).properties["public_access"] is False
    assert steps(azure, private()) == []
