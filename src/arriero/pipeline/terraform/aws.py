"""An AWS site in the words of the provider hashicorp/aws.

What a plan compares as a whole (a role's policies) is owned as a whole here too, by the `_exclusive` resources of IAM.
Descriptions are those that the role `aws_site` gives, for a role with another one would be made anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import takewhile
from typing import Any, cast

from arriero.pipeline.terraform import aws_files, aws_ingress, aws_machines, aws_names, aws_network, aws_scaling
from arriero.pipeline.terraform.aws_network import ours, tags
from arriero.pipeline.terraform.hcl import Blocks, Body, Call, Expression, Raw
from arriero.pipeline.terraform.piece import Maker, Piece, Site
from arriero.plan.model import Resource
from arriero.plan.wanted import aws_alb, aws_edges, aws_managed
from arriero.plan.wanted.aws import base_name, partition

SERVICE = "aws.service"
# A task needs these from its first moment, and no argument of its service leads to them: made before it, gone after it.
# Those of the second list, where clients come to it through a load balancer.
NEEDED = (
    "aws_iam_role_policy_attachment",
    "aws_iam_role_policy",
    "aws_route_table_association",
    "aws_nat_gateway",
    "aws_vpc_endpoint",
    "aws_cloudwatch_log_group",
    "aws_ecs_cluster_capacity_providers",
    "aws_efs_mount_target",
)
BEHIND_A_BALANCER = ("aws_lb_listener", "aws_lb_listener_rule", "aws_wafv2_web_acl_association")
COUNT_NOTE = "The live count belongs to whoever scales; Terraform only sets the first one."


def _roles(site: Site, roles: tuple[Resource, ...]) -> Iterator[Piece]:
    for role in roles:
        yield from _role(site, role)


def _role(site: Site, role: Resource) -> Iterator[Piece]:
    label, standing = aws_network.label_of(site, role.name), site.standing(role)
    held = standing.properties if standing else {}
    trust: Expression = {"Version": "2012-10-17", "Statement": cast(Any, role.properties["trust"])}
    body = ours(
        site,
        name=role.name,
        path=str(role.properties["path"]),
        description=f"Ollama tasks of {base_name(site.spec)} in {site.spec.region}",
        assume_role_policy=_json(trust),
        tags=tags(site),
    )
    yield Piece("aws_iam_role", label, body, {"": role.name} if standing else {})
    name = Raw(f"aws_iam_role.{label}.name")
    yield from _attachments(site, role, name, label, cast(Any, held.get("policies", ())))
    yield from _inline(site, role, name, label, cast(Any, held.get("inline_policies", {})))


def _attachments(site: Site, role: Resource, name: Raw, label: str, held: tuple[str, ...]) -> Iterator[Piece]:
    """AWS's own policies; `_exclusive` takes away those that somebody adds."""
    prefix = f"arn:{partition(site.spec.region)}:iam::aws:policy/"
    arns = [f"{prefix}{policy}" for policy in cast("tuple[str, ...]", role.properties["policies"])]
    if arns:
        standing = {arn: f"{role.name}/{arn}" for arn in arns if arn.removeprefix(prefix) in held}
        body = ours(site, for_each=Call("toset", arns), role=name, policy_arn=Raw("each.key"))
        yield Piece("aws_iam_role_policy_attachment", label, body, standing)
    exclusive = ours(site, role_name=name, policy_arns=arns)
    there = {"": role.name} if site.standing(role) else {}
    yield Piece("aws_iam_role_policy_attachments_exclusive", label, exclusive, there)


def _inline(site: Site, role: Resource, name: Raw, label: str, held: Mapping[str, Any]) -> Iterator[Piece]:
    own = cast("Mapping[str, Any]", role.properties["inline_policies"])
    for policy, document in own.items():
        body = ours(site, name=policy, role=name, policy=_json(document))
        inner = f"{label}_{policy.replace('-', '_')}"
        yield Piece("aws_iam_role_policy", inner, body, {"": f"{role.name}:{policy}"} if policy in held else {})
    there = {"": role.name} if site.standing(role) else {}
    yield Piece("aws_iam_role_policies_exclusive", label, ours(site, role_name=name, policy_names=list(own)), there)


