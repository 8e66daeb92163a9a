"""Application Auto Scaling as its API shows it: what moto leaves out of it, and nothing that scales.

Target tracking has two alarms a policy: https://docs.aws.amazon.com/autoscaling/application/userguide/
target-tracking-scaling-policy-overview.html. They go with their policy, and policies with their target.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import uuid4

from moto.applicationautoscaling import models, responses, urls
from moto.cloudwatch.models import cloudwatch_backends

# The alarm that has fewer run lies so much below the goal; minutes that each alarm takes.
LOW_SHARE = 0.9
HIGH_MINUTES, LOW_MINUTES = 3, 15
_ACTIVITIES_KEPT = 100
PREDEFINED = {
    "ECSServiceAverageCPUUtilization": "CPUUtilization",
    "ECSServiceAverageMemoryUtilization": "MemoryUtilization",
}


class StagePolicy(models.FakeApplicationAutoscalingPolicy):
    """A policy of an ECS service with the alarms that AWS would make for it."""

    def _generate_ecs_alarms(self) -> list[Any]:
        told = self.target_tracking_scaling_policy_configuration or {}
        goal = float(told["TargetValue"])
        high, low = ("High", HIGH_MINUTES, goal), ("Low", LOW_MINUTES, LOW_SHARE * goal)
        return [self._alarm(*high, "GreaterThanThreshold"), self._alarm(*low, "LessThanThreshold")]

    def _alarm(self, which: str, minutes: int, threshold: float, comparison: str) -> Any:
        namespace, metric, dimensions = metric_of(self)
        return cloudwatch_backends[self.account_id][self.region_name].put_metric_alarm(
            name=f"TargetTracking-{self.resource_id}-Alarm{which}-{self._guid}",
            namespace=namespace,
            metric_name=metric,
            metric_data_queries=[],
            comparison_operator=comparison,
            evaluation_periods=minutes,
            period=60,
            threshold=threshold,
            statistic="Average",
            description=f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {self.policy_arn}",
            dimensions=[{"Name": name, "Value": value} for name, value in dimensions],
            alarm_actions=[self.policy_arn],
        )


def metric_of(policy: models.FakeApplicationAutoscalingPolicy) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    """Namespace, name and dimensions of what a target tracking policy goes by."""
    told = policy.target_tracking_scaling_policy_configuration or {}
    if custom := told.get("CustomizedMetricSpecification"):
        dimensions = tuple((each["Name"], each["Value"]) for each in custom.get("Dimensions") or ())
        return custom["Namespace"], custom["MetricName"], dimensions
    kind = told.get("PredefinedMetricSpecification", {}).get("PredefinedMetricType", "")
    _, cluster, service = policy.resource_id.split("/")
    return "AWS/ECS", PREDEFINED.get(kind, kind), (("ClusterName", cluster), ("ServiceName", service))


class StageScalingBackend(models.ApplicationAutoscalingBackend):
    """Gaps: policies are not found by name; what replaces one leaves its alarms; a target's policies stay behind; and
    nothing tells what was done.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.activities: list[dict[str, Any]] = []

    def note(self, resource: str, before: int, after: int, why: str, at: datetime) -> None:
        """What DescribeScalingActivities tells, newest first."""
        words = f"Setting desired count from {before} to {after}."
        self.activities.insert(
            0,
            {
                "ActivityId": str(uuid4()),
                "ServiceNamespace": "ecs",
                "ResourceId": resource,
                "ScalableDimension": "ecs:service:DesiredCount",
                "Description": words,
                "Cause": why,
                "StartTime": at.timestamp(),
                "EndTime": at.timestamp(),
                "StatusCode": "Successful",
            },
        )
        del self.activities[_ACTIVITIES_KEPT:]

    @property
    def _url_module(self) -> Any:
        return urls

    def put_scaling_policy(self, *arguments: Any, **options: Any) -> Any:
        known = dict(self.policies)
        made = super().put_scaling_policy(*arguments, **options)
        for key, former in known.items():
            if self.policies.get(key) is not former:
                former.delete_alarms(self.account_id, self.region_name)
        return made

    def deregister_scalable_target(self, namespace: str, r_id: str, dimension: str) -> None:
        super().deregister_scalable_target(namespace, r_id, dimension)
        for key, policy in list(self.policies.items()):
            if (policy.service_namespace, policy.resource_id) == (namespace, r_id):
                policy.delete_alarms(self.account_id, self.region_name)
                del self.policies[key]
        self.scheduled_actions = [
            each for each in self.scheduled_actions if (each.service_namespace, each.resource_id) != (namespace, r_id)
        ]


def describe_scaling_activities(self: Any) -> str:
    """moto has none."""
    backend, resource = self.applicationautoscaling_backend, self._get_param("ResourceId")
    return json.dumps(
        {"ScalingActivities": [each for each in backend.activities if resource in (None, each["ResourceId"])]}
    )


def describe_scaling_policies(self: Any) -> str:
    """In the place of moto's response, which knows no names."""
    names = self._get_param("PolicyNames") or ()
    token, page = self.applicationautoscaling_backend.describe_scaling_policies(
        service_namespace=self._get_param("ServiceNamespace"),
        resource_id=self._get_param("ResourceId"),
        scalable_dimension=self._get_param("ScalableDimension"),
        max_results=None if names else self._get_int_param("MaxResults"),
        next_token=self._get_param("NextToken"),
    )
    told = [responses._build_policy(each) for each in page if not names or each.policy_name in names]
    return json.dumps({"ScalingPolicies": told, "NextToken": token})
