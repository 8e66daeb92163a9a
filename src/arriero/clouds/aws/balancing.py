"""The load balancer of a site and its target group, read into Resources; listeners are a part of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from arriero.clouds.aws.clients import Clients
from arriero.clouds.aws.identity import refuse_foreign
from arriero.plan.model import Resource, SiteRef, Value
from arriero.plan.wanted import aws_alb
from arriero.spec.values import UUID_PATTERN

Found = Mapping[str, Any]
Attributes = Mapping[str, str]


def read(made: Clients, ref: SiteRef) -> tuple[Resource, ...]:
    """Both, as far as they stand; the names of subnets and groups are still their ids (`named` puts names there)."""
    elbv2 = made.get("elbv2", ref.region)
    name = aws_alb.name(f"{ref.service}-{ref.site}")
    groups = _target_groups(elbv2, name)
    balancers = _balancers(elbv2, name)
    arns = [*(each["TargetGroupArn"] for each in groups), *(each["LoadBalancerArn"] for each in balancers)]
    tags = _tags(elbv2, arns)
    for arn in arns:
        refuse_foreign(ref, tags[arn], f"a load balancer or target group {name}")
    return (
        *(_target_group(elbv2, each, tags) for each in groups),
        *(_balancer(elbv2, made.get("wafv2", ref.region), each, tags) for each in balancers),
    )


def named(found: Sequence[Resource], names: Mapping[str, str]) -> tuple[Resource, ...]:
    """With the site's own names in place of ids, as the wish has them."""
    return tuple(_with_names(each, names) if each.kind == aws_alb.BALANCER else each for each in found)


def _with_names(balancer: Resource, names: Mapping[str, str]) -> Resource:
    changed = dict(balancer.properties)
    for key in ("subnets", "security_groups"):
        ids = changed[key]
        assert isinstance(ids, tuple)
        changed[key] = tuple(sorted(names.get(str(each), str(each)) for each in ids))
    return Resource(balancer.kind, balancer.name, changed, balancer.id, balancer.tags, balancer.details)


def _target_groups(elbv2: Any, name: str) -> list[Found]:
    try:
        return list(elbv2.describe_target_groups(Names=[name])["TargetGroups"])
    except elbv2.exceptions.TargetGroupNotFoundException:
        return []


def _balancers(elbv2: Any, name: str) -> list[Found]:
    try:
        return list(elbv2.describe_load_balancers(Names=[name])["LoadBalancers"])
    except elbv2.exceptions.LoadBalancerNotFoundException:
        return []


