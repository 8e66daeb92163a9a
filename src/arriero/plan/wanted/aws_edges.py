"""The edges of a site at AWS: gateways as an ECS service between the load balancer and the targets.

They run on Fargate from the targets' image, which has the gateway for the sidecar's sake, in the targets' subnets. They
find the targets by a name in the site's private DNS, which ECS itself keeps through Cloud Map, so they hold no login to
AWS. Their settings are a variable of the task definition; their keys a secret, which ECS reads by its ARN and puts into
the container. Only the load balancer's group reaches them, and only their group reaches targets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from arriero.cost import edge
from arriero.plan.model import SERVICE_TAG, SITE_TAG, Resource, Value
from arriero.plan.wanted import aws_alb, aws_task, edge_settings
from arriero.spec import secret_values
from arriero.spec.model import ResolvedSite

NAMES, DEFINITION, SERVICE = "aws.names", "aws.edge_definition", "aws.edges"
CONTAINER, COMMAND = "edge", edge_settings.COMMAND
TARGETS, TTL_SECONDS = edge_settings.TARGETS, edge_settings.TTL_SECONDS


def name(base: str) -> str:
    """Of the service, of its family of task definitions, and of its security group."""
    return f"{base}-edge"


def keys(site: ResolvedSite) -> str:
    """The secret of the site's region that holds the keys; the check of the spec says that there is one."""
    found = site.edges.keys if site.edges else ()
    return next(arn for arn in found if secret_values.region_of(arn) == site.region)


def names(site: ResolvedSite, base: str, tags: Mapping[str, str]) -> tuple[Resource, ...]:
    if site.edges is None:
        return ()
    return (Resource(NAMES, edge_settings.zone(base), {"name": TARGETS, "ttl_seconds": TTL_SECONDS}, tags=tags),)


def registries(site: ResolvedSite, base: str) -> dict[str, Value]:
    """What of the targets' service is compared besides: that ECS writes its tasks down under the name."""
    return {"registries": (edge_settings.targets_name(base),)} if site.edges else {}


def document(site: ResolvedSite, base: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """What RegisterTaskDefinition is given. No health check of the container's own: the load balancer asks /readyz."""
    whole = aws_task.plain_document(site)
    given = {"ARRIERO_SETTINGS": json.dumps(settings(site, base), sort_keys=True)}
    container = aws_task.container(site, CONTAINER, given)
    del container["healthCheck"]
    container |= {
        "entryPoint": list(COMMAND),
        "portMappings": aws_task.PORT_MAPPINGS,
        "mountPoints": [aws_task.SCRATCH],
        "secrets": [{"name": "ARRIERO_KEYS", "valueFrom": keys(site)}],
        "dockerLabels": dict(labels),
    }
    return {
        **whole,
        "family": name(base),
        "cpu": str(int(edge.VCPUS * 1024)),
        "memory": str(int(edge.MEMORY_GIB * 1024)),
        "volumes": [{"name": "scratch"}],
        "containerDefinitions": [container],
    }


def labels(site: ResolvedSite, digest: str) -> dict[str, str]:
    """Without a release: edges are replaced when something of theirs changes, and not with every release."""
    return {SERVICE_TAG: site.service, SITE_TAG: site.name, aws_task.DEFINITION_TAG: digest}


def service(site: ResolvedSite, base: str, subnets: tuple[str, ...], labels: Mapping[str, str]) -> Mapping[str, Value]:
    """The service as it is compared."""
    assert site.edges is not None
    return {
        **aws_task.service(site.edges.count, subnets, name(base), not site.network.is_private),
        "capacity_providers": {"FARGATE": {"base": 0, "weight": 1}},
        "load_balancers": ({"group": aws_alb.name(base), "container": CONTAINER, "port": aws_task.PORT},),
        "grace_seconds": int(site.deploy.ready_within),
        "tags": dict(labels),
    }


def settings(site: ResolvedSite, base: str) -> dict[str, Any]:
    """By the time they are told to stop the load balancer has waited for their streams."""
    assert site.alb is not None
    stop, door = int(site.deploy.stop_within), site.gateway.front_door or ""
    return edge_settings.settings(site, base, site.alb.hosts, site.network.cidr, stop, door)
