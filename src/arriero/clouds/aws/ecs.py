"""The cluster, the task definition and the service of a site, read into Resources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from arriero.clouds.aws.identity import refuse_foreign
from arriero.plan.model import RELEASE_TAG, SERVICE_TAG, SITE_TAG, Resource, SiteRef, Value
from arriero.plan.wanted import aws_edges, aws_managed, aws_task

Found = Mapping[str, Any]


def read_cluster(ecs: Any, ref: SiteRef) -> Resource | None:
    """The cluster, or None. One without any tag and service is what a cut-off run left: the next one takes it up.

    The provider of its managed machines is left out: it belongs to the cluster as long as it is there, and nobody can
    set that.
    """
    name = f"{ref.service}-{ref.site}"
    clusters = ecs.describe_clusters(clusters=[name], include=["TAGS", "SETTINGS"])["clusters"]
    cluster = next((each for each in clusters if each["status"] != "INACTIVE"), None)
    if cluster is None:
        return None
    tags = _tags(cluster)
    if not tags and not cluster.get("activeServicesCount"):
        return None
    refuse_foreign(ref, tags, f"an ECS cluster {name}")
    own = aws_managed.provider_name(name)
    properties: dict[str, Value] = {
        "capacity_providers": tuple(sorted(set(cluster.get("capacityProviders", ())) - {own})),
        "default_strategy": _strategy(cluster.get("defaultCapacityProviderStrategy", ())),
        "container_insights": _setting(cluster, "containerInsights"),
    }
    return Resource("aws.cluster", name, properties, cluster["clusterArn"], tags)


@dataclass(frozen=True, slots=True)
class Service:
    """A service as ECS describes it, and the document of the revision that it runs."""

    found: Found
    definition: Found


@dataclass(frozen=True, slots=True)
class Services:
    """Those of a site: its targets', the newest release last (during a trial there are two), and its edges'."""

    targets: tuple[Service, ...] = ()
    edges: Service | None = None

    @property
    def newest(self) -> Service | None:
        """Of the targets'."""
        return self.targets[-1] if self.targets else None


def read_services(ecs: Any, ref: SiteRef) -> Services:
    """The site's services with what they run; none where there is no cluster."""
    base = f"{ref.service}-{ref.site}"
    try:
        arns = ecs.list_services(cluster=base, maxResults=100)["serviceArns"]
    except ecs.exceptions.ClusterNotFoundException:
        return Services()
    mine = [arn for arn in arns if is_ours(name := arn.rpartition("/")[2], base) or name == aws_edges.name(base)]
    if not mine:
        return Services()
    services = ecs.describe_services(cluster=base, services=mine[:10], include=["TAGS"])["services"]
    there = [each for each in services if each["status"] != "INACTIVE"]
    read = [Service(each, _definition(ecs, each["taskDefinition"])) for each in there]
    edges = next((each for each in read if each.found["serviceName"] == aws_edges.name(base)), None)
    return Services(tuple(sorted((each for each in read if each is not edges), key=_age)), edges)


def is_ours(service: str, base: str) -> bool:
    """Whether a service of that name is the site's: the base's own name, or one of a release, `<base>-r7`."""
    release = service.removeprefix(f"{base}-r")
    return service == base or (release != service and release.isdecimal())


def read_task_definitions(ecs: Any, ref: SiteRef, services: Services) -> tuple[Resource, ...]:
    """Of the targets and of the edges: what their newest service runs, else their family's newest revision."""
    base = f"{ref.service}-{ref.site}"
    revisions = ecs.list_task_definitions(familyPrefix=base, status="ACTIVE", sort="DESC")["taskDefinitionArns"]
    rows = (
        ("aws.task_definition", base, services.newest),
        (aws_edges.DEFINITION, aws_edges.name(base), services.edges),
    )
    read = (_task_definition(ecs, ref, kind, family, revisions, service) for kind, family, service in rows)
    return tuple(each for each in read if each)


def _task_definition(
    ecs: Any, ref: SiteRef, kind: str, family: str, revisions: Sequence[str], service: Service | None
) -> Resource | None:
    """Its labels are its tags, as no module can tag it."""
    mine = tuple(arn for arn in revisions if arn.rpartition("/")[2].rpartition(":")[0] == family)
    if not (service or mine):
        return None
    found = service.definition if service else _definition(ecs, mine[0])
    labels = labels_of(found)
    is_the_sites = labels.get(SERVICE_TAG) == ref.service and labels.get(SITE_TAG) == ref.site
    if service is None and not is_the_sites:
        return None
    details: dict[str, Value] = {"revisions": mine, "arn": found["taskDefinitionArn"]}
    return Resource(kind, family, aws_task.normal_form(found), found["taskDefinitionArn"], labels, details)


