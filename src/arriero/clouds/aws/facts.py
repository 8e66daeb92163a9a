"""What an AWS site holds, read side by side: a first round of all calls, and a second for what needs an id."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor

from arriero.clouds.aws import ecs, identity, network, tasks
from arriero.clouds.aws.clients import HOME_REGION, Clients, clients
from arriero.clouds.aws.errors import door
from arriero.plan.model import SERVICE_TAG, SITE_TAG, Resource, SiteFacts, SiteRef, TargetFacts

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
        service = pool.submit(ecs.describe_service, ecs_client, ref)
        readers = [pool.submit(read) for read in _readers(made, ref)]
        network_found = network.read(ec2, ref, pool)
        definition = ecs.read_task_definition(ecs_client, ref, service.result())
        running = service.result()
        names = {resource.id: resource.name for resource in network_found}
        return SiteFacts(
            site=ref.site,
            cloud="aws",
            region=ref.region,
            account=login.result(),
            resources=(
                *network_found,
                *_present(readers),
                *([definition] if definition else []),
                *([ecs.service_resource(running, names, definition)] if running else []),
            ),
            targets=targets.result(),
            count=running["desiredCount"] if running else 0,
            zones=() if _has_subnets(network_found) else network.zones(ec2),
        )


def read_targets(ref: SiteRef) -> tuple[TargetFacts, ...]:
    """The site's tasks only: three calls. Raises CloudError."""
    with door(ref.site, ref.region), ThreadPoolExecutor(2, thread_name_prefix="aws") as pool:
        return tasks.read(clients().get("ecs", ref.region), ref, pool)


def other_sites(service: str, known: Collection[str]) -> tuple[SiteRef, ...]:
    """Sites of the service that only their tags remember: their networks, sought in every region of the account.

    Raises CloudError. The network is the last thing that a removal takes away, so it stands as long as anything does.
    """
    with door(""), ThreadPoolExecutor(_THREADS, thread_name_prefix="aws") as pool:
        made = clients()
        regions = [each["RegionName"] for each in made.get("ec2", HOME_REGION).describe_regions()["Regions"]]
        found = [ref for refs in pool.map(lambda region: _sites_in(made, service, region), regions) for ref in refs]
    return tuple(sorted((ref for ref in found if ref.site not in known), key=lambda ref: ref.site))


def _account(made: Clients) -> str:
    return str(made.get("sts", HOME_REGION).get_caller_identity()["Account"])


def _readers(made: Clients, ref: SiteRef) -> tuple[Callable[[], Resource | None], ...]:
    base = f"{ref.service}-{ref.site}"
    iam, logs, region_ecs = made.get("iam", HOME_REGION), made.get("logs", ref.region), made.get("ecs", ref.region)
    return (
        lambda: identity.read_role(iam, ref, f"{base}-exec"),
        lambda: identity.read_role(iam, ref, f"{base}-task"),
        lambda: identity.read_log_group(logs, ref, f"/arriero/{ref.service}/{ref.site}"),
        lambda: ecs.read_cluster(region_ecs, ref),
    )


def _present(readers: Collection[Future[Resource | None]]) -> list[Resource]:
    return [resource for reader in readers if (resource := reader.result())]


def _has_subnets(found: Collection[Resource]) -> bool:
    return sum(resource.kind == "aws.subnet" for resource in found) >= 2


def _sites_in(made: Clients, service: str, region: str) -> list[SiteRef]:
    filters = [{"Name": f"tag:{SERVICE_TAG}", "Values": [service]}]
    vpcs = made.get("ec2", region).describe_vpcs(Filters=filters)["Vpcs"]
    tags = [{tag["Key"]: tag["Value"] for tag in vpc.get("Tags", ())} for vpc in vpcs]
    return [SiteRef(service, each[SITE_TAG], "aws", region) for each in tags if SITE_TAG in each]
