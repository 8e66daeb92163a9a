"""The alarms of all sites as one playbook that makes or changes them, and one that takes them away: `export alarms`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from arriero.errors import Problem, Refused
from arriero.pipeline.alarms import azure, cloudwatch
from arriero.pipeline.alarms.azure import MetricAlert
from arriero.pipeline.alarms.cloudwatch import PERIOD_SECONDS, CloudWatchAlarm
from arriero.pipeline.yaml_file import yaml_file
from arriero.plan import place
from arriero.plan.model import Facts, Resource, SitePlan
from arriero.spec.model import Spec

PLAYBOOK = "alarms.yml"
AWAY = "no-alarms.yml"
NOBODY = "no site is in a cloud, so nothing there can watch it"
NEXT = """\
Once it stands:   arriero env -- ansible-playbook alarms.yml -e @who.json
In who.json, who is told: {"topics": {"us-east-1": ["arn:aws:sns:…"]}, "action_groups": [{"actionGroupId": "/sub…"}]}.
To be rid of them: arriero env -- ansible-playbook no-alarms.yml
Azure watches each container group by its name: be rid of them before a release, and make the files anew after it."""

_HERE: Mapping[str, Any] = {"hosts": "localhost", "gather_facts": False}
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


def _alerts(resource: Resource, group: str) -> tuple[MetricAlert, ...]:
    containers = cast("Mapping[str, Mapping[str, Any]]", resource.properties["containers"])
    ollama = containers["ollama"]
    return azure.alerts(resource.name, group, float(ollama["cpu"]), float(ollama["memory_gb"]))


def _tasks(spec: Spec, facts: Facts, site: SitePlan) -> Iterator[Mapping[str, Any]]:
    for alarm in alarms_of(site):
        yield {"name": f"Watch {alarm.name}", "amazon.aws.cloudwatch_metric_alarm": _cloudwatch(alarm)}
    account = facts.sites[site.site].account or spec.accounts.azure or ""
    for alert in alerts_of(site):
        subscription = account or "{{ lookup('env', 'AZURE_SUBSCRIPTION_ID') }}"
        yield {"name": f"Watch {alert.name}", "azure.azcollection.azure_rm_resource": _azure(alert, subscription)}


def _away(site: SitePlan) -> Iterator[Mapping[str, Any]]:
    for alarm in alarms_of(site):
        gone = {"state": "absent", "region": alarm.region, "name": alarm.name}
        yield {"name": f"Watch {alarm.name} no more", "amazon.aws.cloudwatch_metric_alarm": gone}
    for alert in alerts_of(site):
        yield {
            "name": f"Watch {alert.name} no more",
            "azure.azcollection.azure_rm_resource": {"state": "absent", **_rule(alert)},
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


def _azure(alert: MetricAlert, subscription: str) -> Mapping[str, Any]:
    body = dict(alert.body(subscription))
    body["properties"] = {**body["properties"], "actions": "{{ action_groups }}"}
    return {**_rule(alert), "body": body}


def _rule(alert: MetricAlert) -> Mapping[str, Any]:
    """By `idempotency` it is looked at first, and left alone where it is as it should be, or gone."""
    return {
        "resource_group": alert.resource_group,
        "provider": "Insights",
        "resource_type": "metricAlerts",
        "resource_name": alert.name,
        "api_version": azure.API_VERSION,
        "idempotency": True,
    }


def _document(play: Mapping[str, Any]) -> str:
    """A playbook is a list; the file's helper writes mappings."""
    head, _, text = yaml_file("alarms", play).partition("\n")
    lines = text.rstrip("\n").split("\n")
    return "\n".join(["---", head, f"- {lines[0]}", *(f"  {line}" if line else line for line in lines[1:])]) + "\n"
