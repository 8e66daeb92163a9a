"""The alarms of all sites as one playbook that makes or changes them, and one that takes them away: `export alarms`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from arriero.errors import Problem, Refused
from arriero.pipeline.alarms import azure, azure_logs, cloudwatch
from arriero.pipeline.alarms.azure import MetricAlert
from arriero.pipeline.alarms.azure_logs import LogAlert
from arriero.pipeline.alarms.cloudwatch import PERIOD_SECONDS, CloudWatchAlarm
from arriero.pipeline.yaml_file import yaml_file
from arriero.plan import place
from arriero.plan.model import Facts, Resource, SitePlan
from arriero.plan.wanted import azure_logs as workspaces
from arriero.spec.model import Spec

PLAYBOOK = "alarms.yml"
AWAY = "no-alarms.yml"
NOBODY = "no site is in a cloud, so nothing there can watch it"
NEXT = """\
Once it stands:   arriero env -- ansible-playbook alarms.yml -e @who.json
In who.json, who is told: {"topics": {"us-east-1": ["arn:aws:sns:…"]}, "action_groups": [{"actionGroupId": "/sub…"}]}.
To be rid of them: arriero env -- ansible-playbook no-alarms.yml
Azure's metric alerts watch container groups by name: be rid of them before a release, make the files anew after it."""

_HERE: Mapping[str, Any] = {"hosts": "localhost", "gather_facts": False}
_IDS = "{{ action_groups | map(attribute='actionGroupId') | list }}"
_WHO: Mapping[str, Any] = {"topics": {}, "action_groups": []}


def files(spec: Spec, facts: Facts) -> Mapping[str, str]:
    """Raises Refused where no site is in a cloud."""
    sites = [site for site in place.plan(spec, facts).sites if not site.is_leaving]
    tasks = [task for site in sites for task in _tasks(spec, facts, site)]
    if not tasks:
        raise Refused(Problem(NOBODY, "take: arriero export prometheus", key="sites"))
    play = {"name": f"Have {spec.name} watched by its clouds", **_HERE, "vars": _WHO, "tasks": tasks}
    away = [task for site in sites for task in _away(site)]
    farewell = {"name": f"Have {spec.name} watched no more", **_HERE, "tasks": away}
    return {PLAYBOOK: _document(play), AWAY: _document(farewell)}


def alarms_of(site: SitePlan) -> tuple[CloudWatchAlarm, ...]:
    cluster = next((r.name for r in site.wanted if r.kind == "aws.cluster"), "")
    services = [r.name for r in site.wanted if r.kind == "aws.service"]
    return tuple(alarm for service in services for alarm in cloudwatch.alarms(service, cluster, site.region))


def alerts_of(site: SitePlan) -> tuple[MetricAlert, ...]:
    group = next((r.name for r in site.wanted if r.kind == "azure.resource_group"), "")
    return tuple(alert for r in site.wanted if r.kind == "azure.container_group" for alert in _alerts(r, group))


def log_alerts_of(site: SitePlan) -> tuple[LogAlert, ...]:
    """None where no workspace keeps the site's lines."""
    kept = [r.name for r in site.wanted if r.kind == workspaces.KIND]
    return tuple(alert for name in kept for alert in azure_logs.alerts(name, site.region))


def _alerts(resource: Resource, group: str) -> tuple[MetricAlert, ...]:
    containers = cast("Mapping[str, Mapping[str, Any]]", resource.properties["containers"])
    ollama = containers["ollama"]
    return azure.alerts(resource.name, group, float(ollama["cpu"]), float(ollama["memory_gb"]))


def _tasks(spec: Spec, facts: Facts, site: SitePlan) -> Iterator[Mapping[str, Any]]:
    for alarm in alarms_of(site):
        yield {"name": f"Watch {alarm.name}", "amazon.aws.cloudwatch_metric_alarm": _cloudwatch(alarm)}
    account = facts.sites[site.site].account or spec.accounts.azure or ""
    subscription = account or "{{ lookup('env', 'AZURE_SUBSCRIPTION_ID') }}"
    for alert in alerts_of(site):
        rule = _azure(_rule(alert), alert.body(subscription), "{{ action_groups }}")
        yield {"name": f"Watch {alert.name}", "azure.azcollection.azure_rm_resource": rule}
    for log_alert in log_alerts_of(site):
        rule = _azure(_log_rule(log_alert), log_alert.body(subscription), {"actionGroups": _IDS})
        yield {"name": f"Watch {log_alert.name}", "azure.azcollection.azure_rm_resource": rule}


def _away(site: SitePlan) -> Iterator[Mapping[str, Any]]:
    for alarm in alarms_of(site):
        gone = {"state": "absent", "region": alarm.region, "name": alarm.name}
        yield {"name": f"Watch {alarm.name} no more", "amazon.aws.cloudwatch_metric_alarm": gone}
    rules = [(alert.name, _rule(alert)) for alert in alerts_of(site)]
    rules += [(log_alert.name, _log_rule(log_alert)) for log_alert in log_alerts_of(site)]
    for name, rule in rules:
        yield {
            "name": f"Watch {name} no more",
            "azure.azcollection.azure_rm_resource": {"state": "absent", **rule},
        }


def _cloudwatch(alarm: CloudWatchAlarm) -> Mapping[str, Any]:
    return {
        "state": "present",
        "region": alarm.region,
        "name": alarm.name,
        "description": alarm.summary,
        "namespace": "AWS/ECS",
        "metric_name": alarm.metric,
        "dimensions": {"ClusterName": alarm.cluster, "ServiceName": alarm.service},
        "statistic": alarm.statistic,
        "comparison": alarm.comparison,
        "threshold": alarm.threshold,
        "period": PERIOD_SECONDS,
        "evaluation_periods": alarm.periods,
        "datapoints_to_alarm": alarm.datapoints,
        "treat_missing_data": alarm.missing,
        "alarm_actions": f"{{{{ topics['{alarm.region}'] | default([]) }}}}",
        "ok_actions": f"{{{{ topics['{alarm.region}'] | default([]) }}}}",
    }


def _azure(rule: Mapping[str, Any], alert: Mapping[str, Any], actions: Any) -> Mapping[str, Any]:
    return {**rule, "body": {**alert, "properties": {**alert["properties"], "actions": actions}}}


def _rule(alert: MetricAlert) -> Mapping[str, Any]:
    return _named(alert.resource_group, "metricAlerts", alert.name, azure.API_VERSION)


def _log_rule(alert: LogAlert) -> Mapping[str, Any]:
    return _named(alert.workspace, "scheduledQueryRules", alert.name, azure_logs.API_VERSION)


def _named(resource_group: str, kind: str, name: str, api_version: str) -> Mapping[str, Any]:
    """By `idempotency` it is looked at first, and left alone where it is as it should be, or gone."""
    return {
        "resource_group": resource_group,
        "provider": "Insights",
        "resource_type": kind,
        "resource_name": name,
        "api_version": api_version,
        "idempotency": True,
    }


def _document(play: Mapping[str, Any]) -> str:
    """A playbook is a list; the file's helper writes mappings."""
    head, _, text = yaml_file("alarms", play).partition("\n")
    lines = text.rstrip("\n").split("\n")
    return "\n".join(["---", head, f"- {lines[0]}", *(f"  {line}" if line else line for line in lines[1:])]) + "\n"
