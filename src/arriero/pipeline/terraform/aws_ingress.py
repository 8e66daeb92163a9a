"""A site's load balancer in the words of the provider hashicorp/aws: itself, its listeners, its target group; and whom
it answers, where a Front Door stands before it.

Rules that somebody adds to a listener Terraform does not see: it has no resource for all of them. `arriero plan` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from arriero.pipeline.terraform import aws_network, front_door
from arriero.pipeline.terraform.hcl import Blocks, Body, Expression, Raw
from arriero.pipeline.terraform.piece import Piece, Site
from arriero.plan.model import Resource
from arriero.plan.wanted import aws_alb
from arriero.plan.wanted.aws import site_tags

# As the role `aws_site` has it.
REFUSAL = "this load balancer answers its Front Door alone"


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
        if "rules" in listener:
            yield from _locks(site, port, standing)
    if wish["web_acl"]:
        held = standing and standing.properties["web_acl"] == wish["web_acl"]
        joined = {"": f"{wish['web_acl']},{standing.id}"} if held and standing else {}
        acl = _ours(site, resource_arn=Raw(f"aws_lb.{site.label}.arn"), web_acl_arn=wish["web_acl"])
        yield Piece("aws_wafv2_web_acl_association", site.label, acl, joined)


def host(site: Site) -> Raw:
    """Where a Front Door finds it."""
    return Raw(f"aws_lb.{site.label}.dns_name")


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
    action: Body
    if "certificate" in listener:
        secure = {"certificate_arn": listener["certificate"], "ssl_policy": listener["tls_policy"]}
        action = _refuse() if "rules" in listener else _forward(site)
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


def _forward(site: Site) -> Body:
    return {"type": "forward", "target_group_arn": Raw(f"aws_lb_target_group.{site.label}.arn")}


def _refuse() -> Body:
    said: Body = {"content_type": "text/plain", "message_body": REFUSAL, "status_code": "403"}
    return {"type": "fixed-response", "fixed_response": Blocks((said,))}


def _locks(site: Site, port: str, standing: Resource | None) -> Iterator[Piece]:
    """The rules that let the Front Door in and nobody else, by its id, and its questions for health; as the role has
    them, by their places. What is in such a place is taken over, whatever it says.
    """
    told = cast("Mapping[str, Any]", standing.details.get("rules", {})) if standing else {}
    conditions = (
        (_says(aws_alb.FRONT_DOOR_HEADER, front_door.ID),),
        (_says(aws_alb.PROBE_HEADER, "1"), {"path_pattern": Blocks(({"values": [aws_alb.READY]},))}),
    )
    for place, asked in enumerate(conditions, 1):
        arn = told.get(port, {}).get(str(place))
        body = _ours(
            site,
            listener_arn=Raw(f"aws_lb_listener.{site.label}_{port}.arn"),
            priority=place,
            action=Blocks((_forward(site),)),
            condition=Blocks(asked),
        )
        yield Piece("aws_lb_listener_rule", f"{site.label}_{port}_{place}", body, {"": arn} if arn else {})


def _says(header: str, value: Expression) -> Body:
    return {"http_header": Blocks(({"http_header_name": header, "values": [value]},))}


def _ours(site: Site, **body: Expression | Blocks) -> Body:
    return {"provider": Raw(f"aws.{site.label}"), **body}
