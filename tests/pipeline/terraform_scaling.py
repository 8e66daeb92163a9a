"""Reads ECS Service Auto Scaling out of a Terraform module, in the plan's words."""

from __future__ import annotations

from terraform_blocks import Module, Read, Values, done, many


def aws_scaling(module: Module) -> Read:
    policies: dict[str, Values] = {}
    scheduled: dict[str, Values] = {}
    for _, one in module.of("aws_appautoscaling_policy"):
        target, name = _tie(one), one.pop("name").rpartition("-")[2]
        [told] = many(one, "target_tracking_scaling_policy_configuration")
        policies.setdefault(target, {})[name] = {
            "type": one.pop("policy_type"),
            "metric": _aws_metric(told),
            "target": told.pop("target_value"),
            "cooldown_out": told.pop("scale_out_cooldown"),
            "cooldown_in": told.pop("scale_in_cooldown"),
            "scales_in": not told.pop("disable_scale_in"),
        }
        done(told)
        done(one)
    for _, one in module.of("aws_appautoscaling_scheduled_action"):
        target, [bounds] = _tie(one), many(one, "scalable_target_action")
        scheduled.setdefault(target, {})[one.pop("name")] = {
            "at": one.pop("schedule"),
            "zone": one.pop("timezone"),
            "min": bounds.pop("min_capacity"),
            "max": bounds.pop("max_capacity"),
        }
        done(bounds)
        done(one)
    for _, one in module.of("aws_appautoscaling_target"):
        resource = one.pop("resource_id")
        assert (one.pop("service_namespace"), one.pop("scalable_dimension")) == ("ecs", "ecs:service:DesiredCount")
        [states] = many(one, "suspended_state")
        words = {"dynamic_scaling_in_suspended": "in", "dynamic_scaling_out_suspended": "out"}
        words["scheduled_scaling_suspended"] = "scheduled"
        name = resource.rpartition("/")[2]
        own = {each.removeprefix(f"{name}-"): action for each, action in scheduled.get(resource, {}).items()}
        properties = {
            "min": one.pop("min_capacity"),
            "max": one.pop("max_capacity"),
            "suspended": [words[flag] for flag, is_so in states.items() if is_so],
            "policies": policies.get(resource, {}),
            "scheduled": own,
        }
        one.pop("depends_on")
        done(one)
        yield "aws.scaling", name, properties, {}


def _tie(one: Values) -> str:
    assert (one.pop("service_namespace"), one.pop("scalable_dimension")) == ("ecs", "ecs:service:DesiredCount")
    return str(one.pop("resource_id"))


def _aws_metric(told: Values) -> str:
    if "predefined_metric_specification" in told:
        [metric] = many(told, "predefined_metric_specification")
        return str(metric["predefined_metric_type"])
    [metric] = many(told, "customized_metric_specification")
    pairs = " ".join(f"{each['name']}={each['value']}" for each in many(metric, "dimensions"))
    return f"{metric['namespace']}/{metric['metric_name']} {metric['statistic']} {pairs}"
