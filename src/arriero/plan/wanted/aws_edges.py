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
from arriero.plan.wanted import aws_alb, aws_task
from arriero.spec import secret_values
from arriero.spec.gateway import Gateway, GatewayLimits
from arriero.spec.model import ResolvedSite

NAMES, DEFINITION, SERVICE = "aws.names", "aws.edge_definition", "aws.edges"
CONTAINER, COMMAND = "edge", ("arriero", "gateway", "edge")
TARGETS, TTL_SECONDS = "targets", 10


def name(base: str) -> str:
    """Of the service, of its family of task definitions, and of its security group."""
    return f"{base}-edge"


def namespace(base: str) -> str:
    """The private zone of the site. `.internal` is kept free for such names by ICANN."""
    return f"{base}.arriero.internal"


def targets_name(base: str) -> str:
    """What the edges look up."""
    return f"{TARGETS}.{namespace(base)}"


def keys(site: ResolvedSite) -> str:
    """The secret of the site's region that holds the keys; the check of the spec says that there is one."""
    found = site.edges.keys if site.edges else ()
    return next(arn for arn in found if secret_values.region_of(arn) == site.region)


def names(site: ResolvedSite, base: str, tags: Mapping[str, str]) -> tuple[Resource, ...]:
    if site.edges is None:
        return ()
    return (Resource(NAMES, namespace(base), {"name": TARGETS, "ttl_seconds": TTL_SECONDS}, tags=tags),)


def registries(site: ResolvedSite, base: str) -> dict[str, Value]:
    """What of the targets' service is compared besides: that ECS writes its tasks down under the name."""
    return {"registries": (targets_name(base),)} if site.edges else {}


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
    """The gateway's settings file, but for what is as it is by default, and for the places of its files.

    Of the spec's section `gateway` all holds that is not about this machine: its address, files, workers and TLS.
    """
    assert site.alb is not None
    told = site.gateway
    found: dict[str, Any] = {
        "service": site.service,
        "listen": f"0.0.0.0:{aws_task.PORT}",
        "targets_dns": f"{targets_name(base)}:{aws_task.PORT}",
        "targets_site": site.name,
        "hosts": sorted({*site.alb.hosts, *told.hosts}),
        "trusted_proxies": [site.network.cidr],
        "limits": _limits(told.limits, int(site.deploy.stop_within)),
    }
    found |= {"origins": list(told.origins)} if told.origins else {}
    found |= {"metrics_sources": list(told.metrics_from)} if told.metrics_from else {}
    found |= {"front_door_id": told.front_door} if told.front_door else {}
    return {**found, **_prices(told)}


def _limits(limits: GatewayLimits, stop_seconds: int) -> dict[str, float | int]:
    """It stops draining a second before it is killed; by then the load balancer has waited for its streams."""
    return {
        "body_bytes": int(limits.body),
        "connections": limits.connections,
        "connections_an_address": limits.connections,
        "queue_length": limits.queue,
        "queue_seconds": float(limits.queue_within),
        "first_byte_seconds": float(limits.first_byte_within),
        "drain_seconds": float(max(1, stop_seconds - 1)),
    }


def _prices(told: Gateway) -> dict[str, float]:
    prices = {
        "price_in_per_million": told.prices.in_per_million,
        "price_out_per_million": told.prices.out_per_million,
    }
    return {key: price for key, price in prices.items() if price}
