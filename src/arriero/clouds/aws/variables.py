"""From a plan to the variables of the role `aws_site`; `meta/argument_specs.yml` of the role says what each is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, cast

from arriero.clouds.aws import edge_variables, machine_variables, network_variables
from arriero.clouds.aws.patience import PATIENCE
from arriero.clouds.aws.service_variables import service_found, with_role_arns
from arriero.events import Json
from arriero.plan.model import Resource, SiteFacts, SitePlan, Step
from arriero.plan.wanted import aws as wish
from arriero.plan.wanted import (
    aws_capacity,
    aws_edges,
    aws_files,
    aws_managed,
    aws_network,
    aws_scaling,
    aws_task,
    storage,
)
from arriero.spec.model import ResolvedSite

LEAST_WAIT_SECONDS = 60
REMOVAL_WAIT_SECONDS = 300


def site_variables(site: ResolvedSite, plan: SitePlan, found: SiteFacts) -> dict[str, Json]:
    """What the role needs to carry out the plan's steps; ids of what stands, so that no step has to look for them."""
    retired = {(change.kind, change.name) for change in plan.changes if change.action == "remove"}
    return {
        "aws_site_steps": [step.name for step in plan.steps],
        "aws_site_name": wish.base_name(site),
        "aws_site_region": site.region,
        "aws_site_tags": dict(wish.site_tags(site)),
        **network_variables.network(site, plan, found),
        **_identity(site, found),
        **_storage(site, plan, found),
        **network_variables.ingress(site, plan, found),
        "aws_site_log_group": f"/arriero/{site.service}/{site.name}",
        "aws_site_retention_days": site.logs.retention_days,
        "aws_site_capacity_providers": list(aws_capacity.providers(site)),
        "aws_site_container_insights": [each] if (each := site.metrics.container_insights) else [],
        "aws_site_strategy": [
            {"capacity_provider": provider, "base": cast(int, shares["base"]), "weight": cast(int, shares["weight"])}
            for provider, shares in aws_capacity.strategy(site).items()
        ],
        **machine_variables.machines(plan, found),
        **_service(site, plan, found),
        **edge_variables.edges(site, plan, found),
        "aws_site_scaling": _scaling(site, plan, found),
        "aws_site_gone": _gone([r for r in found.resources if (r.kind, r.name) in retired]),
        **PATIENCE.variables(int(site.deploy.ready_within)),
    }


def removal_variables(found: SiteFacts, purge: bool) -> dict[str, Json]:
    """What `tasks/remove.yml` needs: exactly what was found with the site's tags, in lists by kind.

    With `purge` the storage of models goes, too; without it stays, and is only taken out of the network that goes.
    """
    gone = [*found.resources, *(found.kept if purge else ())]
    return {
        "aws_site_region": found.region,
        "aws_site_ready_seconds": REMOVAL_WAIT_SECONDS,
        "aws_site_gone": {**_gone(gone), **_stand_ins(found), "storage_state": "absent" if purge else "detached"},
        **PATIENCE.variables(),
    }


def cleaning_variables(
    site: ResolvedSite, plan: SitePlan, found: SiteFacts, environment: Mapping[str, str], report: str
) -> dict[str, Json]:
    """What the role needs for the job at the site's storage alone; `report` is the file for what it tells."""
    asked = replace(plan, steps=(Step(site.name, storage.CLEAN_STEP, ()),))
    document = with_role_arns(aws_task.cleaning(site, environment), site, found)
    cleanings: list[Json] = [{"document": document, "report": report}]
    return {**site_variables(site, asked, found), "aws_site_cleanings": cleanings}


