"""Spares read, and taken as more targets; against the emulated Azure."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from azure_sites import REF, Azure, allowed, planned, site, wait_for
from test_facts import SITE, make_group, make_parent, put

from arriero.clouds.azure import facts, scaling, spares, variables
from arriero.plan.model import Resource, SiteFacts
from arriero.plan.wanted import azure_spares

KEEPING = replace(REF, spares=True)
OURS = {"arriero-service": "llm", "arriero-site": "azure-east"}
PROFILE = f"{SITE}/providers/{spares.PROFILE_TYPE}/llm-azure-east"
POOL = f"{SITE}/providers/{spares.TYPE}/spares"
SECOND = "llm-azure-east-r1-2"


def wanted() -> Any:
    return site(scale={"spares": 1}, deploy={"hung_after": "1m"})


def keep(azure: Azure, **tags: str) -> None:
    """As the role does, but for the network: the profile is public, and the pool in no subnet."""
    empty = SiteFacts("azure-east", "azure", "eastus", account=azure.environment()["AZURE_SUBSCRIPTION_ID"])
    made: Any = variables.site_variables(wanted(), planned(wanted(), empty), empty)
    [profile], [pool] = made["azure_site_profiles"], made["azure_site_pools"]
    profile["body"]["properties"]["ipAddress"]["type"] = "Public"
    put(azure, PROFILE, "2025-09-01", profile["body"])
    made_of = pool["body"]["properties"]["containerGroupProperties"]
    made_of["containerGroupProfile"]["revision"], made_of["subnetIds"] = 1, []
    put(azure, POOL, "2025-03-01", {**pool["body"], "tags": {**pool["body"]["tags"], **tags}})


def pool_of(azure: Azure) -> Resource:
    with azure.entered():
        found = facts.read_site(KEEPING).find(azure_spares.POOL_KIND)
    assert found is not None
    return found


def ready(azure: Azure) -> bool:
    return wait_for(lambda: pool_of(azure).details["running"] == 1)


def asked(azure: Azure) -> list[str]:
    return [json.loads(line)["action"] for line in (azure.folder / "requests.jsonl").read_text().splitlines()]


def test_what_stands_is_what_a_plan_wishes(azure: Azure) -> None:
    make_parent(azure, **OURS, **{azure_spares.KEPT_TAG: azure_spares.KEPT})
    keep(azure)
    assert ready(azure)
    with azure.entered():
        found = facts.read_site(KEEPING)
    wishes = {r.kind: r for r in planned(wanted(), found).wanted}
    for kind in (azure_spares.PROFILE_KIND, azure_spares.POOL_KIND):
        have = found.find(kind)
        assert have is not None
        as_made_here = {"address": "public"} if kind == azure_spares.PROFILE_KIND else {"subnet": None}
        assert {**wishes[kind].properties, **as_made_here} == dict(have.properties)
        assert wishes[kind].tags == have.tags
    parent = found.find("azure.resource_group")
    assert parent is not None
    assert dict(wishes["azure.resource_group"].properties) == dict(parent.properties)


def test_a_spare_is_no_target_and_no_group_of_the_site(azure: Azure) -> None:
    make_parent(azure, **OURS)
    make_group(azure)
    keep(azure)
    assert ready(azure)
    with azure.entered():
        found = facts.read_site(KEEPING)
        assert [target.id for target in found.targets] == ["llm-azure-east-r1-1"]
        assert (found.count, scaling.read(KEEPING).count) == (1, 1)


def test_only_who_keeps_spares_or_may_have_kept_some_asks_for_them(azure: Azure) -> None:
    make_parent(azure, **OURS)
    azure.read()
    assert not [action for action in asked(azure) if "Standby" in action or "Profiles" in action]
    make_parent(azure, **OURS, **{azure_spares.KEPT_TAG: azure_spares.KEPT})
    keep(azure)
    left = {r.kind for r in azure.read().resources}
    assert {azure_spares.PROFILE_KIND, azure_spares.POOL_KIND} <= left
    make_parent(azure, **OURS, **{azure_spares.KEPT_TAG: azure_spares.GONE})
    assert azure_spares.POOL_KIND not in {r.kind for r in azure.read().resources}


def test_more_is_taken_from_the_pool_and_equals_what_a_plan_wants(azure: Azure) -> None:
    make_parent(azure, **OURS)
    make_group(azure)
    keep(azure)
    assert ready(azure)
    [spare] = [
        row for row in azure.emulator.containers() if row.target.startswith("spares-") and row.container == "ollama"
    ]
    with azure.entered():
        assert scaling.start(KEEPING, scaling.read(KEEPING), 1, allowed) == [SECOND]
        found = facts.read_site(KEEPING)
    one, other = (found.find("azure.container_group", name) for name in ("llm-azure-east-r1-1", SECOND))
    assert one is not None
    assert other is not None
    assert (dict(one.properties), one.tags) == (dict(other.properties), other.tags)
    assert {row.pid for row in azure.emulator.containers() if row.target == SECOND} >= {spare.pid}
    assert ready(azure)  # Azure has made another one
    with azure.entered():
        scaling.stop(KEEPING, scaling.read(KEEPING), ["llm-azure-east-r1-1"], allowed)
        assert scaling.start(REF, scaling.read(REF), 1, allowed) == ["llm-azure-east-r1-1"]
        copied = facts.read_site(REF).find("azure.container_group", "llm-azure-east-r1-1")
    assert copied is not None
    assert dict(copied.properties) == dict(other.properties)


@pytest.mark.parametrize("what", ["of another release", "gone", "of a profile that is gone"])
def test_where_no_spare_can_be_had_the_group_is_copied_as_ever(what: str, azure: Azure) -> None:
    make_parent(azure, **OURS)
    make_group(azure)
    if what != "gone":
        keep(azure, **({"arriero-release": "7"} if what == "of another release" else {}))
    if what == "of a profile that is gone":
        put(azure, PROFILE, "2025-09-01", {}, "DELETE")
    with azure.entered():
        assert scaling.start(KEEPING, scaling.read(KEEPING), 1, allowed) == [SECOND]
        found = facts.read_site(KEEPING)
    copies = [found.find("azure.container_group", name) for name in ("llm-azure-east-r1-1", SECOND)]
    assert len({json.dumps(each.properties, sort_keys=True, default=dict) for each in copies if each}) == 1
    assert found.count == 2


def test_what_a_hand_did_to_profile_or_pool_is_told(azure: Azure) -> None:
    make_parent(azure, **OURS, **{azure_spares.KEPT_TAG: azure_spares.KEPT})
    keep(azure)
    before = pool_of(azure)
    assert before.properties["revision"] == azure_spares.NEWEST
    keep(azure)  # puts the profile once more: a second revision, and the pool stays at the first
    assert pool_of(azure).properties["revision"] == "1 of 2"
    put(azure, PROFILE, "2025-09-01", {}, "DELETE")
    assert pool_of(azure).properties["revision"] == "1 of None"


def test_a_pool_that_is_not_well_says_why() -> None:
    view = {
        "properties": {
            "instanceCountSummary": [{"instanceCountsByState": [{"state": "Creating", "count": 2}]}],
            "status": {"code": "HealthState/degraded", "message": "it may not join the subnet"},
        }
    }
    assert spares._health(view) == {"running": 0, "health": "it may not join the subnet"}
    assert spares._health({}) == {"running": 0, "health": ""}
