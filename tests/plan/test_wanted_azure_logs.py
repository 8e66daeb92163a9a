"""What a site in Azure wishes for where a workspace keeps its lines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from arriero.plan import place
from arriero.plan.model import Facts, SiteFacts, SitePlan
from arriero.plan.wanted import azure, azure_logs
from arriero.spec.model import ResolvedSite, Spec

NOTHING = SiteFacts("azure-east", "azure", "eastus", account="0")
KEEPING = {"to_workspace": True, "retention_days": 90}


def spec(**logs: Any) -> Spec:
    sites = {"azure-east": {"cloud": "azure", "region": "eastus"}}
    told = {"name": "llm", "image": "acme/llm:1", "models": ["llama2"], "sites": sites, "logs": logs}
    return Spec.model_validate(told)


def site(**logs: Any) -> ResolvedSite:
    return spec(**logs).site("azure-east")


def planned(wish: Spec, found: SiteFacts) -> SitePlan:
    return place.plan(wish, Facts("llm", {"azure-east": found})).sites[0]


def test_the_workspace_is_there_before_the_groups_that_write_to_it() -> None:
    plan = planned(spec(**KEEPING), NOTHING)
    assert [step.name for step in plan.steps] == ["group", "network", "logs", "targets"]
    (workspace,) = [resource for resource in plan.wanted if resource.kind == azure_logs.KIND]
    assert (workspace.name, dict(workspace.properties)) == (
        "llm-azure-east", {"location": "eastus", "retention_days": 90, "sku": "PerGB2018"},
    )  # fmt: skip
    assert workspace.tags == {"arriero-service": "llm", "arriero-site": "azure-east"}
    groups = [resource for resource in plan.wanted if resource.kind == "azure.container_group"]
    assert {group.properties["logs_to"] for group in groups} == {"llm-azure-east"}


def test_a_site_that_asks_for_none_wishes_for_nothing_more() -> None:
    plan = planned(spec(), NOTHING)
    assert "logs" not in [step.name for step in plan.steps]
    assert not any("logs_to" in resource.properties for resource in plan.wanted)
    assert azure.definition(site()) == azure.definition(site(retention_days=365))


def test_asked_for_later_it_is_a_new_release() -> None:
    assert azure.definition(site(**KEEPING)) != azure.definition(site())
    assert azure.definition(site(**KEEPING)) == azure.definition(site(to_workspace=True))


def test_standing_as_wished_it_needs_nothing_and_other_days_are_set() -> None:
    there = replace(NOTHING, resources=planned(spec(**KEEPING), NOTHING).wanted)
    assert planned(spec(**KEEPING), there).changes == ()
    longer = planned(spec(to_workspace=True, retention_days=365), there)
    assert [(c.action, c.kind, c.reason) for c in longer.changes] == [
        ("update", azure_logs.KIND, "retention_days: is 90, should be 365")
    ]


def test_one_that_is_gone_is_made_anew_and_groups_that_wrote_elsewhere_are_replaced() -> None:
    there = planned(spec(**KEEPING), NOTHING).wanted
    left = [
        replace(each, properties={**each.properties, "logs_to": "a-guid"}) if "logs_to" in each.properties else each
        for each in there
        if each.kind != azure_logs.KIND
    ]
    plan = planned(spec(**KEEPING), replace(NOTHING, resources=tuple(left)))
    assert [step.name for step in plan.steps] == ["logs", "targets", "retire"]
    assert any("logs_to: is a-guid, should be llm-azure-east" in change.reason for change in plan.changes)


def test_turned_off_the_workspace_stays_with_what_it_holds() -> None:
    there = replace(NOTHING, resources=planned(spec(**KEEPING), NOTHING).wanted)
    plan = planned(spec(), there)
    assert not [change for change in plan.changes if change.kind == azure_logs.KIND]


@pytest.mark.parametrize(
    ("logs", "said"),
    [
        ({}, "logs.retention_days is not applied"),
        (KEEPING, "its workspace keeps the lines for 90 days"),
    ],
)
def test_the_plan_says_how_long_lines_are_kept(logs: dict[str, Any], said: str) -> None:
    assert said in azure.notes(site(**logs))[0]
