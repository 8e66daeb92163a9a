"""The cluster, the task definition and the service of a site, read into Resources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from arriero.clouds.aws.identity import refuse_foreign
from arriero.plan.model import RELEASE_TAG, SERVICE_TAG, SITE_TAG, Resource, SiteRef, Value
from arriero.plan.wanted import aws_task

Found = Mapping[str, Any]


def read_cluster(ecs: Any, ref: SiteRef) -> Resource | None:
    """The cluster, or None. One without any tag and service is what a cut-off run left: the next one takes it up."""
    name = f"{ref.service}-{ref.site}"
    clusters = ecs.describe_clusters(clusters=[name], include=["TAGS", "SETTINGS"])["clusters"]
    cluster = next((each for each in clusters if each["status"] != "INACTIVE"), None)
    if cluster is None:
        return None
    tags = _tags(cluster)
    if not tags and not cluster.get("activeServicesCount"):
        return None
    refuse_foreign(ref, tags, f"an ECS cluster {name}")
    properties: dict[str, Value] = {
        "capacity_providers": tuple(sorted(cluster.get("capacityProviders", ()))),
        "default_strategy": _strategy(cluster.get("defaultCapacityProviderStrategy", ())),
        "container_insights": _setting(cluster, "containerInsights"),
    }
    return Resource("aws.cluster", name, properties, cluster["clusterArn"], tags)


@dataclass(frozen=True, slots=True)
class Service:
    """A service as ECS describes it, and the document of the revision that it runs."""

    found: Found
    definition: Found


def read_services(ecs: Any, ref: SiteRef) -> tuple[Service, ...]:
    """The site's services with what they run, the newest release last: during a trial there are two.

    None where there is no cluster.
    """
    name = f"{ref.service}-{ref.site}"
    try:
        arns = ecs.list_services(cluster=name, maxResults=100)["serviceArns"]
    except ecs.exceptions.ClusterNotFoundException:
        return ()
    mine = [arn for arn in arns if is_ours(arn.rpartition("/")[2], name)]
    if not mine:
        return ()
    services = ecs.describe_services(cluster=name, services=mine[:10], include=["TAGS"])["services"]
    there = [each for each in services if each["status"] != "INACTIVE"]
    read = [Service(each, _definition(ecs, each["taskDefinition"])) for each in there]
    return tuple(sorted(read, key=_age))


def is_ours(service: str, base: str) -> bool:
    """Whether a service of that name is the site's: the base's own name, or one of a release, `<base>-r7`."""
    release = service.removeprefix(f"{base}-r")
    return service == base or (release != service and release.isdecimal())


def read_task_definition(ecs: Any, ref: SiteRef, services: Sequence[Service]) -> Resource | None:
    """What the newest service runs, else the family's newest revision; labels are its tags, as no module can tag it."""
    service = services[-1].found if services else None
    family = f"{ref.service}-{ref.site}"
    revisions = ecs.list_task_definitions(familyPrefix=family, status="ACTIVE", sort="DESC")["taskDefinitionArns"]
    mine = tuple(arn for arn in revisions if arn.rpartition("/")[2].rpartition(":")[0] == family)
    current = service["taskDefinition"] if service else next(iter(mine), None)
    if current is None:
        return None
    found = services[-1].definition if services else _definition(ecs, current)
    labels = labels_of(found)
    is_the_sites = labels.get(SERVICE_TAG) == ref.service and labels.get(SITE_TAG) == ref.site
    if service is None and not is_the_sites:
        return None
    details: dict[str, Value] = {"revisions": mine, "arn": found["taskDefinitionArn"]}
    properties = aws_task.normal_form(found)
    return Resource("aws.task_definition", family, properties, found["taskDefinitionArn"], labels, details)


def service_resource(read: Service, names: Mapping[str, str]) -> Resource:
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
        "grace_seconds": service.get("healthCheckGracePeriodSeconds") or 0,
        "tags": _tags(service),
    }
    tags = {**_tags(service), **labels_of(read.definition)}
    propagated = str(service.get("propagateTags", "NONE")).replace("NONE", "")
    details: dict[str, Value] = {"propagate_tags": propagated, "definition": service["taskDefinition"]}
    return Resource("aws.service", service["serviceName"], properties, service["serviceArn"], tags, details)


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
    return next((c.get("dockerLabels") or {} for c in containers if c["name"] == aws_task.CONTAINER), {})


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
