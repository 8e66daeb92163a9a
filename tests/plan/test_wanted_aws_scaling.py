"""What the cloud's own scaling should hold at an AWS site, and what differs from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from arriero.plan import place
from arriero.plan.model import Facts, Resource, SiteFacts, SitePlan
from arriero.plan.sleep import Orders
from arriero.plan.wanted import aws, aws_scaling
from arriero.spec.model import Spec
from arriero.spec.schedule import Override

NIGHTLY = "22:00-06:00 Europe/Berlin on weekdays, weekends"
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)  # a Monday
NIGHT = datetime(2026, 11, 30, 23, tzinfo=UTC)


def spec(**changes: Any) -> Spec:
    whole: dict[str, Any] = {
        "name": "llm",
        "image": "acme/llm:1",
        "models": ["llama2"],
        "scale": {"by": "cloud", "track": {"cpu": "60%", "requests": 3}, "max": 5},
        "sites": {"east": {"cloud": "aws", "region": "us-east-1"}},
    }
    return Spec.model_validate({**whole, **changes})


def planned(wish: Spec, found: SiteFacts | None = None, at: datetime = NOON, orders: Orders | None = None) -> SitePlan:
    sites = {"east": found or SiteFacts("east", "aws", "us-east-1")}
    return place.plan(wish, Facts("llm", sites, read_at=at, orders=orders or Orders())).sites[0]


def scaling(site: SitePlan) -> Resource:
    [found] = [resource for resource in site.wanted if resource.kind == aws_scaling.KIND]
    return found


def standing(wish: Spec, count: int, at: datetime = NOON) -> SiteFacts:
    """Exactly as wished."""
    site = planned(wish, at=at)
    resources = tuple(replace(resource, id=f"id of {resource.name}") for resource in site.wanted)
    service = next(resource for resource in resources if resource.kind == "aws.service")
    counted = replace(service, properties={**service.properties, "desired_count": count})
    return SiteFacts(
        "east",
        "aws",
        "us-east-1",
        resources=tuple(counted if resource is service else resource for resource in resources),
        count=count,
    )


def test_each_goal_is_a_policy_of_its_own() -> None:
    assert scaling(planned(spec())).properties == {
        "min": 2,
        "max": 5,
        "suspended": (),
        "policies": {
            "cpu": {
                "type": "TargetTrackingScaling",
                "metric": "ECSServiceAverageCPUUtilization",
                "target": 60.0,
                "cooldown_out": 60,
                "cooldown_in": 300,
                "scales_in": True,
            },
            "requests": {
                "type": "TargetTrackingScaling",
                "metric": "Arriero/OpenRequests Average Service=llm Site=east",
                "target": 3.0,
                "cooldown_out": 60,
                "cooldown_in": 300,
                "scales_in": True,
            },
        },
        "scheduled": {},
    }


@pytest.mark.parametrize("name", ["cpu", "requests"])
def test_a_policy_that_aws_tells_is_the_one_that_it_was_told(name: str) -> None:
    policy: Any = scaling(planned(spec())).properties["policies"]
    told = {
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": aws_scaling.configuration(policy[name]),
    }
    assert aws_scaling.normal_form(told) == policy[name]


def test_what_stands_has_no_difference_whatever_count_the_cloud_chose() -> None:
    assert planned(spec(), standing(spec(), 4)).changes == ()


def test_the_service_is_scaled_after_it_is_made() -> None:
    steps = [step.name for step in planned(spec()).steps]
    assert steps.index("service") < steps.index("scaling")


def test_what_scales_goes_where_the_spec_leaves_the_count_to_somebody_else() -> None:
    [change] = planned(spec(scale={"by": "load"}), standing(spec(), 3)).changes
    assert (change.action, change.kind, change.name) == ("remove", "aws.scaling", "llm-east")
    assert change.reason == "the spec leaves the count to somebody else than the cloud"


def test_off_hours_are_kept_by_the_clouds_own_clock_and_hold_the_count_at_nothing() -> None:
    wish = spec(off=NIGHTLY)
    awake, asleep = scaling(planned(wish)), scaling(planned(wish, standing(wish, 2), at=NIGHT))
    assert {key: awake.properties[key] for key in ("min", "max")} == {"min": 2, "max": 5}
    assert {key: asleep.properties[key] for key in ("min", "max")} == {"min": 0, "max": 0}
    assert awake.properties["scheduled"] == {
        "on-0600-mon-tue-wed-thu-fri": {
            "at": "cron(0 6 ? * MON,TUE,WED,THU,FRI *)", "zone": "Europe/Berlin", "min": 2, "max": 5,
        },
        "off-2200-mon-tue-wed-thu-fri": {
            "at": "cron(0 22 ? * MON,TUE,WED,THU,FRI *)", "zone": "Europe/Berlin", "min": 0, "max": 0,
        },
    }  # fmt: skip


def test_what_the_cloud_put_to_sleep_by_itself_needs_nothing_more() -> None:
    wish = spec(off=NIGHTLY)
    found = standing(wish, 0)
    slept = {"min": 0, "max": 0}
    resources = tuple(
        replace(each, properties={**each.properties, **slept}) if each.kind == aws_scaling.KIND else each
        for each in found.resources
    )
    assert planned(wish, replace(found, resources=resources), at=NIGHT).changes == ()


def test_while_somebodys_order_counts_more_the_clouds_clock_is_stopped() -> None:
    wish = spec(off=NIGHTLY)
    woken = Orders({"east": Override(is_off=False, until=NIGHT.replace(day=30, hour=23, minute=30), why="woken")})
    held = scaling(planned(wish, standing(wish, 2), at=NIGHT, orders=woken)).properties
    assert (held["min"], held["suspended"]) == (2, ("scheduled",))
    after = NIGHT.replace(minute=45)
    assert scaling(planned(wish, standing(wish, 2), at=after, orders=woken)).properties["suspended"] == ()


def test_a_trial_has_both_services_scaled_until_the_old_one_goes() -> None:
    before = spec(deploy={"strategy": {"canary": ["50%", "100%"]}})
    wish = before.model_copy(update={"environment": {"A": "b"}})
    site = planned(wish, standing(before, 3))
    assert scaling(site).name == "llm-east-r2"
    going = {(change.kind, change.name): change.reason for change in site.changes if change.action == "remove"}
    takes_over = "it runs release 1, and release 2 takes its place"
    assert going == {("aws.service", "llm-east"): takes_over, ("aws.scaling", "llm-east"): takes_over}
    assert "aws.scaling" in aws.KINDS