def _log_group(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    [group] = resources
    days = cast(int, group.properties["retention_days"])
    body = ours(site, name=group.name, retention_in_days=days, tags=tags(site))
    yield Piece("aws_cloudwatch_log_group", site.label, body, {"": group.name} if site.standing(group) else {})


def _cluster(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    [cluster] = resources
    there = {"": cluster.name} if site.standing(cluster) else {}
    insights = cluster.properties.get("container_insights")
    settings = {"setting": Blocks(({"name": "containerInsights", "value": cast(str, insights)},))} if insights else {}
    yield Piece("aws_ecs_cluster", site.label, ours(site, name=cluster.name, tags=tags(site), **settings), there)
    providers = ours(
        site,
        cluster_name=Raw(f"aws_ecs_cluster.{site.label}.name"),
        capacity_providers=[
            aws_machines.named(site, name) for name in cast("tuple[str, ...]", cluster.properties["capacity_providers"])
        ],
        default_capacity_provider_strategy=_strategy(site, cluster.properties["default_strategy"]),
        **_left_alone(site),
    )
    yield Piece("aws_ecs_cluster_capacity_providers", site.label, providers, there)


def _left_alone(site: Site) -> Mapping[str, Blocks]:
    """ECS tells of the provider of managed machines among those of the cluster, which nobody can put there: Terraform
    would try to take it off each time (https://github.com/hashicorp/terraform-provider-aws/issues/46346).
    """
    ignored: Body = {"ignore_changes": [Raw("capacity_providers")]}
    return {"lifecycle": Blocks((ignored,))} if site.wanted(aws_managed.PROVIDER) else {}


def _strategy(site: Site, shares: Any) -> Blocks:
    rows = ({"capacity_provider": aws_machines.named(site, name), **share} for name, share in shares.items())
    return Blocks(tuple(rows))


def _task_definitions(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    """From the document that the role registers, with the roles as references. No tags: its labels are tags enough."""
    for definition in resources:
        document = cast("Mapping[str, Any]", definition.details["document"])
        body = ours(site, **_task(site, document))
        label = aws_network.label_of(site, definition.name)
        yield Piece("aws_ecs_task_definition", label, body, site.imported(definition))


def _task(site: Site, document: Mapping[str, Any]) -> Body:
    """Edges have no role of their own: they hold no login."""
    runtime, disk = document["runtimePlatform"], document.get("ephemeralStorage")
    roles = {"execution_role_arn": "executionRoleArn", "task_role_arn": "taskRoleArn"}
    system = {
        "operating_system_family": runtime["operatingSystemFamily"],
        "cpu_architecture": runtime["cpuArchitecture"],
    }
    return {
        "family": document["family"],
        "cpu": document["cpu"],
        "memory": document["memory"],
        "network_mode": document["networkMode"],
        "requires_compatibilities": document["requiresCompatibilities"],
        **{argument: _role_arn(site, document[key]) for argument, key in roles.items() if key in document},
        "container_definitions": _json(document["containerDefinitions"]),
        "runtime_platform": Blocks((system,)),
        "ephemeral_storage": Blocks(({"size_in_gib": disk["sizeInGiB"]},) if disk else ()),
        "placement_constraints": Blocks(tuple(document.get("placementConstraints", ()))),
        "volume": Blocks(tuple(aws_files.volume(site, each) for each in document["volumes"])),
    }


def _targets(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    [service] = resources
    life: Body = {"ignore_changes": [Raw("desired_count")], **aws_files.gate(site)}
    more = aws_names.registered(site, cast("Mapping[str, Any]", service.properties))
    kinds = NEEDED if aws_edges.SERVICE in site.kinds else (*NEEDED, *BEHIND_A_BALANCER)
    body = _service(site, service, site.label, depends_on=_made(site, kinds), **more, lifecycle=Blocks((life,)))
    yield Piece("aws_ecs_service", site.label, body, _standing(site, service), COUNT_NOTE)


def _edges(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    """After the targets, one of which has to answer before edges are ready. Their number is the spec's alone."""
    for service in resources:
        label = aws_network.label_of(site, service.name)
        first = [Raw(f"aws_ecs_service.{site.label}"), *_made(site, BEHIND_A_BALANCER)]
        body = _service(site, service, label, depends_on=first)
        yield Piece("aws_ecs_service", label, body, _standing(site, service))


def _service(site: Site, service: Resource, label: str, **more: Expression | Blocks) -> Body:
    wish = cast("Mapping[str, Any]", service.properties)
    deployment, network, standing = wish["deployment"], wish["network"], site.standing(service)
    place: Body = {
        "subnets": [aws_network.subnet_id(site, name) for name in network["subnets"]],
        "security_groups": [aws_network.group_id(site, name) for name in network["security_groups"]],
        "assign_public_ip": network["public_ip"],
    }
    return ours(
        site,
        name=service.name,
        cluster=Raw(f"aws_ecs_cluster.{site.label}.arn"),
        task_definition=Raw(f"aws_ecs_task_definition.{label}.arn"),
        desired_count=wish["desired_count"],
        deployment_minimum_healthy_percent=deployment["minimum_healthy_percent"],
        deployment_maximum_percent=deployment["maximum_percent"],
        propagate_tags=str(standing.details.get("propagate_tags") or "NONE") if standing else "SERVICE",
        tags=wish["tags"],
        capacity_provider_strategy=_strategy(site, wish["capacity_providers"]),
        deployment_circuit_breaker=Blocks(({"enable": deployment["breaker"], "rollback": deployment["rollback"]},)),
        network_configuration=Blocks((place,)),
        **aws_ingress.attached(site, wish),
        **more,
    )


def _standing(site: Site, service: Resource) -> Mapping[str, str]:
    return {"": f"{base_name(site.spec)}/{service.name}"} if site.standing(service) else {}


def _made(site: Site, types: tuple[str, ...]) -> list[Expression]:
    """What of those types comes before the targets' service, by reference."""
    kinds = takewhile(SERVICE.__ne__, site.kinds)
    made = (piece for kind in kinds for piece in MAKERS[kind](site, site.wanted(kind)))
    return [Raw(f"{piece.type}.{piece.label}") for piece in made if piece.type in types]


def _role_arn(site: Site, path: str) -> Raw:
    return Raw(f"aws_iam_role.{aws_network.label_of(site, path.rpartition('/')[2])}.arn")


def _json(value: Expression) -> Call:
    return Call("jsonencode", value)


MAKERS: Mapping[str, Maker] = {
    "aws.role": _roles,
    **aws_network.MAKERS,
    **aws_machines.MAKERS,
    **aws_files.MAKERS,
    **aws_names.MAKERS,
    aws_alb.TARGETS: aws_ingress.target_group,
    aws_alb.BALANCER: aws_ingress.balancer,
    "aws.log_group": _log_group,
    "aws.cluster": _cluster,
    "aws.task_definition": _task_definitions,
    SERVICE: _targets,
    aws_edges.DEFINITION: _task_definitions,
    aws_edges.SERVICE: _edges,
    "aws.scaling": aws_scaling.scaling,
}
