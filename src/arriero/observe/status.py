"""How every site is: what its cloud reports, held against what its servers answer."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal, cast

from arriero.errors import Problem
from arriero.events import Json
from arriero.plan.front_door_names import Name
from arriero.plan.model import SiteFacts, TargetFacts
from arriero.plan.wanted import aws_edges, azure_edges
from arriero.spec.model import ResolvedSite, Spec

SiteState = Literal["ready", "degraded", "down", "asleep", "absent", "unknown"]
PROBE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """What a stage knows of a target's process."""

    pid: int
    engine: str


@dataclass(frozen=True, slots=True)
class TargetStatus:
    facts: TargetFacts
    models: tuple[str, ...] | None
    """Names the server answers for; None when it does not answer."""

    def as_json(self) -> dict[str, Json]:
        f = self.facts
        return {
            "id": f.id,
            "state": f.state,
            "address": f.address,
            "pid": f.pid,
            "release": f.release,
            "models": list(self.models or ()),
            "reason": f.reason,
        }


@dataclass(frozen=True, slots=True)
class SiteStatus:
    site: ResolvedSite
    state: SiteState
    engine: str
    targets: tuple[TargetStatus, ...]
    problem: Problem | None = None
    load_balancer: str = ""
    """The name in the DNS of what stands before its targets; empty where nothing does."""
    edges: Mapping[str, Json] | None = None
    """The `count` of gateways before its targets, and the `url` by which clients know them; None where none stand."""
    spares: Mapping[str, Json] | None = None
    """How many of the site's spares are `ready` and `wanted`, and a `trouble`, if any; None where none are kept."""

    def as_json(self) -> dict[str, Json]:
        return {
            "name": self.site.name,
            "cloud": self.site.cloud,
            "region": self.site.region,
            "role": self.site.role,
            "state": self.state,
            "engine": self.engine,
            "load_balancer": self.load_balancer or None,
            "targets": [target.as_json() for target in self.targets],
            "problem": str(self.problem) if self.problem else None,
            **({"edges": dict(self.edges)} if self.edges else {}),
            **({"spares": dict(self.spares)} if self.spares else {}),
        }


@dataclass(frozen=True, slots=True)
class Status:
    service: str
    release: int | None
    gateway_url: str | None
    sites: tuple[SiteStatus, ...]
    scaling: Mapping[str, Json] | None = None
    """What the controller decided last; None where none tells."""
    pairs: tuple[Mapping[str, Json], ...] = ()
    """Sites that stand in for each other: roles, what was promised, and why roles are not the spec's, if so."""
    front_door: str = ""
    """The name in the DNS of the Front Door before the sites; empty where none stands."""
    nginx: Mapping[str, Json] | None = None
    """The nginx that `up` runs before the gateway: `url`, `state` and `pid`; None where the spec wants none here."""
    front_door_names: tuple[Name, ...] = ()
    """Names of the user's own for it, with what the user's DNS has to say."""

    def as_json(self) -> dict[str, Json]:
        """The document that `status --json` promises, schema 1."""
        return {
            "schema": 1,
            "service": self.service,
            "release": self.release,
            "gateway": {"url": self.gateway_url} if self.gateway_url else None,
            "sites": [site.as_json() for site in self.sites],
            "scaling": dict(self.scaling) if self.scaling else None,
            "pairs": [dict(pair) for pair in self.pairs],
            **({"nginx": dict(self.nginx)} if self.nginx else {}),
            **({"front_door": self._front_door_json()} if self.front_door else {}),
        }

    def _front_door_json(self) -> dict[str, Json]:
        names: list[Json] = [name.as_json() for name in self.front_door_names]
        return {"url": f"https://{self.front_door}", **({"names": names} if names else {})}


Probe = Callable[[str], tuple[str, ...] | None]