def _identity(site: ResolvedSite, found: SiteFacts) -> dict[str, Json]:
    own = wish.roles_policies(site)
    base, path = wish.base_name(site), aws_task.role_path(site)
    prefix = f"arn:{wish.partition(site.region)}:iam::aws:policy/"
    of_machines = machine_variables.roles(site, prefix)
    ends = ("exec", *own, *(name.removeprefix(f"{base}-") for name, _, _ in of_machines))
    roles = [r for end in ends if (r := found.find("aws.role", f"{wish.base_name(site)}-{end}"))]
    held = [
        (r.name, *each) for r in roles for each in cast("Mapping[str, Any]", r.properties["inline_policies"]).items()
    ]
    having = {"infra": aws_managed.infrastructure_policies(base, path)} if wish.is_managed(site) else {}
    inline = {"exec": wish.execution_policies(site), **own, **having}
    stray = [(role, policy) for role, policy, _ in held if policy not in inline.get(role.rpartition("-")[2], {})]
    trust = _trust(wish.trust())
    free: list[Json] = [{"name": f"{wish.base_name(site)}-{end}", "policies": [], "trust": trust} for end in own]
    free += [{"name": name, "policies": list(theirs), "trust": _trust(whom)} for name, theirs, whom in of_machines]
    return {
        "aws_site_role_path": path,
        "aws_site_roles": [
            {"name": f"{wish.base_name(site)}-exec", "policies": [f"{prefix}{wish.EXECUTION_POLICY}"], "trust": trust},
            *free,
        ],
        "aws_site_own_policies": [
            {"role": f"{wish.base_name(site)}-{end}", "policy": name, "document": cast(Json, document)}
            for end, documents in inline.items()
            for name, document in documents.items()
        ],
        "aws_site_stray_policies": [{"role": role, "policy": policy} for role, policy in stray],
    }


def _trust(statement: Mapping[str, Any]) -> Json:
    return {"Version": "2012-10-17", "Statement": [cast(Json, statement)]}


def _storage(site: ResolvedSite, plan: SitePlan, found: SiteFacts) -> dict[str, Json]:
    """`aws_site_storages` is the file system to have, if one is asked for; `aws_site_seedings` the job that fills it,
    if something is missing there.
    """
    system = found.find(aws_files.KIND)
    is_used = storage.is_used(site)
    lacks = any(change.kind == aws_files.MODELS_KIND for change in plan.changes)
    job = {
        "document": cast(Json, with_role_arns(aws_task.seeding(site), site, found)),
        "mark": storage.mark(storage.stored(site)),
    }
    group = aws_files.group_name(wish.base_name(site))
    return {
        "aws_site_storages": [
            {
                "root": aws_files.ROOT,
                "user": storage.USER,
                "throughput": site.storage.mode,
                "provisioned_mibps": site.storage.provisioned_mibps or 0,
                "group": group,
                "port": aws_files.NFS,
                "sources": list(aws_network.target_subnets(site, found).values()),
            }
        ]
        if is_used
        else [],
        "aws_site_seedings": [cast(Json, job)] if is_used and lacks else [],
        "aws_site_seed_seconds": storage.SEED_SECONDS,
        "aws_site_files_group_id": _id(found, "aws.security_group", group),
        "aws_site_file_system_id": system.id if system else "",
        "aws_site_access_point_id": cast(str, system.details["access_point_id"]) if system else "",
    }


def _service(site: ResolvedSite, plan: SitePlan, found: SiteFacts) -> dict[str, Json]:
    """`aws_site_registrations` names the task file that registers the task definition, if the plan asks for it.

    A revision that was tampered with carries the wanted labels, so the module would take it for the wanted one: then,
    and only then, a new revision is made whatever is there.
    """
    wanted = next(resource for resource in plan.wanted if resource.kind == "aws.task_definition")
    service = next(resource for resource in plan.wanted if resource.kind == "aws.service")
    running = found.find("aws.task_definition")
    is_named = not plan.revision and any(change.kind == "aws.task_definition" for change in plan.changes)
    way = "register_with_storage" if wish.needs_own_module(site) else "register"
    return {
        "aws_site_registrations": [way] if is_named else [],
        "aws_site_register_anew": is_named and running is not None and dict(running.tags) == dict(wanted.tags),
        "aws_site_definition": with_role_arns(cast("Mapping[str, Any]", wanted.details["document"]), site, found),
        "aws_site_definition_arn": _revision(plan, running),
        "aws_site_service": service.name,
        "aws_site_service_tags": dict(wanted.tags),
        "aws_site_service_found": service_found(service, found.find("aws.service", service.name)),
        "aws_site_count": plan.count,
        "aws_site_ready_seconds": max(LEAST_WAIT_SECONDS, int(site.deploy.ready_within)),
    }


