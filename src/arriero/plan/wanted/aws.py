"""What one region of AWS should hold: a network of the site's own, roles, logs, and an ECS service on Fargate.

Everything is named from the base `<service>-<site>`; `aws_network.py` has the network. What no Ansible module can set
is not wished for, else a plan would never be empty: ECS managed tags stay off.
"""

from __future__ import annotations

from collections.abc import Mapping

from arriero.plan.definition import definition_hash
from arriero.plan.model import RELEASE_TAG, Resource, SiteFacts, Value
from arriero.plan.wanted import (
    aws_alb,
    aws_capacity,
    aws_edges,
    aws_files,
    aws_gpu,
    aws_managed,
    aws_network,
    aws_scaling,
    aws_task,
    storage,
)
from arriero.plan.wanted.aws_network import base_name as base_name
from arriero.plan.wanted.aws_network import site_tags as site_tags
from arriero.spec import secret_values
from arriero.spec.image import ecr_region
from arriero.spec.model import ResolvedSite

# Roles come first and go last: IAM is global, so by their path a site is found that nothing else remembers.
KINDS: Mapping[str, str] = {
    "aws.role": "identity",
    aws_gpu.PROFILE: "identity",
    "aws.vpc": "network",
    "aws.internet_gateway": "network",
    "aws.subnet": "network",
    "aws.elastic_ip": "network",
    "aws.nat_gateway": "network",
    "aws.route_table": "network",
    "aws.security_group": "firewall",
    "aws.vpc_endpoint": "endpoints",
    aws_alb.TARGETS: "ingress",
    aws_alb.BALANCER: "ingress",
    aws_edges.NAMES: "names",
    "aws.file_system": "storage",
    "aws.log_group": "logs",
    aws_gpu.TEMPLATE: "machines",
    aws_gpu.GROUP: "machines",
    aws_gpu.PROVIDER: "machines",
    "aws.cluster": "cluster",
    aws_managed.PROVIDER: "managed",
    "aws.stored_models": "seed",
    "aws.task_definition": "service",
    "aws.service": "service",
    aws_edges.DEFINITION: "edges",
    aws_edges.SERVICE: "edges",
    "aws.scaling": "scaling",
}
# A task definition never changes: a difference means another revision, beside the ones that are there.
IMMUTABLE: Mapping[str, tuple[str, ...]] = {
    "aws.task_definition": ("*",),
    aws_edges.DEFINITION: ("*",),
    aws_alb.BALANCER: ("scheme",),
    aws_managed.PROVIDER: ("cluster", "capacity"),
}

EXECUTION_POLICY = "service-role/AmazonECSTaskExecutionRolePolicy"
PROTECTION_POLICY = "keep-from-scale-in"
SECRETS_POLICY = "read-secrets"


def definition(site: ResolvedSite) -> Mapping[str, Value]:
    """What a task is made from, without the labels that say which release it is."""
    return aws_task.normal_form(aws_task.document(site, {}))


def wanted(site: ResolvedSite, found: SiteFacts, release: int, count: int, digest: str) -> tuple[Resource, ...]:
    """The whole wish. Raises Refused where what stands can never become what is asked for."""
    service = found.find("aws.service")
    if service and service.properties.get("status") == "ACTIVE":
        aws_gpu.refuse_a_move(site, service.properties["capacity_providers"])
    network, subnets = aws_network.wanted(site, found), aws_network.target_subnets(site, found)
    files = aws_files.wanted(site, found, base_name(site), site_tags(site), subnets)
    before = aws_network.balancer_subnets(site, found)
    balancer = aws_alb.wanted(site, base_name(site), site_tags(site), before, tuple(subnets.values()), found)
    machines = _machines(site, tuple(subnets))
    names = aws_edges.names(site, base_name(site), site_tags(site))
    made = (*_roles(site), *network, *balancer, *names, *files, _log_group(site), *machines)
    labels = aws_task.labels(site, release, digest)
    scaling = aws_scaling.wanted(site, service_name(site, found, release), count, labels)
    return (*made, *_service(site, found, release, count, digest), *_edges(site, found), *scaling)


