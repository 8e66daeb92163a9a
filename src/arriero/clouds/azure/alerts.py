"""Azure Monitor's action group and alert rules of a site, read into Resources. The webhook's key never leaves here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from arriero.clouds.azure.connection import Arm
from arriero.plan.model import SITE_TAG, Resource, SiteRef, Value
from arriero.plan.wanted.azure_alerts import ACTION_KIND, ALERT_KIND

Found = Mapping[str, Any]

ACTION_VERSION, ALERT_VERSION = "2023-01-01", "2018-03-01"
_PROVIDER = "Microsoft.Insights"
_KEY = "key"


def read(arm: Arm, ref: SiteRef) -> tuple[Resource, ...]:
    """What carries the site's tags in its resource group."""
    group = f"/resourceGroups/{ref.service}-{ref.site}/providers/{_PROVIDER}"
    actions = [item for item in arm.list(f"{group}/actionGroups", ACTION_VERSION) if _is_ours(item, ref)]
    alerts = [item for item in arm.list(f"{group}/metricAlerts", ALERT_VERSION) if _is_ours(item, ref)]
    return (*map(_action, actions), *map(_alert, alerts))


def _is_ours(item: Found, ref: SiteRef) -> bool:
    return (item.get("tags") or {}).get(SITE_TAG) == ref.site


def _action(item: Found) -> Resource:
    told = item["properties"]
    receivers: dict[str, Value] = {
        each["name"]: {
            "url": str(each["serviceUri"]).partition("?")[0],
            "key": "given" if parse_qs(urlsplit(str(each["serviceUri"])).query).get(_KEY) else "missing",
            "schema": "common" if each.get("useCommonAlertSchema") else "own",
        }
        for each in told.get("webhookReceivers") or ()
    }
    others = {
        kind: len(value)
        for kind, value in told.items()
        if kind.endswith("Receivers") and kind != "webhookReceivers" and value
    }
    properties: dict[str, Value] = {"enabled": bool(told.get("enabled")), "receivers": {**receivers, **others}}
    return Resource(ACTION_KIND, item["name"], properties, item["id"], item.get("tags") or {})


def _alert(item: Found) -> Resource:
    told = item["properties"]
    rows = (told.get("criteria") or {}).get("allOf") or [{}]
    first: Found = rows[0]
    dimensions = first.get("dimensions") or [{}]
    scopes, actions = told.get("scopes") or [""], told.get("actions") or []
    action = actions[0].get("actionGroupId", "") if len(actions) == 1 else ""
    properties: dict[str, Value] = {
        "enabled": bool(told.get("enabled")),
        "scope": ",".join(str(scope).rpartition("/")[2] for scope in scopes),
        "metric": first.get("metricName") if len(rows) == 1 else "several",
        "container": ",".join(dimensions[0].get("values") or ()),
        "operator": first.get("operator"),
        "threshold": float(first.get("threshold") or 0.0),
        "window": told.get("windowSize"),
        "frequency": told.get("evaluationFrequency"),
        "resolves": bool(told.get("autoMitigate", True)),
        "action": str(action).rpartition("/")[2],
    }
    return Resource(ALERT_KIND, item["name"], properties, item["id"], item.get("tags") or {})
