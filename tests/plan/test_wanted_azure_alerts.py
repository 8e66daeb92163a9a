"""Which alerts watch an Azure site that its cloud has scaled, and what differs from them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from arriero.clouds.azure import alerts
from arriero.clouds.azure.variables import site_variables
from arriero.plan import place
from arriero.plan.model import Facts, Resource, SiteFacts, SitePlan
from arriero.plan.wanted import azure_alerts
from arriero.spec.model import Spec

SCALE: dict[str, Any] = {
    "by": "cloud",
    "min": 2,
    "max": 5,
    "track": {"cpu": "60%", "memory": "80%"},
    "alerts": {"url": "https://ops.example.com/alerts", "key_file": "alerts.key"},
}
PROVIDER = "/subscriptions/1/resourceGroups/llm-east/providers"


def spec(**changes: Any) -> Spec:
    sites = {"east": {"cloud": "azure", "region": "eastus"}}
    whole = {"name": "llm", "image": "acme/llm:1", "models": ["llama2"], "scale": SCALE, "sites": sites}
    return Spec.model_validate({**whole, **changes})


def planned(wish: Spec, found: SiteFacts | None = None) -> SitePlan:
    return place.plan(wish, Facts("llm", {"east": found or SiteFacts("east", "azure", "eastus", "1")})).sites[0]


def standing(wish: Spec, count: int) -> SiteFacts:
    """As wished, with as many groups as whoever scales made of it."""
    resources = planned(wish).wanted
    groups = [each for each in resources if each.kind == "azure.container_group"]
    more = tuple(replace(groups[0], name=f"llm-east-r1-{number}") for number in range(3, count + 1))
    return SiteFacts("east", "azure", "eastus", "1", resources=(*resources, *more), count=count)


def of_alerts(plan: SitePlan) -> list[Resource]:
    return [each for each in plan.wanted if each.kind in (azure_alerts.ACTION_KIND, azure_alerts.ALERT_KIND)]


def test_as_many_groups_are_watched_as_run_at_least_above_and_far_below_each_goal() -> None:
    action, *rules = of_alerts(planned(spec()))
    assert action.properties["receivers"] == {
        "controller": {"url": "https://ops.example.com/alerts", "key": "given", "schema": "common"}
    }
    assert [rule.name for rule in rules] == [
        f"llm-east-r1-{number}-{metric}-{which}"
        for number in (1, 2)
        for metric in ("cpu", "memory")
        for which in ("high", "low")
    ]
    # 4 vCPU of which the sidecar has 0.2, 16 GB of which it has 0.3.
    assert [rule.properties["threshold"] for rule in rules[:4]] == [2280.0, 1140.0, 12560000000.0, 6280000000.0]
    assert [rule.properties["window"] for rule in rules[:2]] == ["PT5M", "PT15M"]


def test_groups_that_the_controller_made_need_no_rules_and_are_no_drift() -> None:
    assert planned(spec(), standing(spec(), 5)).changes == ()
    assert azure_alerts.watched([f"llm-east-r1-{number}" for number in (10, 2, 3, 1)], 2) == (
        "llm-east-r1-1", "llm-east-r1-2",
    )  # fmt: skip


def test_all_of_it_goes_where_the_controller_scales_by_load_again() -> None:
    site = planned(spec(scale={"min": 2, "max": 5}), standing(spec(), 2))
    assert {(change.action, change.kind) for change in site.changes} == {
        ("remove", azure_alerts.ACTION_KIND), ("remove", azure_alerts.ALERT_KIND),
    }  # fmt: skip
    assert len(site.changes) == 9
    assert [step.name for step in site.steps] == ["retire"]


def test_rules_are_made_after_the_groups_that_they_watch() -> None:
    steps = [step.name for step in planned(spec()).steps]
    assert steps.index("targets") < steps.index("alerts")


def test_what_azure_tells_is_what_it_was_told_but_for_the_key() -> None:
    wish = spec()
    site = planned(wish)
    given: Any = site_variables(wish.site("east"), site, SiteFacts("east", "azure", "eastus", "1"))
    assert given["azure_site_webhooks"] == [
        {"name": "controller", "url": "https://ops.example.com/alerts", "key_file": "alerts.key"}
    ]
    [action, first, *_] = of_alerts(site)
    rule = given["azure_site_alerts"][0]
    told = {
        "name": rule["name"],
        "id": "x",
        "properties": {
            "enabled": True,
            "scopes": [rule["scope"]],
            "windowSize": rule["window"],
            "evaluationFrequency": rule["frequency"],
            "autoMitigate": True,
            "criteria": {"allOf": [camel(rule["criterion"])]},
            "actions": [{"actionGroupId": given["azure_site_action_id"]}],
        },
    }
    assert alerts._alert(told).properties == first.properties
    receiver = {
        "name": "controller",
        "serviceUri": "https://ops.example.com/alerts?key=x",
        "useCommonAlertSchema": True,
    }
    stored = {"name": "llm-east", "id": "y", "properties": {"enabled": True, "webhookReceivers": [receiver]}}
    assert alerts._action(stored).properties == action.properties
    assert "key=x" not in repr(alerts._action(stored))


def test_a_receiver_that_somebody_added_or_took_the_key_from_is_a_difference() -> None:
    receiver = {"name": "controller", "serviceUri": "https://ops.example.com/alerts", "useCommonAlertSchema": True}
    stored = {"webhookReceivers": [receiver], "emailReceivers": [{}], "enabled": True}
    found = alerts._action({"name": "llm-east", "id": "y", "properties": stored})
    facts = standing(spec(), 2)
    resources = tuple(found if each.kind == found.kind else each for each in facts.resources)
    [change] = planned(spec(), replace(facts, resources=resources)).changes
    assert {each.property for each in change.differences} == {"receivers.controller.key", "receivers.emailReceivers"}


def camel(row: dict[str, Any]) -> dict[str, Any]:
    """As the SDK writes it."""
    return {"".join(part.title() if n else part for n, part in enumerate(key.split("_"))): row[key] for key in row}