def _tags(elbv2: Any, arns: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    if not arns:
        return {}
    described = elbv2.describe_tags(ResourceArns=list(arns))["TagDescriptions"]
    return {each["ResourceArn"]: {tag["Key"]: tag["Value"] for tag in each["Tags"]} for each in described}


def _target_group(elbv2: Any, group: Found, tags: Mapping[str, Mapping[str, str]]) -> Resource:
    arn = group["TargetGroupArn"]
    said: Attributes = _attributes(elbv2.describe_target_group_attributes(TargetGroupArn=arn))
    properties: dict[str, Value] = {
        "protocol": group["Protocol"],
        "port": group["Port"],
        "type": group["TargetType"],
        "health": {
            "interval": group["HealthCheckIntervalSeconds"],
            "timeout": group["HealthCheckTimeoutSeconds"],
            "healthy": group["HealthyThresholdCount"],
            "unhealthy": group["UnhealthyThresholdCount"],
            "codes": (group.get("Matcher") or {}).get("HttpCode"),
            "path": group.get("HealthCheckPath"),
        },
        "drain_seconds": int(said["deregistration_delay.timeout_seconds"]),
        "algorithm": said["load_balancing.algorithm.type"],
        "is_sticky": said["stickiness.enabled"] == "true",
    }
    return Resource(aws_alb.TARGETS, group["TargetGroupName"], properties, arn, tags[arn], {"vpc_id": group["VpcId"]})


def _balancer(elbv2: Any, wafv2: Any, balancer: Found, tags: Mapping[str, Mapping[str, str]]) -> Resource:
    arn = balancer["LoadBalancerArn"]
    said: Attributes = _attributes(elbv2.describe_load_balancer_attributes(LoadBalancerArn=arn))
    listeners = elbv2.describe_listeners(LoadBalancerArn=arn)["Listeners"]
    rules = _all_rules(elbv2, listeners)
    acl = wafv2.get_web_acl_for_resource(ResourceArn=arn).get("WebACL") or {}
    properties: dict[str, Value] = {
        "scheme": balancer["Scheme"],
        "subnets": tuple(zone["SubnetId"] for zone in balancer["AvailabilityZones"]),
        "security_groups": tuple(balancer.get("SecurityGroups", ())),
        "idle_seconds": int(said["idle_timeout.timeout_seconds"]),
        "drops_invalid_headers": said["routing.http.drop_invalid_header_fields.enabled"] == "true",
        "listeners": {str(each["Port"]): _listener(each, rules.get(each["ListenerArn"])) for each in listeners},
        "web_acl": acl.get("ARN"),
    }
    details: dict[str, Value] = {
        "dns_name": balancer["DNSName"],
        "listeners": {str(each["Port"]): each["ListenerArn"] for each in listeners},
        "rules": {
            str(each["Port"]): {rule["Priority"]: rule["RuleArn"] for rule in rules.get(each["ListenerArn"], ())}
            for each in listeners
        },
        "front_door": next((door for each in rules.values() if (door := _front_door(each))), ""),
    }
    return Resource(aws_alb.BALANCER, balancer["LoadBalancerName"], properties, arn, tags[arn], details)


def _all_rules(elbv2: Any, listeners: Sequence[Found]) -> Mapping[str, list[Found]]:
    """By listener. Nobody is asked where the https one forwards all there is: rules can't let in more then."""
    if any(each["Protocol"] == "HTTPS" and _forwards(each) for each in listeners):
        return {}
    return {each["ListenerArn"]: _rules(elbv2, each) for each in listeners if not _forwards(each)}


def _forwards(listener: Found) -> bool:
    return any(each["Type"] == "forward" for each in listener["DefaultActions"])


def _rules(elbv2: Any, listener: Found) -> list[Found]:
    """In the order in which they count, without the last one, which is the listener's own action."""
    found = elbv2.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
    return sorted((each for each in found if not each["IsDefault"]), key=lambda each: int(each["Priority"]))


def _rule(rule: Found) -> str:
    actions = "; ".join(_action(each) for each in rule["Actions"])
    conditions = sorted(rule["Conditions"], key=lambda each: str(each["Field"]))
    return f"{actions} if {' and '.join(map(_condition, conditions))}"


def _condition(condition: Found) -> str:
    if condition["Field"] == "http-header":
        header = condition["HttpHeaderConfig"]
        return f"{header['HttpHeaderName']} {_compared(header)}"
    if condition["Field"] == "path-pattern":
        return f"the path {_compared(condition.get('PathPatternConfig') or condition)}"
    return str(condition["Field"])


def _compared(told: Found) -> str:
    """AWS tells either values or regular expressions."""
    values, expressions = told.get("Values"), told.get("RegexValues") or ()
    return f"is {' or '.join(values)}" if values else f"matches {' or '.join(expressions)}"


def _front_door(rules: Sequence[Found]) -> str:
    """Which Front Door a rule lets in, by its id, which is a UUID; empty where none does."""
    headers = [each["HttpHeaderConfig"] for rule in rules for each in rule["Conditions"] if "HttpHeaderConfig" in each]
    named = (each for each in headers if each["HttpHeaderName"].lower() == aws_alb.FRONT_DOOR_HEADER.lower())
    values = (str(each["Values"][0]) for each in named if each.get("Values"))
    return next((each for each in values if re.fullmatch(UUID_PATTERN, each)), "")


def _listener(listener: Found, rules: Sequence[Found] | None) -> Mapping[str, Value]:
    kept: dict[str, Value] = {
        "protocol": listener["Protocol"],
        "action": "; ".join(_action(each) for each in listener["DefaultActions"]),
    }
    if certificates := listener.get("Certificates"):
        kept |= {"certificate": certificates[0]["CertificateArn"], "tls_policy": listener.get("SslPolicy")}
    # One without https leads on to https alone, so the wish knows no rules of it.
    if rules or (rules is not None and listener["Protocol"] == "HTTPS"):
        kept["rules"] = tuple(_rule(each) for each in rules or ())
    return kept


def _action(action: Found) -> str:
    if action["Type"] == "forward":
        groups = (action.get("ForwardConfig") or {}).get("TargetGroups") or [action]
        return f"forward to {', '.join(_group_name(each['TargetGroupArn']) for each in groups)}"
    if action["Type"] == "redirect":
        there = action["RedirectConfig"]
        return f"redirect to {there.get('Protocol')} {there.get('Port')} by {there['StatusCode'].removeprefix('HTTP_')}"
    if action["Type"] == "fixed-response":
        return f"answer {action['FixedResponseConfig']['StatusCode']}"
    return str(action["Type"])


def _group_name(arn: str) -> str:
    """`arn:…:targetgroup/llm-east/0123456789abcdef` -> `llm-east`."""
    return arn.split("/")[1]


def _attributes(answer: Found) -> Attributes:
    return {each["Key"]: str(each["Value"]) for each in answer["Attributes"]}
