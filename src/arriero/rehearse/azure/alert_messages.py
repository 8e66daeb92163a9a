"""The message that an alert of the emulated Azure Monitor sends, in the common alert schema. Pure.

https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-common-schema
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Change = Literal["Fired", "Resolved", ""]


@dataclass(frozen=True, slots=True)
class Told:
    """A rule, whom it tells, and what it has to say of the moment."""

    name: str
    scope: str
    actions: tuple[str, ...]
    signal: Literal["Metric", "Log"]
    context: Mapping[str, Any]


def message(told: Told, change: Change, at: str, alert_id: str) -> dict[str, Any]:
    essentials = {
        "alertId": f"/subscriptions/stage/providers/Microsoft.AlertsManagement/alerts/{alert_id}",
        "alertRule": told.name,
        "severity": "Sev3",
        "signalType": told.signal,
        "monitorCondition": change,
        "monitoringService": "Platform" if told.signal == "Metric" else "Log Alerts V2",
        "alertTargetIDs": [told.scope],
        "configurationItems": [told.scope.rpartition("/")[2]],
        "originAlertId": alert_id,
        "firedDateTime": at,
        **({"resolvedDateTime": at} if change == "Resolved" else {}),
        "description": "",
        "essentialsVersion": "1.0",
        "alertContextVersion": "1.0",
    }
    data = {"essentials": essentials, "alertContext": {"properties": None, **told.context}}
    return {"schemaId": "azureMonitorCommonAlertSchema", "data": data}