def service_resources(read: Services, names: Mapping[str, str]) -> tuple[Resource, ...]:
    """The targets' services, and the edges'."""
    edges = [_service_resource(read.edges, names, aws_edges.SERVICE)] if read.edges else []
    return (*(_service_resource(each, names) for each in read.targets), *edges)


def _service_resource(read: Service, names: Mapping[str, str], kind: str = "aws.service") -> Resource:
    """The service as it is compared; `names` tell the site's own subnets, security and target groups by id.

    Its release is what its task definition says: after a rollback by ECS the service's own tags name the failed one.
    """
    service = read.found
    network = service.get("networkConfiguration", {}).get("awsvpcConfiguration", {})
    properties: dict[str, Value] = {
        "status": service["status"],
        "rollout": _rollout(service.get("deployments", ())),
        "desired_count": service["desiredCount"],
        "capacity_providers": _strategy(service.get("capacityProviderStrategy", ())),
        "deployment": _deployment(service.get("deploymentConfiguration", {})),
        "network": {
            "subnets": tuple(sorted(names.get(each, each) for each in network.get("subnets", ()))),
            "security_groups": tuple(sorted(names.get(each, each) for each in network.get("securityGroups", ()))),
            "public_ip": network.get("assignPublicIp") == "ENABLED",
        },
        "load_balancers": tuple(_attachment(each, names) for each in service.get("loadBalancers") or ()),
        "registries": tuple(names.get(arn, arn) for arn in _registries(service)),
        "grace_seconds": service.get("healthCheckGracePeriodSeconds") or 0,
        "tags": _tags(service),
    }
    tags = {**_tags(service), **labels_of(read.definition)}
    propagated = str(service.get("propagateTags", "NONE")).replace("NONE", "")
    details: dict[str, Value] = {"propagate_tags": propagated, "definition": service["taskDefinition"]}
    return Resource(kind, service["serviceName"], properties, service["serviceArn"], tags, details)


def _registries(service: Found) -> tuple[str, ...]:
    return tuple(str(each.get("registryArn", "")) for each in service.get("serviceRegistries") or ())


def _attachment(each: Found, names: Mapping[str, str]) -> Mapping[str, Value]:
    """A target group that is gone shows its ARN, and so differs from one of the same name."""
    arn = str(each.get("targetGroupArn", each.get("loadBalancerName", "")))
    return {"group": names.get(arn, arn), "container": each.get("containerName"), "port": each.get("containerPort")}


def _definition(ecs: Any, arn: str) -> Found:
    found: Found = ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]
    return found


def release_of(service: Service) -> int | None:
    """The release that it runs, by its task definition."""
    release = labels_of(service.definition).get(RELEASE_TAG, "")
    return int(release) if release.isdecimal() else None


def _age(service: Service) -> tuple[int, str]:
    return release_of(service) or 0, str(service.found["serviceName"])


def labels_of(definition: Found) -> dict[str, str]:
    containers: Sequence[Found] = definition.get("containerDefinitions", ())
    ours = (aws_task.CONTAINER, aws_edges.CONTAINER)
    return next((c.get("dockerLabels") or {} for c in containers if c["name"] in ours), {})


def _deployment(found: Found) -> dict[str, Value]:
    breaker = found.get("deploymentCircuitBreaker") or {}
    return {
        "minimum_healthy_percent": found.get("minimumHealthyPercent"),
        "maximum_percent": found.get("maximumPercent"),
        "breaker": bool(breaker.get("enable")),
        "rollback": bool(breaker.get("rollback")),
    }


def _rollout(deployments: Iterable[Found]) -> str:
    """`failed` when the circuit breaker gave up the deployment that still is the service's own."""
    primary = next((each for each in deployments if each["status"] == "PRIMARY"), {})
    return "failed" if primary.get("rolloutState") == "FAILED" else "ok"


def _strategy(items: Iterable[Found]) -> dict[str, Value]:
    return {each["capacityProvider"]: {"base": each.get("base", 0), "weight": each.get("weight", 0)} for each in items}


def _setting(cluster: Found, name: str) -> Value:
    """None where ECS doesn't say."""
    return next((str(each["value"]) for each in cluster.get("settings", ()) if each["name"] == name), None)


def _tags(item: Found) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in item.get("tags", ())}