def notes(site: ResolvedSite) -> tuple[str, ...]:
    """What the plan says about this site because ECS modules can't do it, or do it by another way."""
    said = list[str]()
    said += aws_network.notes(site)
    said += aws_files.notes(site)
    said += aws_alb.notes(site)
    said += aws_capacity.notes(site)
    said += aws_gpu.notes(site)
    said += aws_managed.notes() if is_managed(site) else ()
    if site.metrics.is_billed:
        said.append(
            f"metrics.container_insights is {site.metrics.container_insights}: AWS bills each of its figures by the "
            "month, which is in no sum here, as their number goes by tasks and containers"
        )
    home = ecr_region(site.image)
    if home not in ("", site.region):
        said.append(
            f"its image is in ECR of {home} alone: while that region is lost, no target can start here; "
            f"image.replicate keeps a copy in {site.region}"
        )
    if has_more_disk(site):
        said.append(
            f"size.storage: {site.size.storage} is more than the {aws_task.INCLUDED_STORAGE_GIB}GiB that Fargate "
            "includes, which community.aws.ecs_taskdefinition can't express: the task definition is registered by "
            "arriero.fleet.ecs_task_definition"
        )
    return tuple(said)


def has_more_disk(site: ResolvedSite) -> bool:
    return site.gpu is None and int(site.size.storage.in_gib) != aws_task.INCLUDED_STORAGE_GIB


def needs_own_module(site: ResolvedSite) -> bool:
    """Whether the task definition holds something that `community.aws.ecs_taskdefinition` has no parameter for."""
    return has_more_disk(site) or storage.is_used(site) or site.gpu is not None


def is_managed(site: ResolvedSite) -> bool:
    """Whether ECS keeps the site's machines by itself."""
    return site.gpu is not None and site.gpu.is_managed


def log_group_name(site: ResolvedSite) -> str:
    return f"/arriero/{site.service}/{site.name}"


def service_name(site: ResolvedSite, found: SiteFacts, release: int) -> str:
    """The service that runs the release already, or is to: with a canary one beside the one that serves, named by its
    release, so that both stand until the trial is over; else the one that stands. One that can't become what is asked
    for gives way to another.
    """
    standing = sorted((r for r in found.resources if r.kind == "aws.service"), key=_release_of)
    own = [r.name for r in standing if _release_of(r) == release and not aws_alb.must_go(site, r)]
    if own or not standing:
        return own[-1] if own else base_name(site)
    # A way back needs no trial: the service that stands goes on with the former revision, under its name.
    is_trial = site.deploy.is_canary and release > _release_of(standing[-1])
    is_beside = is_trial or aws_alb.must_go(site, standing[-1])
    taken = [service.name for service in standing]
    fresh = [name for name in (f"{base_name(site)}-r{release}", base_name(site)) if name not in taken]
    return fresh[0] if is_beside and fresh else standing[-1].name


def removal_reasons(
    site: ResolvedSite,
    found: SiteFacts,
    release: int,
    count: int,  # noqa: ARG001 - the contract of plan.wanted
    digest: str,  # noqa: ARG001
) -> Mapping[str, str]:
    """Why a service goes, by its name: another one takes its place; and why what scales it goes, by the same name."""
    name = service_name(site, found, release)
    services = [r for r in found.resources if r.kind == "aws.service" and r.name != name]
    here = {} if site.scale_by == "cloud" else {name: "the spec leaves the count to somebody else than the cloud"}
    return {
        **{r.name: f"it runs release {_release_of(r)}, and release {release} takes its place" for r in services},
        **here,
    }


def _release_of(resource: Resource) -> int:
    release = resource.tags.get(RELEASE_TAG, "")
    return int(release) if release.isdecimal() else 0


def has_public_tasks(site: ResolvedSite) -> bool:
    """ECS gives tasks on EC2 machines no public address; the machine has one."""
    return site.gpu is None and not site.network.is_private


def partition(region: str) -> str:
    """The first part of an ARN after `arn`: China and GovCloud are clouds of their own."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def trust() -> Mapping[str, Value]:
    """Who may take the roles: ECS, for its tasks."""
    principal = {"Service": "ecs-tasks.amazonaws.com"}
    return {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}


def own_policies(site: ResolvedSite) -> Mapping[str, Value]:
    """What runs inside the task may do at AWS: its sidecar keeps the task from being scaled in, it reads the storage if
    it has models from there, and nothing else.
    """
    if not site.sidecar:
        return {}
    protect: Mapping[str, Value] = {
        "Effect": "Allow",
        "Action": ("ecs:GetTaskProtection", "ecs:UpdateTaskProtection"),
        "Resource": f"arn:*:ecs:{site.region}:*:task/{base_name(site)}/*",
    }
    return {PROTECTION_POLICY: {"Version": "2012-10-17", "Statement": (protect,)}, **aws_files.reading(site)}


def execution_policies(site: ResolvedSite) -> Mapping[str, Value]:
    """What ECS may read for the containers before they start: the secrets that the spec names, and no others."""
    arns = [*site.environment_from.values(), *([site.registry_login] if site.registry_login else [])]
    arns += [aws_edges.keys(site)] if site.edges else []
    found: list[Value] = []
    for service, action in (("secretsmanager", "secretsmanager:GetSecretValue"), ("ssm", "ssm:GetParameters")):
        kept = tuple(sorted({secret_values.whole(arn) for arn in arns if secret_values.service_of(arn) == service}))
        if kept:
            found.append({"Effect": "Allow", "Action": action, "Resource": kept})
    return {SECRETS_POLICY: {"Version": "2012-10-17", "Statement": tuple(found)}} if found else {}


def roles_policies(site: ResolvedSite) -> Mapping[str, Mapping[str, Value]]:
    """The inline policies of the roles that containers have, by the end of the role's name."""
    return {"task": own_policies(site), **({"seed": aws_files.writing(site)} if storage.is_used(site) else {})}


