"""An AWS site in the words of the provider hashicorp/aws.

What a plan compares as a whole (a role's policies) is owned as a whole here too, by the `_exclusive` resources of IAM.
Descriptions are those that the role `aws_site` gives, for a role with another one would be made anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import takewhile
from typing import Any, cast

from arriero.pipeline.terraform import aws_files, aws_ingress, aws_machines, aws_network, aws_scaling
from arriero.pipeline.terraform.aws_network import ours, tags
from arriero.pipeline.terraform.hcl import Blocks, Call, Expression, Raw
from arriero.pipeline.terraform.piece import Maker, Piece, Site
from arriero.plan.model import Resource
from arriero.plan.wanted import aws_alb
from arriero.plan.wanted.aws import base_name, partition

SERVICE = "aws.service"
# A task needs these from its first moment, and no argument of the service leads to them: made before it, gone after it.
NEEDED = (
    "aws_iam_role_policy_attachment",
    "aws_iam_role_policy",
    "aws_route_table_association",
    "aws_nat_gateway",
    "aws_vpc_endpoint",
    "aws_lb_listener",
    "aws_wafv2_web_acl_association",
    "aws_cloudwatch_log_group",
    "aws_ecs_cluster_capacity_providers",
    "aws_efs_mount_target",
)
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
    )
    yield Piece("aws_ecs_cluster_capacity_providers", site.label, providers, there)


def _strategy(site: Site, shares: Any) -> Blocks:
    rows = ({"capacity_provider": aws_machines.named(site, name), **share} for name, share in shares.items())
    return Blocks(tuple(rows))


def _task_definition(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    """From the document that the role registers, with the roles as references. No tags: its labels are tags enough."""
    [definition] = resources
    document = cast("Mapping[str, Any]", definition.details["document"])
    runtime, disk = document["runtimePlatform"], document.get("ephemeralStorage")
    body = ours(
        site,
        family=document["family"],
        cpu=document["cpu"],
        memory=document["memory"],
        network_mode=document["networkMode"],
        requires_compatibilities=document["requiresCompatibilities"],
        execution_role_arn=_role_arn(site, document["executionRoleArn"]),
        task_role_arn=_role_arn(site, document["taskRoleArn"]),
        container_definitions=_json(document["containerDefinitions"]),
        runtime_platform=Blocks(
            (
                {
                    "operating_system_family": runtime["operatingSystemFamily"],
                    "cpu_architecture": runtime["cpuArchitecture"],
                },
            )
        ),
        ephemeral_storage=Blocks(({"size_in_gib": disk["sizeInGiB"]},) if disk else ()),
        placement_constraints=Blocks(tuple(document.get("placementConstraints", ()))),
        volume=Blocks(tuple(aws_files.volume(site, each) for each in document["volumes"])),
    )
    yield Piece("aws_ecs_task_definition", site.label, body, site.imported(definition))


def _service(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    [service] = resources
    wish = cast("Mapping[str, Any]", service.properties)
    deployment, network, standing = wish["deployment"], wish["network"], site.standing(service)
    body = ours(
        site,
        name=service.name,
        cluster=Raw(f"aws_ecs_cluster.{site.label}.arn"),
        task_definition=Raw(f"aws_ecs_task_definition.{site.label}.arn"),
        desired_count=wish["desired_count"],
        deployment_minimum_healthy_percent=deployment["minimum_healthy_percent"],
        deployment_maximum_percent=deployment["maximum_percent"],
        propagate_tags=str(standing.details.get("propagate_tags") or "NONE") if standing else "SERVICE",
        tags=wish["tags"],
        depends_on=_needed(site),
        capacity_provider_strategy=_strategy(site, wish["capacity_providers"]),
        deployment_circuit_breaker=Blocks(({"enable": deployment["breaker"], "rollback": deployment["rollback"]},)),
        network_configuration=Blocks(
            (
                {
                    "subnets": [aws_network.subnet_id(site, name) for name in network["subnets"]],
                    "security_groups": [Raw(f"aws_security_group.{site.label}.id")],
                    "assign_public_ip": network["public_ip"],
                },
            )
        ),
        lifecycle=Blocks(({"ignore_changes": [Raw("desired_count")], **aws_files.gate(site)},)),
        **aws_ingress.attached(site, wish),
    )
    there = {"": f"{base_name(site.spec)}/{service.name}"} if standing else {}
    yield Piece("aws_ecs_service", site.label, body, there, COUNT_NOTE)


def _needed(site: Site) -> list[Expression]:
    kinds = takewhile(SERVICE.__ne__, dict.fromkeys(resource.kind for resource in site.plan.wanted))
    made = (piece for kind in kinds for piece in MAKERS[kind](site, site.wanted(kind)))
    return [Raw(f"{piece.type}.{piece.label}") for piece in made if piece.type in NEEDED]


def _role_arn(site: Site, path: str) -> Raw:
    return Raw(f"aws_iam_role.{aws_network.label_of(site, path.rpartition('/')[2])}.arn")


def _json(value: Expression) -> Call:
    return Call("jsonencode", value)


MAKERS: Mapping[str, Maker] = {
    "aws.role": _roles,
    **aws_network.MAKERS,
    **aws_machines.MAKERS,
    **aws_files.MAKERS,
    aws_alb.TARGETS: aws_ingress.target_group,
    aws_alb.BALANCER: aws_ingress.balancer,
    "aws.log_group": _log_group,
    "aws.cluster": _cluster,
    "aws.task_definition": _task_definition,
    SERVICE: _service,
    "aws.scaling": aws_scaling.scaling,
}
