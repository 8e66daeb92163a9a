"""ECS Service Auto Scaling, where the spec leaves a site's count to the cloud (`scale.by: cloud`). Pure.

One thing a service: how far it may scale, by which policies, and when it sleeps by the cloud's own clock. What each
policy does: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-autoscaling-targettracking.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from arriero.plan.model import Resource, Value
from arriero.spec.model import ResolvedSite
from arriero.spec.schedule import weekly

KIND = "aws.scaling"
DIMENSION = "ecs:service:DesiredCount"
NAMESPACE, REQUESTS = "Arriero", "OpenRequests"
TRACKING = "TargetTrackingScaling"
METRICS = {"cpu": "ECSServiceAverageCPUUtilization", "memory": "ECSServiceAverageMemoryUtilization"}
# What may be suspended, by AWS's words for it.
SUSPENDABLE = {
    "DynamicScalingInSuspended": "in",
    "DynamicScalingOutSuspended": "out",
    "ScheduledScalingSuspended": "scheduled",
}
_DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")


def wanted(site: ResolvedSite, service: str, count: int, labels: Mapping[str, str]) -> tuple[Resource, ...]:
    """None where somebody else scales. A site that sleeps is held at nothing; while somebody's order counts more than
    the off hours, the cloud's clock is stopped.
    """
    if site.scale_by != "cloud":
        return ()
    least, most = (site.min, site.max) if count else (0, 0)
    properties: dict[str, Value] = {
        "min": least,
        "max": most,
        "suspended": ("scheduled",) if site.is_ordered else (),
        "policies": {name: _policy(site, name, goal) for name, goal in site.track.goals.items()},
        "scheduled": scheduled(site),
    }
    return (Resource(KIND, service, properties, tags=labels),)


def resource_id(cluster: str, service: str) -> str:
    return f"service/{cluster}/{service}"


def policy_name(service: str, metric: str) -> str:
    return f"{service}-{metric}"


def configuration(policy: Mapping[str, Any]) -> dict[str, Any]:
    """A policy's properties in the words of PutScalingPolicy."""
    metric = str(policy["metric"])
    own: dict[str, Any] = {"PredefinedMetricSpecification": {"PredefinedMetricType": metric}}
    if " " in metric:
        name, statistic, *dimensions = metric.split(" ")
        namespace, _, name = name.partition("/")
        pairs = [each.partition("=") for each in dimensions]
        custom = {
            "Namespace": namespace,
            "MetricName": name,
            "Statistic": statistic,
            "Dimensions": [{"Name": key, "Value": value} for key, _, value in pairs],
        }
        own = {"CustomizedMetricSpecification": custom}
    return {
        "TargetValue": policy["target"],
        **own,
        "ScaleOutCooldown": policy["cooldown_out"],
        "ScaleInCooldown": policy["cooldown_in"],
        "DisableScaleIn": not policy["scales_in"],
    }


def normal_form(found: Mapping[str, Any]) -> dict[str, Value]:
    """A policy as DescribeScalingPolicies tells it; what is left out there is AWS's default."""
    told = found.get("TargetTrackingScalingPolicyConfiguration") or {}
    return {
        "type": found["PolicyType"],
        "metric": _metric(told),
        "target": told.get("TargetValue"),
        "cooldown_out": told.get("ScaleOutCooldown", 300),
        "cooldown_in": told.get("ScaleInCooldown", 300),
        "scales_in": not told.get("DisableScaleIn"),
    }


def scheduled(site: ResolvedSite) -> dict[str, Value]:
    """Off hours by the cloud's own clock; by name, `off-2200-mon-tue`: a line of cron, its zone, and the bounds."""
    if site.off is None:
        return {}
    days: dict[tuple[bool, str], list[str]] = {}
    for day, at, is_off in weekly(site.off):
        days.setdefault((is_off, f"{at:%H%M}"), []).append(_DAYS[day])
    return {
        f"{'off' if is_off else 'on'}-{at}-{'-'.join(named).lower()}": {
            "at": f"cron({int(at[2:])} {int(at[:2])} ? * {','.join(named)} *)",
            "zone": site.off.zone.key,
            "min": 0 if is_off else site.min,
            "max": 0 if is_off else site.max,
        }
        for (is_off, at), named in days.items()
    }


def _policy(site: ResolvedSite, name: str, goal: float) -> Mapping[str, Value]:
    custom = f"{NAMESPACE}/{REQUESTS} Average Service={site.service} Site={site.name}"
    return {
        "type": TRACKING,
        "metric": METRICS.get(name, custom),
        "target": goal,
        "cooldown_out": round(site.cooldown.out),
        "cooldown_in": round(site.cooldown.in_),
        "scales_in": True,
    }


def _metric(told: Mapping[str, Any]) -> str:
    if custom := told.get("CustomizedMetricSpecification"):
        dimensions = sorted((each["Name"], each["Value"]) for each in custom.get("Dimensions") or ())
        named = f"{custom.get('Namespace')}/{custom.get('MetricName')} {custom.get('Statistic')}"
        return " ".join([named, *(f"{name}={value}" for name, value in dimensions)])
    return str((told.get("PredefinedMetricSpecification") or {}).get("PredefinedMetricType"))
