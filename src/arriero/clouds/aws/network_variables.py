"""The variables of the role `aws_site` that are about its network, and about the load balancer before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from arriero.cost import way_out
from arriero.events import Json
from arriero.plan.firewall import group_rule
from arriero.plan.model import Resource, SiteFacts, SitePlan
from arriero.plan.wanted import aws, aws_alb, aws_network, aws_task
from arriero.spec import ingress_values as of_ingress
from arriero.spec.ingress import Alb
from arriero.spec.model import ResolvedSite


def network(site: ResolvedSite, plan: SitePlan, found: SiteFacts) -> dict[str, Json]:
    return {
        "aws_site_cidr": site.network.cidr,
        "aws_site_subnets": _subnets(plan, aws_network.subnet_names(site)),
        "aws_site_edge_subnets": _subnets(plan, aws_network.edge_names(site)),
        "aws_site_way_out": cast(Json, aws_network.way(site, found) or "internet"),
        "aws_site_has_names": aws_network.has_names(site, found),
        "aws_site_groups": _groups(site, found),
        "aws_site_endpoints": list(way_out.interfaces(site)) if aws_network.way(site, found) == "endpoints" else [],
        "aws_site_public_ip": aws.has_public_tasks(site),
        "aws_site_vpc_id": site.network.vpc or _id(found, "aws.vpc"),
        "aws_site_route_table_id": _id(found, "aws.route_table", aws_network.base_name(site)),
        "aws_site_edge_table_id": _id(found, "aws.route_table", aws_network.edge_name(site)),
        "aws_site_subnet_ids": _subnet_ids(site, found),
        "aws_site_edge_subnet_ids": _standing(found, aws_network.edge_names(site)),
        "aws_site_security_group_id": _id(found, "aws.security_group", aws_network.base_name(site)),
        "aws_site_endpoint_group_id": _id(found, "aws.security_group", aws_network.endpoint_group(site)),
    }


def _subnets(plan: SitePlan, names: tuple[str, ...]) -> list[Json]:
    wanted = [resource for resource in plan.wanted if resource.kind == "aws.subnet" and resource.name in names]
    return [
        {
            "name": r.name,
            "cidr": cast(str, r.properties["cidr"]),
            "zone": cast(str, r.properties["zone"]),
            "public_addresses": bool(r.properties.get("public_addresses")),
        }
        for r in wanted
    ]


def _subnet_ids(site: ResolvedSite, found: SiteFacts) -> list[Json]:
    """Of those that targets stand in, as far as they are there."""
    if site.network.vpc:
        return list(site.network.subnets)
    return _standing(found, aws_network.subnet_names(site))


def _standing(found: SiteFacts, names: tuple[str, ...]) -> list[Json]:
    return [subnet.id for name in names if (subnet := found.find("aws.subnet", name))]


def _groups(site: ResolvedSite, found: SiteFacts) -> list[Json]:
    """Each security group with its rules in the words of `ec2_security_group`; those referred to come first."""
    return [
        {
            "name": name,
            "description": aws_network.descriptions(site)[name],
            "rules": [_rule(line, found) for line in rules["ingress"]],
            "rules_egress": [_rule(line, found) for line in rules["egress"]],
        }
        for name, rules in aws_network.group_rules(site, found).items()
    ]


def _rule(line: str, found: SiteFacts) -> Json:
    """A peer is a range, a list of AWS's own by its name, or another group of the site by its name."""
    rule = group_rule(line, is_inbound=True)
    [(first, _)], [peer] = rule.ports, rule.peers
    whom: dict[str, Json] = {"group_name": [peer.removeprefix("group:")]}
    if "/" in peer:
        whom = {"cidr_ip": [peer]}
    elif peer in found.prefix_lists:
        whom = {"ip_prefix": [found.prefix_lists[peer]]}
    return {"proto": rule.protocol, "ports": [str(first)], **whom}


def ingress(site: ResolvedSite, plan: SitePlan, found: SiteFacts) -> dict[str, Json]:
    """`aws_site_balancers` is the load balancer to have, if one is asked for; one of another scheme goes before it."""
    standing, group = found.find(aws_alb.BALANCER), found.find(aws_alb.TARGETS)
    is_replaced = any(change.kind == aws_alb.BALANCER and change.action == "replace" for change in plan.changes)
    held = str(standing.properties["web_acl"] or "") if standing else ""
    wanted = (aws_alb.web_acl(site, site.alb) or "") if site.alb else ""
    base = aws_network.base_name(site)
    return {
        "aws_site_balancers": [_balancer(site, site.alb, base, found, is_replaced)] if site.alb else [],
        "aws_site_balancers_replaced": [standing.name] if standing and is_replaced else [],
        "aws_site_web_acl": of_ingress.web_acl_name(wanted) if wanted else "",
        "aws_site_web_acl_gone": of_ingress.web_acl_name(held) if held and held != wanted else "",
        "aws_site_target_group_arn": group.id if group and site.alb else "",
        "aws_site_leads_to_targets": aws_alb.leads_to_targets(site),
        "aws_site_attached": {"container": aws_alb.container(site), "port": aws_task.PORT},
        "aws_site_grace_seconds": aws_alb.grace_seconds(site),
    }


def _balancer(site: ResolvedSite, alb: Alb, base: str, found: SiteFacts, is_replaced: bool) -> dict[str, Json]:
    is_at_the_edge = aws_network.balancer_subnets(site, found) == aws_network.edge_names(site)
    standing = found.find(aws_alb.BALANCER)
    health = cast("Mapping[str, Json]", aws_alb.target_group(site, alb)["health"])
    return {
        "name": aws_alb.name(base),
        "group": aws_alb.group_name(base),
        "scheme": alb.scheme,
        "idle_seconds": int(alb.idle_timeout),
        "drain_seconds": int(alb.drain_within),
        "algorithm": aws_alb.ALGORITHM,
        "health": dict(health),
        "ports": list(aws_alb.ports(alb)),
        "clients": list(aws_alb.clients(site, alb)),
        "target_port": aws_task.PORT,
        "target_ranges": list(aws_network.target_subnets(site, found).values()),
        "stands_at_the_edge": is_at_the_edge,
        "certificate": aws_alb.certificate(site, alb),
        "tls_policy": alb.tls_policy,
        "redirects": alb.redirect,
        "answers_alone": site.front_door is not None,
        "front_door": aws_alb.front_door_id(site, found),
        "lets_in_first": standing is not None and not is_replaced and _forwards(standing),
        "sets_rules": bool(site.front_door or (standing and standing.details.get("front_door"))),
    }


def _forwards(balancer: Resource) -> bool:
    """Whether its listener of https sends everybody's requests on."""
    listeners = cast("Mapping[str, Mapping[str, str]]", balancer.properties["listeners"])
    return listeners.get(str(aws_alb.HTTPS), {}).get("action", "").startswith("forward to ")


def _id(found: SiteFacts, kind: str, name: str | None = None) -> str:
    resource = found.find(kind, name)
    return resource.id if resource else ""
