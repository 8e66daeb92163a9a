"""From a plan to the variables of the role `aws_site`; `meta/argument_specs.yml` of the role says what each is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

from arriero.clouds.aws.patience import PATIENCE
from arriero.events import Json
from arriero.plan.model import Resource, SiteFacts, SitePlan
from arriero.plan.wanted import aws as wish
from arriero.plan.wanted import aws_task
from arriero.spec.model import ResolvedSite

LEAST_WAIT_SECONDS = 60
REMOVAL_WAIT_SECONDS = 300
# Of a service's properties, those that `ecs_service` does not compare.
NOT_COMPARED = ("capacity_providers", "deployment", "network")


def site_variables(site: ResolvedSite, plan: SitePlan, found: SiteFacts) -> dict[str, Json]:
    """What the role needs to carry out the plan's steps; ids of what stands, so that no step has to look for them."""
    retired = {(change.kind, change.name) for change in plan.changes if change.action == "remove"}
    return {
        "aws_site_steps": [step.name for step in plan.steps],
        "aws_site_name": wish.base_name(site),
        "aws_site_region": site.region,
        "aws_site_tags": dict(wish.site_tags(site)),
        **_network(site, plan, found),
        **_identity(site, found),
        "aws_site_log_group": f"/arriero/{site.service}/{site.name}",
        "aws_site_retention_days": site.logs.retention_days,
        "aws_site_capacity_providers": list(wish.CAPACITY_PROVIDERS),
        **_service(site, plan, found),
        "aws_site_gone": _gone([r for r in found.resources if (r.kind, r.name) in retired]),
        **PATIENCE.variables(int(site.deploy.ready_within)),
    }


def removal_variables(found: SiteFacts, purge: bool) -> dict[str, Json]:  # noqa: ARG001 - the contract of clouds
    """What `tasks/remove.yml` needs: exactly what was found with the site's tags, in lists by kind.

    `purge` changes nothing here yet: a site keeps no model storage and no registry at AWS.
    """
    return {
        "aws_site_region": found.region,
        "aws_site_ready_seconds": REMOVAL_WAIT_SECONDS,
        "aws_site_gone": _gone(found.resources),
        **PATIENCE.variables(),
    }


def _network(site: ResolvedSite, plan: SitePlan, found: SiteFacts) -> dict[str, Json]:
    subnets = [resource for resource in plan.wanted if resource.kind == "aws.subnet"]
    standing = [found.find("aws.subnet", subnet.name) for subnet in subnets]
    return {
        "aws_site_cidr": site.network.cidr,
        "aws_site_subnets": [
            {"name": r.name, "cidr": cast(str, r.properties["cidr"]), "zone": cast(str, r.properties["zone"])}
            for r in subnets
        ],
        "aws_site_port": aws_task.PORT,
        "aws_site_ingress_sources": list(wish.ingress_sources(site)),
        "aws_site_egress_ports": list(wish.egress_ports(site)),
        "aws_site_vpc_id": _id(found, "aws.vpc"),
        "aws_site_route_table_id": _id(found, "aws.route_table"),
        "aws_site_subnet_ids": [subnet.id for subnet in standing if subnet],
        "aws_site_security_group_id": _id(found, "aws.security_group", wish.base_name(site)),
    }


def _identity(site: ResolvedSite, found: SiteFacts) -> dict[str, Json]:
    roles = [r for r in (found.find("aws.role", f"{wish.base_name(site)}-{end}") for end in ("exec", "task")) if r]
    own = wish.own_policies(site)
    held = [
        (r.name, *each) for r in roles for each in cast("Mapping[str, Any]", r.properties["inline_policies"]).items()
    ]
    stray = [(role, policy) for role, policy, _ in held if policy not in own or not role.endswith("-task")]
    prefix = f"arn:{wish.partition(site.region)}:iam::aws:policy/"
    return {
        "aws_site_role_path": aws_task.role_path(site),
        "aws_site_trust": {"Version": "2012-10-17", "Statement": [cast(Json, wish.trust())]},
        "aws_site_roles": [
            {"name": f"{wish.base_name(site)}-exec", "policies": [f"{prefix}{wish.EXECUTION_POLICY}"]},
            {"name": f"{wish.base_name(site)}-task", "policies": []},
        ],
        "aws_site_own_policies": [
            {"role": f"{wish.base_name(site)}-task", "policy": name, "document": cast(Json, document)}
            for name, document in own.items()
        ],
        "aws_site_stray_policies": [{"role": role, "policy": policy} for role, policy in stray],
    }


