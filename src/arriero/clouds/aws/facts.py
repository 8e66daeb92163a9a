"""What an AWS site holds, read side by side: a first round of all calls, and a second for what needs an id."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor

from arriero.clouds.aws import autoscaling, balancing, ecs, files, identity, machines, naming, network, tasks
from arriero.clouds.aws.clients import HOME_REGION, Clients, clients
from arriero.clouds.aws.errors import door
from arriero.errors import Problem
from arriero.plan.model import Resource, SiteFacts, SiteRef, TargetFacts
from arriero.plan.wanted import aws_gpu

_THREADS = 12


def account() -> str:
    """The account that the credentials lead to, as AWS itself names it. Raises CloudError."""
    with door(""):
        return _account(clients())


def read_site(ref: SiteRef) -> SiteFacts:
    """Everything of the site that carries its tags, and its tasks. Raises CloudError with a remedy.

    A thing that must have the site's name and carries other tags is a problem of the site: it is somebody else's.
    """
    with door(ref.site, ref.region), ThreadPoolExecutor(_THREADS, thread_name_prefix="aws") as pool:
        made = clients()
        ec2, ecs_client = made.get("ec2", ref.region), made.get("ecs", ref.region)
        login = pool.submit(_account, made)
        targets = pool.submit(tasks.read, ecs_client, ref, pool)
        services = pool.submit(ecs.read_services, ecs_client, ref)
        storage = pool.submit(files.read, made.get("efs", ref.region), ref)
        balancers = pool.submit(balancing.read, made, ref)
        readers = [pool.submit(read) for read in _readers(made, ref)]
        network_found = network.read(ec2, ref, pool)
        running = services.result()
        zone = naming.read(made, ref, network_found.resources)
        definitions = ecs.read_task_definitions(ecs_client, ref, running)
        scaled = pool.submit(autoscaling.read, made.get("application-autoscaling", ref.region), ref, running.targets)
        names = {**network_found.names, **{resource.id: resource.name for resource in balancers.result()}}
        names |= naming.names(zone, ref)
        others, kept = _present(readers), storage.result()
        has_machines = ref.machines or machines.are_told_of(network_found.resources, ref)
        capacity = machines.read(made, ref, names, pool) if has_machines else ()
        stored = files.resources(kept, ref, names) if kept else ()
        is_in_use = bool(kept and (kept.targets or others))
        return SiteFacts(
            site=ref.site,
            cloud="aws",
            region=ref.region,
            account=login.result(),
            resources=(
                *network_found.resources,
                *balancing.named(balancers.result(), names),
                *others,
                *capacity,
                *(stored if is_in_use else ()),
                *([zone] if zone else []),
                *definitions,
                *ecs.service_resources(running, names),
                *scaled.result(),
            ),
            targets=targets.result(),
            count=running.newest.found["desiredCount"] if running.newest else 0,
            problem=_elsewhere(others, ref),
            kept=() if is_in_use else stored,
            zones=() if _has_subnets(network_found.resources) or ref.vpc else network.zones(ec2),
            given=network_found.given,
            prefix_lists=network_found.prefix_lists,
        )


def read_targets(ref: SiteRef) -> tuple[TargetFacts, ...]:
    """The site's tasks only: three calls. Raises CloudError."""
    with door(ref.site, ref.region), ThreadPoolExecutor(2, thread_name_prefix="aws") as pool:
        return tasks.read(clients().get("ecs", ref.region), ref, pool)


def other_sites(service: str, known: Collection[str]) -> tuple[SiteRef, ...]:
    """Sites of the service that only AWS remembers, by the roles that every site has: their path names the region.

    One call for all regions. Raises CloudError. Roles are made first and removed last, so a site that is half there
    is found too.
    """
    with door(""):
        pages = (
            clients().get("iam", HOME_REGION).get_paginator("list_roles").paginate(PathPrefix=f"/arriero/{service}/")
        )
        roles = [(str(role["Path"]), str(role["RoleName"])) for page in pages for role in page["Roles"]]
    found = {
        SiteRef(
            service,
            name.removeprefix(f"{service}-").rpartition("-")[0],
            "aws",
            path.split("/")[3],
            machines=(path, aws_gpu.role_name(name.rpartition("-")[0])) in roles,
        )
        for path, name in roles
        if path.count("/") == 4 and name.startswith(f"{service}-") and name.endswith(("-exec", "-task"))
    }
    return tuple(sorted((ref for ref in found if ref.site not in known), key=lambda ref: ref.site))


def _account(made: Clients) -> str:
    return str(made.get("sts", HOME_REGION).get_caller_identity()["Account"])


def _readers(made: Clients, ref: SiteRef) -> tuple[Callable[[], Resource | None], ...]:
    base = f"{ref.service}-{ref.site}"
    iam, logs, region_ecs = made.get("iam", HOME_REGION), made.get("logs", ref.region), made.get("ecs", ref.region)
    return (
        lambda: identity.read_role(iam, ref, f"{base}-exec"),
        lambda: identity.read_role(iam, ref, f"{base}-task"),
        lambda: identity.read_role(iam, ref, f"{base}-seed"),
        lambda: identity.read_log_group(logs, ref, f"/arriero/{ref.service}/{ref.site}"),
        lambda: ecs.read_cluster(region_ecs, ref),
    )


def _present(readers: Collection[Future[Resource | None]]) -> list[Resource]:
    return [resource for reader in readers if (resource := reader.result())]


def _elsewhere(found: Collection[Resource], ref: SiteRef) -> Problem | None:
    """Names are taken once for all regions: by its roles, a site whose region was changed in the spec."""
    role = next((resource for resource in found if resource.kind == "aws.role"), None)
    region = str(role.properties["path"]).rstrip("/").rpartition("/")[2] if role else ref.region
    if region == ref.region:
        return None
    return Problem(
        f"the site stands in {region}, and AWS can't move it to {ref.region}",
        "give the site another name; or put the region back, run `arriero down` for the site, and then change it",
    )


def _has_subnets(found: Collection[Resource]) -> bool:
    return sum(resource.kind == "aws.subnet" for resource in found) >= 2
