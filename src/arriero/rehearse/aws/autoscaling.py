"""Has the emulated Application Auto Scaling do what it was told: measures services, plays alarms, sets counts.

One thread. Several times a minute (of the stage's own length) it looks at the tasks of every service that may be
scaled, and of those that an alarm watches; at the end of a minute it decides for each of the former. Nothing else is
measured.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from moto.applicationautoscaling.models import FakeScalableTarget, applicationautoscaling_backends
from moto.cloudwatch.models import MetricDatum, cloudwatch_backends
from moto.ecs.models import ecs_backends

from arriero.clock import Clock
from arriero.rehearse.aws import cron
from arriero.rehearse.aws.alarm_rules import Rule
from arriero.rehearse.aws.autoscaling_api import StageScalingBackend, metric_of
from arriero.rehearse.aws.ecs_api import StageEcsBackend
from arriero.rehearse.aws.ecs_service import StageService
from arriero.rehearse.aws.runtime import RunningTask
from arriero.rehearse.aws.tracking import Goal, Standing, Step, Tracker
from arriero.rehearse.aws.watching import KINDS
from arriero.rehearse.gauge import Gauge, Measurable, Measured
from arriero.rehearse.minutes import Minutes, mean

_ACCOUNT = "123456789012"
_GLANCES = 4  # a minute
# What somebody else tells CloudWatch comes by the real clock, however fast the stage's minutes are.
_TOLD_SECONDS = 60.0
_LOG = logging.getLogger(__name__)

RunningIn = Callable[[str], list[RunningTask]]


@dataclass(frozen=True, slots=True)
class Scaled:
    """A service that may be scaled."""

    target: FakeScalableTarget
    region: str
    service: StageService

    @property
    def name(self) -> str:
        return f"{self.region} {self.target.resource_id}"


class AutoScaler:
    """`running_in` gives a region's tasks with their processes; `changed` is called when a count was set."""

    def __init__(
        self,
        world: threading.RLock,
        running_in: RunningIn,
        changed: Callable[[], None],
        clock: Clock,
        minute_seconds: float,
        minutes: Minutes,
    ) -> None:
        self._world, self._running_in, self._changed = world, running_in, changed
        self._clock, self._minute_seconds, self._minutes = clock, minute_seconds, minutes
        self._gauge = Gauge()
        self._trackers: dict[str, Tracker] = {}
        self._began = clock.monotonic()
        self._closed = 0
        self._looked_at = clock.now()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="application auto scaling", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        self._thread.join()
        self._gauge.close()

    def look(self) -> None:
        """One glance at every service; at a minute's end, one decision for each."""
        with self._world:
            scaled = list(self._scaled())
            tasks = {name: self._tasks(*which) for name, which in self._measured(scaled).items()}
        found = self._gauge.measure([one for each in tasks.values() for one in each]) if tasks else {}
        for name, own in tasks.items():
            if glances := [found[one.name] for one in own if one.name in found]:
                self._minutes.add(name, mean(glances))
        self._play_the_clock(scaled)
        minute = int((self._clock.monotonic() - self._began) / self._minute_seconds)
        if minute > self._closed:
            self._closed = minute
            means = self._minutes.close(self._clock.now())
            with self._world:
                for each in self._scaled():
                    self._decide(each, float(minute), means.get(each.name))

    def _run(self) -> None:
        while not self._ending.wait(self._minute_seconds / _GLANCES):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - a glance must not end the thread
                _LOG.error("a glance of the emulated Application Auto Scaling failed", exc_info=error)

    def _scaled(self) -> Iterator[Scaled]:
        for region, backend in list(applicationautoscaling_backends[_ACCOUNT].items()):
            services = cast(StageEcsBackend, backend.ecs_backend).services
            for target in backend.describe_scalable_targets("ecs", None, "ecs:service:DesiredCount"):
                _, cluster, name = target.resource_id.split("/")
                service = services.get(f"{cluster}:{name}")
                if service is not None and service.status == "ACTIVE":
                    yield Scaled(target, region, service)

    def _measured(self, scaled: list[Scaled]) -> dict[str, tuple[str, StageService]]:
        """Regions and services, by what their minutes are kept under."""
        found = {each.name: (each.region, each.service) for each in scaled}
        for region, backend in list(cloudwatch_backends[_ACCOUNT].items()):
            rules = (Rule.of(alarm) for alarm in backend.alarms.values())
            for name in {rule.service for rule in rules if rule}:
                services = cast(StageEcsBackend, ecs_backends[_ACCOUNT][region]).services
                service = services.get(name.removeprefix("service/").replace("/", ":"))
                if service is not None and service.status == "ACTIVE":
                    found[f"{region} {name}"] = (region, service)
        return found

    def _tasks(self, region: str, service: StageService) -> list[Measurable]:
        own = [run for run in self._running_in(region) if _is_of(run, service)]
        return [
            Measurable(
                run.task.id,
                tuple(container.server for container in run.containers),
                int(run.task.cpu) / 1024,
                int(run.task.memory) * 2**20,
            )
            for run in own
            if run.task.last_status == "RUNNING"
        ]

    # By the clock

    def _play_the_clock(self, scaled: list[Scaled]) -> None:
        since, now = self._looked_at, self._clock.now()
        self._looked_at = now
        with self._world:
            for each in scaled:
                if _held(each.target).get("ScheduledScalingSuspended"):
                    continue
                for action in self._due(each, since, now):
                    self._bound(each, action.scalable_target_action, action.scheduled_action_name)

    def _due(self, scaled: Scaled, since: datetime, now: datetime) -> list[Any]:
        """In the order of their times."""
        backend = applicationautoscaling_backends[_ACCOUNT][scaled.region]
        actions = backend.describe_scheduled_actions("", "ecs", scaled.target.resource_id, "")
        times = [(cron.last_due(each.schedule, each.timezone or "UTC", since, now), each) for each in actions]
        return [each for at, each in sorted(((at, e) for at, e in times if at), key=lambda row: row[0])]

    def _bound(self, scaled: Scaled, bounds: Any, name: str) -> None:
        """Sets min and max; a count outside of them follows."""
        target, count = scaled.target, scaled.service.desired_count
        target.update(bounds.get("MinCapacity"), bounds.get("MaxCapacity"), None)  # type: ignore[arg-type]
        wanted = max(int(target.min_capacity or 0), min(count, int(target.max_capacity or 0)))
        self._set(scaled, Step(wanted, f"scheduled action {name}"))
        self._changed()

    # By the figures

    def _decide(self, scaled: Scaled, minute: float, found: Measured | None) -> None:
        backend = cast(StageScalingBackend, applicationautoscaling_backends[_ACCOUNT][scaled.region])
        policies = {
            policy.policy_name: policy
            for policy in backend.policies.values()
            if policy.resource_id == scaled.target.resource_id and policy.policy_type == "TargetTrackingScaling"
        }
        goals = {name: _goal(policy) for name, policy in policies.items()}
        values = {name: self._value(scaled.region, policy, found) for name, policy in policies.items()}
        tracker = self._trackers.setdefault(scaled.name, Tracker())
        step = tracker.minute(minute, goals, values, _standing(scaled))
        for name, (high, low) in tracker.states(goals).items():
            for alarm, state in zip(policies[name].alarms, (high, low), strict=False):
                if alarm.state_value != state:
                    alarm.update_state("Threshold Crossed" if state == "ALARM" else state, "{}", state)
        self._set(scaled, step)

    def _value(self, region: str, policy: Any, found: Measured | None) -> float | None:
        namespace, metric, dimensions = metric_of(policy)
        if namespace == "AWS/ECS":
            known = KINDS.get(metric)
            return getattr(found, known) if found is not None and known else None
        since = self._clock.now() - timedelta(seconds=max(_TOLD_SECONDS, self._minute_seconds))
        told = [
            float(datum.value)
            for datum in cloudwatch_backends[_ACCOUNT][region].metric_data
            if isinstance(datum, MetricDatum)
            and (datum.namespace, datum.name) == (namespace, metric)
            and {(each.name, each.value) for each in datum.dimensions} == set(dimensions)
            and _aware(datum.timestamp, since) >= since
        ]
        return sum(told) / len(told) if told else None

    def _set(self, scaled: Scaled, step: Step) -> None:
        if step.count == scaled.service.desired_count:
            return
        before = scaled.service.desired_count
        scaled.service.change({"desiredCount": step.count}, str(scaled.service.task_definition))
        backend = cast(StageScalingBackend, applicationautoscaling_backends[_ACCOUNT][scaled.region])
        backend.note(scaled.target.resource_id, before, step.count, step.why, self._clock.now())
        self._changed()


def _is_of(run: RunningTask, service: StageService) -> bool:
    return (run.task.cluster_name, run.task.service_name) == (service.cluster_name, service.name)


def _goal(policy: Any) -> Goal:
    told: Mapping[str, Any] = policy.target_tracking_scaling_policy_configuration
    out, in_ = (told.get(key, 300) / 60 for key in ("ScaleOutCooldown", "ScaleInCooldown"))
    return Goal(float(told["TargetValue"]), out, in_, not told.get("DisableScaleIn"))


def _standing(scaled: Scaled) -> Standing:
    service, target, held = scaled.service, scaled.target, _held(scaled.target)
    return Standing(
        count=service.desired_count,
        running=service.running_count,
        least=int(target.min_capacity or 0),
        most=int(target.max_capacity or 0),
        is_deploying=service.deployments[0]["rolloutState"] == "IN_PROGRESS",
        may_go_out=not held.get("DynamicScalingOutSuspended"),
        may_go_in=not held.get("DynamicScalingInSuspended"),
    )


def _held(target: FakeScalableTarget) -> Mapping[str, bool]:
    return cast("Mapping[str, bool]", target.suspended_state or {})


def _aware(moment: datetime, like: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=like.tzinfo)
