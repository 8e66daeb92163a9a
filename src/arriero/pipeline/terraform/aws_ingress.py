"""A site's load balancer in the words of the provider hashicorp/aws: itself, its listeners, its target group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from arriero.pipeline.terraform import aws_network
from arriero.pipeline.terraform.hcl import Blocks, Body, Expression, Raw
from arriero.pipeline.terraform.piece import Piece, Site
from arriero.plan.model import Resource
from arriero.plan.wanted.aws import site_tags


def target_group(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    [group] = resources
    wish = cast("Mapping[str, Any]", group.properties)
    health = wish["health"]
    body = _ours(
        site,
        name=group.name,
        port=wish["port"],
        protocol=wish["protocol"],
        target_type=wish["type"],
        vpc_id=aws_network.vpc_id(site),
        deregistration_delay=wish["drain_seconds"],
        load_balancing_algorithm_type=wish["algorithm"],
        tags=site_tags(site.spec),
        health_check=Blocks(
            (
                {
                    "path": health["path"],
                    "protocol": wish["protocol"],
                    "interval": health["interval"],
                    "timeout": health["timeout"],
                    "healthy_threshold": health["healthy"],
                    "unhealthy_threshold": health["unhealthy"],
                    "matcher": health["codes"],
                },
            )
        ),
        stickiness=Blocks(({"type": "lb_cookie", "enabled": wish["is_sticky"]},)),
    )
    yield Piece("aws_lb_target_group", site.label, body, site.imported(group))


def balancer(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    [balancer] = resources
    wish, standing = cast("Mapping[str, Any]", balancer.properties), site.standing(balancer)
    body = _ours(
        site,
        name=balancer.name,
        load_balancer_type="application",
        internal=wish["scheme"] == "internal",
        idle_timeout=wish["idle_seconds"],
        drop_invalid_header_fields=wish["drops_invalid_headers"],
        security_groups=[Raw(f"aws_security_group.{site.label}_alb.id")],
        subnets=[aws_network.subnet_id(site, name) for name in wish["subnets"]],
        tags=site_tags(site.spec),
    )
    yield Piece("aws_lb", site.label, body, site.imported(balancer))
    arns = cast("Mapping[str, str]", standing.details.get("listeners", {})) if standing else {}
    for port, listener in wish["listeners"].items():
        there = {"": arns[port]} if port in arns else {}
        yield Piece("aws_lb_listener", f"{site.label}_{port}", _listener(site, int(port), listener), there)
    if wish["web_acl"]:
        held = standing and standing.properties["web_acl"] == wish["web_acl"]
        joined = {"": f"{wish['web_acl']},{standing.id}"} if held and standing else {}
        acl = _ours(site, resource_arn=Raw(f"aws_lb.{site.label}.arn"), web_acl_arn=wish["web_acl"])
        yield Piece("aws_wafv2_web_acl_association", site.label, acl, joined)


def attached(site: Site, service: Mapping[str, Any]) -> dict[str, Expression | Blocks]:
    """What the service says of its load balancer; nothing without one."""
    if not service["load_balancers"]:
        return {}
    blocks = [
        {
            "target_group_arn": Raw(f"aws_lb_target_group.{site.label}.arn"),
            "container_name": each["container"],
            "container_port": each["port"],
        }
        for each in service["load_balancers"]
    ]
    return {"health_check_grace_period_seconds": service["grace_seconds"], "load_balancer": Blocks(tuple(blocks))}


def _listener(site: Site, port: int, listener: Mapping[str, Any]) -> Body:
    secure: dict[str, Expression] = {}
    if "certificate" in listener:
        secure = {"certificate_arn": listener["certificate"], "ssl_policy": listener["tls_policy"]}
        action: Body = {"type": "forward", "target_group_arn": Raw(f"aws_lb_target_group.{site.label}.arn")}
    else:
        there = {"protocol": "HTTPS", "port": "443", "status_code": "HTTP_301"}
        action = {"type": "redirect", "redirect": Blocks((there,))}
    return _ours(
        site,
        load_balancer_arn=Raw(f"aws_lb.{site.label}.arn"),
        port=port,
        protocol=listener["protocol"],
        tags=site_tags(site.spec),
        **secure,
        default_action=Blocks((action,)),
    )


def _ours(site: Site, **body: Expression | Blocks) -> Body:
    return {"provider": Raw(f"aws.{site.label}"), **body}