def _roles(site: ResolvedSite) -> tuple[Resource, ...]:
    """The execution role pulls the image and writes logs; the task role is what the containers may do."""
    own = ((f"{base_name(site)}-{end}", (), policies) for end, policies in roles_policies(site).items())
    rows: tuple[tuple[str, tuple[Value, ...], Mapping[str, Value]], ...] = (
        (f"{base_name(site)}-exec", (EXECUTION_POLICY,), execution_policies(site)),
        *own,
    )
    made = (
        Resource(
            "aws.role",
            name,
            {"path": aws_task.role_path(site), "trust": (trust(),), "policies": attached, "inline_policies": own},
            tags=site_tags(site),
        )
        for name, attached, own in rows
    )
    of_machines = aws_managed.roles if is_managed(site) else aws_gpu.role
    machines = of_machines(base_name(site), aws_task.role_path(site), site_tags(site)) if site.gpu else ()
    return (*made, *machines)


def _machines(site: ResolvedSite, subnets: tuple[str, ...]) -> tuple[Resource, ...]:
    of_machines = aws_managed.wanted if is_managed(site) else aws_gpu.wanted
    return of_machines(site, base_name(site), site_tags(site), subnets) if site.gpu else ()


def _log_group(site: ResolvedSite) -> Resource:
    return Resource(
        "aws.log_group", log_group_name(site), {"retention_days": site.logs.retention_days}, tags=site_tags(site)
    )


def _service(site: ResolvedSite, found: SiteFacts, release: int, count: int, digest: str) -> tuple[Resource, ...]:
    base, labels = base_name(site), aws_task.labels(site, release, digest)
    document = aws_task.document(site, labels)
    return (
        Resource("aws.cluster", base, _cluster_properties(site), tags=site_tags(site)),
        Resource(
            "aws.task_definition",
            base,
            aws_task.normal_form(document),
            tags=labels,
            details={"document": document},
        ),
        Resource(
            "aws.service",
            service_name(site, found, release),
            _service_properties(site, found, count, labels),
            tags=labels,
        ),
    )


def _cluster_properties(site: ResolvedSite) -> Mapping[str, Value]:
    """Container Insights only where the spec says something of it: a new cluster has what the account's default is."""
    insights = site.metrics.container_insights
    return {
        "capacity_providers": tuple(sorted(aws_capacity.providers(site))),
        "default_strategy": {"FARGATE": {"base": 0, "weight": 1}},
        **({"container_insights": insights} if insights else {}),
    }


def _service_properties(
    site: ResolvedSite, found: SiteFacts, count: int, labels: Mapping[str, str]
) -> Mapping[str, Value]:
    return {
        **aws_task.service(count, aws_network.target_subnets(site, found), base_name(site), has_public_tasks(site)),
        "capacity_providers": aws_capacity.strategy(site),
        "load_balancers": aws_alb.attachments(site, base_name(site)),
        "grace_seconds": aws_alb.grace_seconds(site),
        **aws_edges.registries(site, base_name(site)),
        "tags": dict(labels),
    }


def _edges(site: ResolvedSite, found: SiteFacts) -> tuple[Resource, ...]:
    if site.edges is None:
        return ()
    base = base_name(site)
    digest = definition_hash(aws_task.normal_form(aws_edges.document(site, base, {})))
    labels = aws_edges.labels(site, digest)
    document = aws_edges.document(site, base, labels)
    subnets = tuple(aws_network.target_subnets(site, found))
    definition = aws_task.normal_form(document)
    return (
        Resource(aws_edges.DEFINITION, aws_edges.name(base), definition, tags=labels, details={"document": document}),
        Resource(aws_edges.SERVICE, aws_edges.name(base), aws_edges.service(site, base, subnets, labels), tags=labels),
    )
