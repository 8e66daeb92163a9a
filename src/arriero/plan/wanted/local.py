"""What a site on this machine should hold: Ollama servers as plain processes, each on an address of its own, and before
each its sidecar, another process.

Servers are named `<service>-<site>-r<release>-<n>`. One is never changed: while it runs as wished it is kept, a dead
one is started anew under its name, and one of another definition makes room once its successor answers. The image
plays no part here, so a change of it is no new release of a local site.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address

from arriero.plan.compare import compare
from arriero.plan.model import RELEASE_TAG, SERVICE_TAG, SITE_TAG, Resource, SiteFacts, Value
from arriero.plan.wanted import sidecar
from arriero.spec.model import ResolvedSite

KINDS: Mapping[str, str] = {"local.server": "servers"}
IMMUTABLE: Mapping[str, tuple[str, ...]] = {"local.server": ("*",)}

KIND = "local.server"
DEFINITION_TAG = "arriero-definition"
LOOPBACK_RANGE = "127.0.1.0/24"  # never 127.0.0.1, whose port belongs to the edge


def definition(site: ResolvedSite) -> Mapping[str, Value]:
    """What a server is made from; a change of any of it is a new release."""
    return {"environment": environment(site), "sidecar": sidecar_environment(site)}


def wanted(site: ResolvedSite, found: SiteFacts, release: int, count: int, digest: str) -> tuple[Resource, ...]:
    """`count` servers of `release`; those that are right already, or would be if they ran, under their own names."""
    base = f"{site.service}-{site.name}-r{release}"
    tags = {SERVICE_TAG: site.service, SITE_TAG: site.name, RELEASE_TAG: str(release), DEFINITION_TAG: digest}
    kept = [server.name for server in _alike(site, found, tags)][:count]
    taken = {resource.name for resource in found.resources}
    fresh = (name for n in range(1, count + len(taken) + 1) if (name := f"{base}-{n}") not in taken)
    names = kept + [name for name, _ in zip(fresh, range(count - len(kept)), strict=False)]
    hosts = _hosts(site)
    return tuple(Resource(KIND, n, _properties(site, hosts[i % len(hosts)]), tags=tags) for i, n in enumerate(names))


def notes(site: ResolvedSite) -> tuple[str, ...]:  # noqa: ARG001 - the contract of plan.wanted
    """What the plan says about this site that no change says."""
    return ("a local server is the `ollama` of this machine; image, size and network are not applied",)


def environment(site: ResolvedSite) -> Mapping[str, Value]:
    """A server's own environment; where it listens is chosen when it starts."""
    return {name: value for name, value in site.server_environment.items() if name != "OLLAMA_HOST"}


def sidecar_environment(site: ResolvedSite) -> Mapping[str, Value] | None:
    """Its sidecar's, a process of its own; where both listen is chosen when they start. None without one."""
    if not site.sidecar:
        return None
    chosen = ("ARRIERO_LISTEN", "ARRIERO_OLLAMA_ADDRESS")
    told = sidecar.environment(site)
    return {name: value for name, value in told.items() if name not in chosen}


def _alike(site: ResolvedSite, found: SiteFacts, tags: Mapping[str, str]) -> list[Resource]:
    """Servers of this definition that differ from the wish in nothing but whether they run, the running first."""
    patterns = [Resource(KIND, "", {**_properties(site, host), "running": None}, tags=tags) for host in _hosts(site)]
    rows = []
    for server in found.resources:
        bare = replace(server, name="", properties={**server.properties, "running": None})
        if dict(server.tags) == dict(tags) and any(not compare("", [p], [bare], {}) for p in patterns):
            rows.append(server)
    return sorted(rows, key=lambda server: (not server.properties["running"], server.name))


def _properties(site: ResolvedSite, host: str) -> Mapping[str, Value]:
    return {
        "running": True,
        "host": host,
        "environment": environment(site),
        "sidecar": sidecar_environment(site),
        "stop_seconds": int(site.deploy.stop_within),
    }


def _hosts(site: ResolvedSite) -> tuple[str, ...]:
    return tuple(dict.fromkeys(LOOPBACK_RANGE if IPv4Address(h).is_loopback else h for h in site.hosts))