def _service(site: ResolvedSite, plan: SitePlan, found: SiteFacts) -> dict[str, Json]:
    """`aws_site_registrations` names the task file that registers the task definition, if the plan asks for it.

    A revision that was tampered with carries the wanted labels, so the module would take it for the wanted one: then,
    and only then, a new revision is made whatever is there.
    """
    wanted = next(resource for resource in plan.wanted if resource.kind == "aws.task_definition")
    running = found.find("aws.task_definition")
    is_named = not plan.revision and any(change.kind == "aws.task_definition" for change in plan.changes)
    way = "register_with_storage" if wish.needs_own_module(site) else "register"
    return {
        "aws_site_registrations": [way] if is_named else [],
        "aws_site_register_anew": is_named and running is not None and dict(running.tags) == dict(wanted.tags),
        "aws_site_definition": _with_role_arns(cast("Mapping[str, Any]", wanted.details["document"]), site, found),
        "aws_site_definition_arn": _revision(plan, running),
        "aws_site_service": next(resource.name for resource in plan.wanted if resource.kind == "aws.service"),
        "aws_site_service_tags": dict(wanted.tags),
        "aws_site_service_found": _service_found(plan, found),
        "aws_site_count": plan.count,
        "aws_site_ready_seconds": max(LEAST_WAIT_SECONDS, int(site.deploy.ready_within)),
    }


def _revision(plan: SitePlan, running: Resource | None) -> str:
    """The ARN of the revision that is to run, where none is to be registered: a former one, or the one that runs."""
    revisions = cast("tuple[str, ...]", running.details["revisions"]) if running else ()
    former = next((arn for arn in revisions if plan.revision and arn.endswith(f"/{plan.revision}")), "")
    return former or (str(running.details["arn"]) if running else "")


def _service_found(plan: SitePlan, found: SiteFacts) -> dict[str, Json]:
    """What `ecs_service` can't find out by itself. A new service hands its tags on; one that stands keeps its way."""
    wanted = next(resource for resource in plan.wanted if resource.kind == "aws.service")
    there = found.find("aws.service", wanted.name)
    if there is None or there.properties["status"] != "ACTIVE":
        return {"is_there": False, "differs": False, "has_failed": False, "propagate_tags": "SERVICE"}
    return {
        "is_there": True,
        "differs": any(there.properties[name] != wanted.properties[name] for name in NOT_COMPARED),
        "has_failed": there.properties["rollout"] == "failed",
        "propagate_tags": cast(str, there.details["propagate_tags"]),
    }


def _with_role_arns(document: Mapping[str, Any], site: ResolvedSite, found: SiteFacts) -> dict[str, Json]:
    prefix = f"arn:{wish.partition(site.region)}:iam::{found.account}:role"
    roles = {key: f"{prefix}{document[key]}" for key in ("executionRoleArn", "taskRoleArn")}
    return {**document, **roles}


def _gone(resources: Collection[Resource]) -> dict[str, Json]:
    """Names and ids by kind, as the modules that remove them ask for them."""

    def of(kind: str) -> list[Resource]:
        return [resource for resource in resources if resource.kind == f"aws.{kind}"]

    revisions = [arn for r in of("task_definition") for arn in cast("tuple[str, ...]", r.details["revisions"])]
    names = {f"{kind}s": [r.name for r in of(kind)] for kind in ("cluster", "role", "log_group")}
    ids = {f"{kind}s": [r.id for r in of(kind)] for kind in ("security_group", "vpc")}
    return {
        **{key: cast(Json, value) for key, value in {**names, **ids}.items()},
        "services": [{"name": r.name, "cluster": r.id.split("/")[-2]} for r in of("service")],
        "task_definitions": cast(Json, revisions),
        "subnets": [{"cidr": cast(str, r.properties["cidr"]), "vpc_id": _vpc(r)} for r in of("subnet")],
        "route_tables": [{"id": r.id, "vpc_id": _vpc(r)} for r in of("route_table")],
        "internet_gateways": [{"id": r.id, "vpc_id": _vpc(r)} for r in of("internet_gateway")],
    }


def _vpc(resource: Resource) -> str:
    return str(resource.details["vpc_id"])


def _id(found: SiteFacts, kind: str, name: str | None = None) -> str:
    resource = found.find(kind, name)
    return resource.id if resource else ""