def _scaling(site: ResolvedSite, plan: SitePlan, found: SiteFacts) -> dict[str, Json]:
    """What the cloud's own scaling is to hold for the service; without policies where nobody asks for any."""
    wanted = next((resource for resource in plan.wanted if resource.kind == aws_scaling.KIND), None)
    if wanted is None:
        return {"resource": "", "min": 0, "max": 0, "suspended": {}, "policies": [], "stray": [], "scheduled": []}
    wish_now = cast("Mapping[str, Any]", wanted.properties)
    there = found.find(aws_scaling.KIND, wanted.name)
    held = cast("Mapping[str, Any]", there.properties["policies"]) if there else {}
    prefixed = {name: aws_scaling.policy_name(wanted.name, name) for name in {**wish_now["policies"], **held}}
    return {
        "resource": aws_scaling.resource_id(wish.base_name(site), wanted.name),
        "min": wish_now["min"],
        "max": wish_now["max"],
        "suspended": {flag: word in wish_now["suspended"] for flag, word in aws_scaling.SUSPENDABLE.items()},
        "policies": [
            {"name": prefixed[name], "type": policy["type"], "tracking": aws_scaling.configuration(policy)}
            for name, policy in wish_now["policies"].items()
        ],
        # One of ours has lost its prefix by reading; somebody else's may have had none.
        "stray": [each for name in held if name not in wish_now["policies"] for each in (prefixed[name], name)],
        "scheduled": [
            {"name": aws_scaling.policy_name(wanted.name, name), **cast("dict[str, Json]", action)}
            for name, action in wish_now["scheduled"].items()
        ],
    }


def _revision(plan: SitePlan, running: Resource | None) -> str:
    """The ARN of the revision that is to run, where none is to be registered: a former one, or the one that runs."""
    revisions = cast("tuple[str, ...]", running.details["revisions"]) if running else ()
    former = next((arn for arn in revisions if plan.revision and arn.endswith(f"/{plan.revision}")), "")
    return former or (str(running.details["arn"]) if running else "")


def _stand_ins(found: SiteFacts) -> dict[str, Json]:
    """A cluster is not removed while a task runs there, of a service or not."""
    cluster = next((r.name for r in found.resources if r.kind == "aws.cluster"), "")
    standing = [t.id for t in found.targets if t.stands_in and t.state not in ("stopped", "draining")]
    return {"stand_ins": [{"cluster": cluster, "task": task} for task in standing]}


def _gone(resources: Collection[Resource]) -> dict[str, Json]:
    """Names and ids by kind, as the modules that remove them ask for them."""

    def of(kind: str) -> list[Resource]:
        return [resource for resource in resources if resource.kind == f"aws.{kind}"]

    files = {"file_systems": [r.name for r in of("file_system")], "storage_state": "detached"}
    definitions = [*of("task_definition"), *of("edge_definition")]
    revisions = [arn for r in definitions for arn in cast("tuple[str, ...]", r.details["revisions"])]
    kinds = ("cluster", "role", "log_group", "load_balancer", "target_group")
    names = {f"{kind}s": [r.name for r in of(kind)] for kind in kinds}
    kinds = ("security_group", "vpc", "nat_gateway", "vpc_endpoint", "elastic_ip")
    ids = {f"{kind}s": [r.id for r in _referring_first(of(kind))] for kind in kinds}
    return {
        **{key: cast(Json, value) for key, value in {**names, **ids, **files}.items()},
        **machine_variables.gone(resources),
        "stand_ins": [],
        "services": [{"name": r.name, "cluster": r.id.split("/")[-2]} for r in [*of("service"), *of("edges")]],
        "zones": [r.id for r in of("names")],
        "task_definitions": cast(Json, revisions),
        "scalings": [r.id for r in of("scaling")],
        "subnets": [{"cidr": cast(str, r.properties["cidr"]), "vpc_id": _vpc(r)} for r in of("subnet")],
        "route_tables": [{"id": r.id, "vpc_id": _vpc(r)} for r in of("route_table")],
        "internet_gateways": [{"id": r.id, "vpc_id": _vpc(r)} for r in of("internet_gateway")],
    }


def _referring_first(resources: Collection[Resource]) -> list[Resource]:
    """EC2 keeps a group that another one's rules name. The targets' group, whose name the others' go on from, names
    theirs; the edges' names the load balancer's.
    """
    end = aws_edges.name("")
    return sorted(resources, key=lambda each: (len(each.name.removesuffix(end)), each.name.endswith(end)))


def _vpc(resource: Resource) -> str:
    return str(resource.details["vpc_id"])


def _id(found: SiteFacts, kind: str, name: str | None = None) -> str:
    resource = found.find(kind, name)
    return resource.id if resource else ""
