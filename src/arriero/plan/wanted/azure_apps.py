"""What a site at Azure with GPUs holds in place of container groups, which have none: container apps, one a target, in
an environment of the site's own that has a workload profile with that GPU.

A target is an app of its own, with one replica always, so that it has its name, its address and its count as a group
has: Azure scales nothing here. The environment is inside the site's network. It has one address, at which each app has
a port of its own (TCP ingress): targets are plain `host:port` as everywhere, and nobody outside reaches them. An app is
never changed, just as a group; a new one is made beside it. Sources, read 2026-11-30:
https://learn.microsoft.com/azure/container-apps/gpu-serverless-overview (the first container has the GPU; a replica has
one, whole), https://learn.microsoft.com/azure/container-apps/ingress-overview (external TCP ingress, in a virtual
network), https://learn.microsoft.com/azure/container-apps/firewall-integration (what the security group lets in).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from arriero.cost import machine
from arriero.plan.model import Resource, SiteFacts, Value
from arriero.plan.wanted import azure_identity, sidecar
from arriero.spec.model import ResolvedSite

ENVIRONMENT_KIND, APP_KIND = "azure.app_environment", "azure.container_app"
DELEGATION = "Microsoft.App/environments"
# Every environment has this one, without GPUs.
PLAIN_PROFILE = "Consumption"
PORT = 11434
# An app's port at the environment's address. A new release stands beside the former one: twice `scale.max` at most.
FIRST_PORT, PORTS = 20000, 2000
# Where the load balancer reaches the environment's own proxies.
PROXY_PORTS = "30000-32767"
LONGEST_STOP_SECONDS = 600
SIDECAR_CPU, SIDECAR_MEMORY_GIB = 0.25, 0.5  # processors come in quarters there


def definition(site: ResolvedSite) -> Mapping[str, Value]:
    """What an app is made from; a change of any of it is a new release."""
    return {
        "profile": machine.chosen(site).name,
        "stop_seconds": _stop_seconds(site),
        "containers": _containers(site),
        **azure_identity.around(site),
    }


def environment(site: ResolvedSite, found: SiteFacts, base: str, subnet: str, tags: Mapping[str, str]) -> Resource:
    """A profile that it has already stays: apps of a former release may run on it, and it costs nothing by itself."""
    there = found.find(ENVIRONMENT_KIND)
    known = there.properties["profiles"] if there else ()
    profiles = {PLAIN_PROFILE, machine.chosen(site).name, *(known if isinstance(known, tuple) else ())}
    values: Mapping[str, Value] = {
        "location": site.region,
        "state": "succeeded",
        "subnet": subnet,
        "is_internal": True,
        "profiles": tuple(sorted(map(str, profiles))),
    }
    return Resource(ENVIRONMENT_KIND, base, values, tags=tags)


def pattern(site: ResolvedSite, base: str, release: int, tags: Mapping[str, str]) -> Resource:
    """The app that all apps of the release are copies of; its name is theirs without the number."""
    values: Mapping[str, Value] = {
        "location": site.region,
        "environment": base,
        "ingress": {"external": True, "transport": "tcp", "port": PORT},
        "replicas": (1, 1),
        "revisions": "single",
        **definition(site),
        "tags": dict(tags),
    }
    return Resource(APP_KIND, f"{base}-r{release}", values, tags=tags)


def rules(subnet: str, sources: str) -> Mapping[str, str]:
    """What the security group lets in: who may ask to the apps' ports, and what the environment needs within itself."""
    ports = f"{FIRST_PORT}-{FIRST_PORT + PORTS - 1}"
    return {
        "allow-ollama": f"100 inbound allow tcp from {sources} to *:{ports},{PROXY_PORTS}",
        "allow-within": f"110 inbound allow * from {subnet} to *:*",
        "allow-load-balancer": f"120 inbound allow tcp from AzureLoadBalancer to *:{PROXY_PORTS}",
    }


def free_ports(taken: Collection[int], count: int) -> list[int]:
    """The next ones after the highest in use, and from the start again at the end: what was given back below it goes to
    no other target at once, for somebody may still look for the former one there. One that was the highest does.
    """
    used = [port for port in taken if 0 <= port - FIRST_PORT < PORTS]
    begin = max(used, default=FIRST_PORT - 1) + 1 - FIRST_PORT
    circle = (FIRST_PORT + (begin + step) % PORTS for step in range(PORTS))
    free = (port for port in circle if port not in taken)
    return [port for port, _ in zip(free, range(count), strict=False)]


def is_delegated(delegations: Iterable[str]) -> bool:
    """Whether a subnet of these delegations is for container apps."""
    return any(each.lower() == DELEGATION.lower() for each in delegations)


def notes(site: ResolvedSite) -> tuple[str, ...]:
    """What the plan says about such a site."""
    chosen = machine.chosen(site)
    said = [
        f"gpu: {site.gpu} a target, each a container app of its own with all of {chosen.name} ({chosen.cpu} vCPU, "
        f"{chosen.memory_gib:g}GiB), whatever size says; Azure gives a subscription none before a quota is asked for"
    ]
    if site.deploy.hung_after is not None:
        said.append(
            "deploy.hung_after is not applied to container apps, whose probes run no command; "
            "the gateway sends nothing to a server that hangs"
        )
    if site.deploy.stop_within > LONGEST_STOP_SECONDS:
        said.append(
            f"Container Apps give a stopping server {LONGEST_STOP_SECONDS}s at most; "
            f"deploy.stop_within: {site.deploy.stop_within} is not applied"
        )
    return tuple(said)


def _stop_seconds(site: ResolvedSite) -> int:
    return min(LONGEST_STOP_SECONDS, max(1, round(site.deploy.stop_within)))


def _containers(site: ResolvedSite) -> Mapping[str, Value]:
    """By container name, Ollama first: Azure gives the GPU to the first one. Together they have the whole profile."""
    chosen = machine.chosen(site)
    cpu, memory = float(chosen.cpu), float(chosen.memory_gib)
    if not site.sidecar:
        return {"ollama": _container(site, cpu, memory, site.server_environment)}
    rest = cpu - SIDECAR_CPU, memory - SIDECAR_MEMORY_GIB
    beside = _container(site, SIDECAR_CPU, SIDECAR_MEMORY_GIB, sidecar.environment(site))
    return {
        "ollama": {
            **_container(site, *rest, sidecar.server_environment(site)),
            "command": sidecar.SERVER_COMMAND,
        },
        sidecar.NAME: {**beside, "command": sidecar.COMMAND},
    }


def _container(
    site: ResolvedSite, cpu: float, memory_gib: float, environment: Mapping[str, str]
) -> Mapping[str, Value]:
    return {
        "image": site.image,
        "cpu": cpu,
        "memory_gib": memory_gib,
        "command": (),
        "environment": dict(sorted(environment.items())),
    }
