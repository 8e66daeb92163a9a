"""What a plan wishes for, and what was read of a module, in the same words: references become names."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from arriero.plan import front_door, place
from arriero.plan.model import Facts
from arriero.plan.wanted import aws_network
from arriero.spec.model import Spec

# What the plan compares and no file can set, with the reason.
STATES = {
    "aws.service": {"status": "a service that is written down is active", "rollout": "how its last deployment went"},
    "aws.task_definition": {"status": "a definition that is written down is active"},
    "aws.edges": {"status": "a service that is written down is active", "rollout": "how its last deployment went"},
    "aws.edge_definition": {"status": "a definition that is written down is active"},
    "aws.nat_gateway": {"state": "whether it works"},
    "aws.vpc_endpoint": {"state": "whether it works"},
    "azure.app_environment": {"state": "whether Azure has made it"},
    "azure.edge_environment": {"state": "whether Azure has made it"},
    "azure.private_endpoint": {"connection": "whether who is led to approves of it"},
}


def planned(wish: Spec, facts: Facts) -> dict[tuple[str, str], Any]:
    plan = place.plan(wish, facts)
    wanted = [resource for site in plan.sites if site.cloud != "local" for resource in site.wanted]
    wanted += front_door.wanted(wish, facts)
    return {(r.kind, r.name): unset(r.kind, json.loads(json.dumps(r.properties))) for r in wanted}


def unset(kind: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if name not in STATES.get(kind, {})}


def named(key: tuple[str, str], properties: dict[str, Any], wish: Spec) -> dict[str, Any]:
    """References in the plan's words: Terraform's labels are the sites' names."""
    labels = {name.replace("-", "_"): f"{wish.name}-{name}" for name in wish.sites}
    kind, name = key
    plain = dict(properties)
    if kind in ("aws.task_definition", "aws.edge_definition"):
        plain.pop("status")
        name = name.removesuffix("-edge")
        roles = {"executionRoleArn": "exec", "taskRoleArn": "task"}
        for field, end in ((field, end) for field, end in roles.items() if field in plain):
            site = next(s for s in wish.sites if name == f"{wish.name}-{s}")
            assert plain[field] == f"aws_iam_role.{site.replace('-', '_')}_{end}"
            plain[field] = f"/arriero/{wish.name}/{wish.sites[site].region}/{name}-{end}"
    if kind in ("aws.service", "aws.edges"):
        name = name.removesuffix("-edge")
        ranges = aws_network.subnet_ranges(wish.site(name.removeprefix(f"{wish.name}-")).network.cidr)
        numbered = {str(n): f"{name} {cidr}" for n, cidr in enumerate(ranges, 1)}
        network = plain["network"]
        network["subnets"] = [numbered[each.rpartition("_")[2]] for each in network["subnets"]]
        network["security_groups"] = [
            label_named(each.partition(".")[2], labels) for each in network["security_groups"]
        ]
        for each in plain["load_balancers"]:
            each["group"] = labels[each["group"].partition(".")[2]]
    if kind == "aws.managed_machines":
        plain |= roles_named(plain, labels)
    if kind in ("aws.launch_template", "aws.managed_machines"):
        plain["security_groups"] = [label_named(each.partition(".")[2], labels) for each in plain["security_groups"]]
    if kind in ("aws.autoscaling_group", "aws.file_system", "aws.managed_machines"):
        plain["subnets"] = subnets_named(plain["subnets"], name.removeprefix("managed-"), wish)
    if kind == "aws.security_group":
        ours = {label.replace("-", "_"): of for label, of in labels.items()}
        plain = {way: sorted(peer_named(line, ours, wish) for line in lines) for way, lines in plain.items()}
    if kind == "aws.vpc_endpoint":
        for tie in {"security_groups", "route_tables"} & plain.keys():
            plain[tie] = [label_named(each.partition(".")[2], labels) for each in plain[tie]]
    if kind == "aws.load_balancer":
        balancer_named(plain, name, labels, wish)
    if kind == "azure.nat_gateway":
        plain["public_ips"] = [labels[each] for each in plain["public_ips"]]
    if kind == "azure.virtual_network":
        plain["subnet"].update({tie: labels[plain["subnet"][tie]] for tie in ("security_group", "nat_gateway")})
    return json.loads(json.dumps(plain))


def balancer_named(plain: dict[str, Any], name: str, labels: Mapping[str, str], wish: Spec) -> None:
    cidr = wish.site(name.removeprefix(f"{wish.name}-")).network.cidr
    ranges = (*aws_network.subnet_ranges(cidr), *aws_network.edge_ranges(cidr))
    numbered = {str(n): f"{name} {each}" for n, each in enumerate(ranges, 1)}
    plain["subnets"] = [numbered[each.rpartition("_")[2]] for each in plain["subnets"]]
    plain["security_groups"] = [f"{name}-alb"]
    for each in plain["listeners"].values():
        what, _, group = each["action"].partition("aws_lb_target_group.")
        each["action"] = f"{what}{labels[group]}" if group else what
        if "rules" in each:
            each["rules"] = [
                re.sub(r"aws_lb_target_group\.(\w+)", lambda it: labels[it[1]], rule) for rule in each["rules"]
            ]


def label_named(label: str, labels: Mapping[str, str]) -> str:
    """`aws_east_gateway` -> `llm-aws-east-gateway`."""
    site = max((each for each in labels if label.startswith(each)), key=len)
    return labels[site] + label.removeprefix(site).replace("_", "-")


def subnets_named(labels: Sequence[str], base: str, wish: Spec) -> list[str]:
    """Of those that targets stand in."""
    cidr = wish.site(base.removeprefix(f"{wish.name}-")).network.cidr
    numbered = {str(n): f"{base} {each}" for n, each in enumerate(aws_network.subnet_ranges(cidr), 1)}
    return [numbered[each.rpartition("_")[2]] for each in labels]


def roles_named(machines: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, str]:
    """By what ECS has machines, and what these are handed: the site's only profile, which is labelled as the site."""
    role, profile = (machines[tie].partition(".")[2] for tie in ("infrastructure_role", "profile"))
    return {"infrastructure_role": label_named(role, labels), "profile": f"{label_named(profile, labels)}-machine"}


def peer_named(line: str, labels: Mapping[str, str], wish: Spec) -> str:
    """A rule whose peer is another resource, in the plan's words; what only AWS can know, the id of a list, is null."""
    rule, _, peer = line.rpartition(" ")
    kind, _, label = peer.partition(".")
    if kind == "aws_security_group":
        return f"{rule} group:{label_named(label, labels)}"
    if peer == "None":
        return f"{rule} com.amazonaws.{wish.sites['aws-east'].region}.s3"
    return line