def look(
    spec: Spec,
    found: Mapping[str, SiteFacts],
    gateway_url: str | None,
    processes: Mapping[str, ServerProcess],
    probe: Probe,
    asleep: Collection[str] = (),
) -> Status:
    """The status of every site in the spec; all servers are asked side by side. `asleep` are off by schedule now."""
    addresses = sorted({t.address for facts in found.values() for t in facts.targets if t.address})
    with ThreadPoolExecutor(max_workers=max(1, min(32, len(addresses)))) as pool:
        answers = dict(zip(addresses, pool.map(probe, addresses), strict=True))
    sites = tuple(_site_status(spec.site(name), found[name], processes, answers, name in asleep) for name in spec.sites)
    releases = [t.facts.release for site in sites for t in site.targets if t.facts.release]
    return Status(spec.name, max(releases, default=None), gateway_url, sites)


def served_models(address: str) -> tuple[str, ...] | None:
    """The models that the server at `host:port` has on disk; None when it does not answer within a second."""
    found = _tags(address)
    return None if found is None else tuple(found)


def model_digests(address: str) -> Mapping[str, str]:
    """The digest of each model that the server at `host:port` has on disk; none when it does not answer."""
    return _tags(address) or {}


def _tags(address: str) -> Mapping[str, str] | None:
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=PROBE_SECONDS)
    try:
        connection.request("GET", "/api/tags", headers={"Host": "localhost"})
        models = json.load(connection.getresponse())["models"]
        return {str(model["name"]): str(model.get("digest", "")) for model in models}
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None
    finally:
        connection.close()


def _site_status(
    site: ResolvedSite,
    found: SiteFacts,
    processes: Mapping[str, ServerProcess],
    answers: Mapping[str, tuple[str, ...] | None],
    is_off: bool,
) -> SiteStatus:
    targets = tuple(
        TargetStatus(_with_process(t, processes), answers.get(t.address)) for t in found.targets if t.state != "stopped"
    )
    engines = {processes[t.id].engine for t in found.targets if t.id in processes}
    engine = "simulated" if "simulated" in engines else "ollama"
    balancer = found.find("aws.load_balancer")
    entrance = str(balancer.details["dns_name"]) if balancer else ""
    state = _site_state(site, found, targets, is_off)
    return SiteStatus(site, state, engine, targets, found.problem, entrance, _edges(site, found), _spares(found))


def _edges(site: ResolvedSite, found: SiteFacts) -> Mapping[str, Json] | None:
    """At Azure they have a name of its own; at AWS that of the load balancer before them, which is the spec's."""
    if app := found.find(azure_edges.APP_KIND):
        replicas = cast("tuple[int, int]", app.properties["replicas"])
        return {"count": replicas[0], "url": f"https://{app.details['host']}"}
    if service := found.find(aws_edges.SERVICE):
        count = cast(int, service.properties["desired_count"])
        return {"count": count, **({"url": f"https://{site.alb.hosts[0]}"} if site.alb else {})}
    return None


def _spares(found: SiteFacts) -> Mapping[str, Json] | None:
    pool = found.find("azure.spare_pool")
    if pool is None:
        return None
    ready, wanted = pool.details.get("running"), pool.properties["ready"]
    return {"ready": int(str(ready or 0)), "wanted": int(str(wanted or 0)), "trouble": str(pool.details["health"])}


def _with_process(target: TargetFacts, processes: Mapping[str, ServerProcess]) -> TargetFacts:
    return replace(target, pid=processes[target.id].pid) if target.id in processes else target


def _site_state(site: ResolvedSite, found: SiteFacts, targets: Sequence[TargetStatus], is_off: bool) -> SiteState:
    if found.problem:
        return "unknown"
    if is_off and not targets and (found.resources or site.cloud == "local"):
        return "asleep"
    if not found.resources and not targets:
        return "absent"
    if site.role == "active" and not site.min and not targets:
        return "asleep"  # nobody asks for anything: a request would start one
    needed = {model.name for model in site.models}
    serving = sum(t.facts.state == "ready" and needed <= set(t.models or ()) for t in targets)
    if serving >= site.min:
        return "ready"
    return "degraded" if serving else "down"
