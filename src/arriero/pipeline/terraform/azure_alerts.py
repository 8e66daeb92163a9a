"""Azure Monitor's alerts for Terraform, where a spec leaves the count to the cloud, and whom they are told.

The rules are azurerm's. The action group is azapi's: Azure tells the whole address of its webhook, with the key, and
azurerm writes what it is told into Terraform's state. Here the address is in `sensitive_body` alone, which is
write-only, and the key a variable that is ephemeral: no file, plan or state has it. azapi takes all that Azure tells
into the state of what it imports, so an action group that stands is not imported: whoever moves over removes it first.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any, cast

from arriero.clouds.azure import alerts, groups
from arriero.pipeline.terraform import azapi
from arriero.pipeline.terraform.hcl import Blocks, Body, Raw, quoted
from arriero.pipeline.terraform.piece import Maker, Piece, Site
from arriero.plan.model import Resource
from arriero.plan.wanted import azure_alerts as wish
from arriero.plan.wanted.azure import base_name

ACTION_TYPE = f"Microsoft.Insights/actionGroups@{alerts.ACTION_VERSION}"
LEAST_KEY = 20  # the controller listens to none that is shorter
STANDING_NOTE = "It stands, and an import would write the webhook's key into the state: README.md says what to do."
RULES_NOTE = "One group each: the controller starts and stops groups as these tell it."


def _action(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    for wanted in resources:
        yield _key(site)
        hooks = cast("Mapping[str, Mapping[str, str]]", wanted.properties["receivers"])
        body: Body = {
            "type": ACTION_TYPE,
            "name": wanted.name,
            "parent_id": Raw(f"azurerm_resource_group.{site.label}.id"),
            "location": "global",
            "tags": site.tags,
            "body": {
                "properties": {"enabled": cast(bool, wanted.properties["enabled"]), "groupShortName": wish.SHORT_NAME}
            },
            "sensitive_body": {"properties": {"webhookReceivers": [_hook(site, *each) for each in hooks.items()]}},
        }
        note = STANDING_NOTE if site.standing(wanted) else ""
        yield Piece(azapi.TYPE, _action_label(site), body, comment=note)


def _hook(site: Site, name: str, hook: Mapping[str, str]) -> Mapping[str, Any]:
    address = f'{quoted(hook["url"])[:-1]}?key=${{urlencode(trimspace(var.{_key_label(site)}))}}"'
    return {"name": name, "serviceUri": Raw(address), "useCommonAlertSchema": hook["schema"] == "common"}


def _key(site: Site) -> Piece:
    """Terraform asks for it, each time that it runs."""
    name = _key_label(site)
    enough: Body = {
        "condition": Raw(f"length(trimspace(var.{name})) >= {LEAST_KEY}"),
        "error_message": f"The controller listens to no key of fewer than {LEAST_KEY} characters.",
    }
    body: Body = {
        "description": f"The key that the alerts of {site.spec.name} come with.",
        "type": Raw("string"),
        "sensitive": True,
        "ephemeral": True,
        "validation": Blocks((enough,)),
    }
    return Piece("", name, body, kind="variable")


def _rules(site: Site, rules: tuple[Resource, ...]) -> Iterator[Piece]:
    """All of them in one block: they differ in what they watch, and from when on."""
    if not rules:
        return
    wanted = cast("Mapping[str, Any]", rules[0].properties)
    target = f"{azapi.TYPE if azapi.are_groups_sent(site) else 'azurerm_container_group'}.{site.label}"
    container: Body = {"name": "containerName", "operator": "Include", "values": [wanted["container"]]}
    goal: Body = {
        "metric_namespace": groups.TYPE,
        "metric_name": Raw("each.value.metric"),
        "aggregation": "Average",
        "operator": Raw("each.value.operator"),
        "threshold": Raw("each.value.threshold"),
        "dimension": Blocks((container,)),
    }
    body: Body = {
        "for_each": {rule.name: _differing(rule) for rule in rules},
        "name": Raw("each.key"),
        "resource_group_name": Raw(f"azurerm_resource_group.{site.label}.name"),
        "scopes": [Raw(f"{target}[each.value.target].id")],
        "enabled": wanted["enabled"],
        "auto_mitigate": wanted["resolves"],
        "frequency": wanted["frequency"],
        "window_size": Raw("each.value.window"),
        "severity": 3,
        "tags": site.tags,
        "criteria": Blocks((goal,)),
        "action": Blocks(({"action_group_id": Raw(f"{azapi.TYPE}.{_action_label(site)}.id")},)),
    }
    standing = {rule.name: _id(site, rule.name) for rule in rules if site.standing(rule)}
    yield Piece("azurerm_monitor_metric_alert", site.label, body, standing, RULES_NOTE)


def _differing(rule: Resource) -> Mapping[str, Any]:
    told = cast("Mapping[str, Any]", rule.properties)
    return {
        "target": told["scope"],
        **{name: told[name] for name in ("metric", "operator")},
        "threshold": int(told["threshold"]),
        "window": told["window"],
    }


def _id(site: Site, rule: str) -> str:
    """As azurerm reads it, which compares its words letter by letter."""
    group = f"/subscriptions/{site.found.account}/resourceGroups/{base_name(site.spec)}"
    return f"{group}/providers/Microsoft.Insights/metricAlerts/{rule}"


def guide(site: Site) -> str:
    """What README.md says of the key, and of an action group that stands; empty where the cloud does not scale."""
    actions, told = site.wanted(wish.ACTION_KIND), site.spec.alerts
    if not actions or told is None:
        return ""
    [action] = actions
    return f"""
## The key of {site.spec.name}'s alerts

Whoever runs Terraform gives the key that the webhook is called with; no file, plan or state has it. In the folder of
the spec:

    export TF_VAR_{_key_label(site)}="$(cat {shlex.quote(told.key_file)})"
{_moving(site, action) if site.standing(action) else ""}"""


def _moving(site: Site, action: Resource) -> str:
    return f"""
Its action group stands, and is not imported: Azure tells the whole address of the webhook, and an import would write
that into the state. `terraform plan` announces it as added, and the rules as changed, for they name it. Remove it
right before `terraform apply`; what fires between the two is told to nobody:

    az monitor action-group delete --resource-group {base_name(site.spec)} --name {action.name}
"""


def _key_label(site: Site) -> str:
    return f"{site.label}_alerts_key"


def _action_label(site: Site) -> str:
    return f"{site.label}_alerts"


MAKERS: Mapping[str, Maker] = {wish.ACTION_KIND: _action, wish.ALERT_KIND: _rules}
