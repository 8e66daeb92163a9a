"""The application load balancer before a site's targets, or before its edges: where it listens, whom it asks whether it
is ready, how it lets a target go.

Its own security group is all that the group behind it lets in, besides what the spec names for targets. It is closed
from outside by default. Names of load balancers and target groups have at most 32 characters, so a longer one is cut
and told apart by a hash.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence

from arriero.plan.model import Resource, SiteFacts, Value
from arriero.plan.wanted import sidecar
from arriero.spec import ingress_values as of_ingress
from arriero.spec.ingress import Alb
from arriero.spec.model import ResolvedSite
from arriero.spec.values import UUID_PATTERN

BALANCER, TARGETS = "aws.load_balancer", "aws.target_group"
PORT = 11434
HTTPS, HTTP = 443, 80
# Ready within 20 s, out of use within 30: a target that loads a model still answers this.
HEALTH: Mapping[str, Value] = {"interval": 10, "timeout": 5, "healthy": 2, "unhealthy": 3, "codes": "200"}
ALGORITHM = "least_outstanding_requests"
READY = "/readyz"
# What Front Door says in each request, and what it says in those by which it asks whether a site is ready: no page of
# Microsoft's promises the first in the second. It takes what clients say by these names away.
FRONT_DOOR_HEADER, PROBE_HEADER = "X-Azure-FDID", "X-FD-HealthProbe"
_PROBE = f"{PROBE_HEADER} is 1 and the path is {READY}"
_LONGEST = 32


def name(base: str) -> str:
    """Of the load balancer and of its target group."""
    if len(base) <= _LONGEST:
        return base
    return f"{base[:23].rstrip('-')}-{hashlib.sha256(base.encode()).hexdigest()[:8]}"


def group_name(base: str) -> str:
    return f"{base}-alb"


def wanted(
    site: ResolvedSite,
    base: str,
    tags: Mapping[str, str],
    subnets: Sequence[str],
    ranges: Sequence[str],
    found: SiteFacts,
) -> tuple[Resource, ...]:
    """What the spec asks for; nothing without `ingress.alb`. `ranges` are those of the targets' subnets."""
    if site.alb is None:
        return ()
    egress = tuple(sorted(f"tcp {PORT} {each}" for each in ranges))
    rules: dict[str, Value] = {"ingress": _lets_in(site, site.alb), "egress": egress}
    return (
        Resource("aws.security_group", group_name(base), rules, tags=tags),
        Resource(TARGETS, name(base), target_group(site, site.alb), tags=tags),
        Resource(BALANCER, name(base), _balancer(site, site.alb, base, subnets, found), tags=tags),
    )


def must_go(site: ResolvedSite, service: Resource) -> bool:
    """Whether a service that stands can't become what is asked for: the module `ecs_service` takes no load balancer off
    a service, and gives a name in DNS to a new one only.
    """
    is_behind, is_named = (bool(service.properties.get(key)) for key in ("load_balancers", "registries"))
    return (is_behind and not leads_to_targets(site)) or is_named != bool(site.edges)


def leads_to_targets(site: ResolvedSite) -> bool:
    """Whether the load balancer sends requests to the targets themselves."""
    return site.alb is not None and site.edges is None


def attachments(site: ResolvedSite, base: str) -> tuple[Value, ...]:
    """The load balancers of the targets' service: group, container and port."""
    if not leads_to_targets(site):
        return ()
    return ({"group": name(base), "container": container(site), "port": PORT},)


def container(site: ResolvedSite) -> str:
    return sidecar.NAME if site.sidecar else "ollama"


def grace_seconds(site: ResolvedSite) -> int:
    """So long ECS keeps a task that the load balancer finds unhealthy: as long as a deployment waits for it."""
    return int(site.deploy.ready_within) if leads_to_targets(site) else 0


def clients(site: ResolvedSite, alb: Alb) -> tuple[str, ...]:
    """Ranges that may reach it."""
    own = () if alb.scheme == "internet-facing" else (site.network.cidr,)
    return tuple(sorted({*own, *alb.allow_from}))


def ports(alb: Alb) -> tuple[int, ...]:
    return (HTTPS, HTTP) if alb.redirect else (HTTPS,)


def front_door_id(site: ResolvedSite, found: SiteFacts) -> str:
    """Whom alone it answers, where the spec asks for a Front Door and its id is known; else empty. Of one that can't be
    read, and may be there all the same, what was set stays.
    """
    if site.front_door is None:
        return ""
    standing = found.find(BALANCER)
    if found.front_door is None and standing:
        return str(standing.details.get("front_door") or "")
    return found.front_door or ""


def locks(group: str, door: str) -> tuple[str, ...]:
    """The rules of a listener that answers a Front Door alone, as they are compared: none, so that nobody is answered,
    as long as its id is not known. Any text in its place somebody could send.
    """
    if not door:
        return ()
    return (
        f"forward to {group} if {FRONT_DOOR_HEADER} is {door}",
        f"forward to {group} if {_PROBE}",
    )


def leads_past(told: str, door: str | None) -> bool:
    """Whether an action or a rule of a listener, as it is read, forwards what does not say that Front Door's id; of any
    Front Door where `door` is None, as it could not be read. Its questions for health may go to where `locks` says.
    """
    does, _, conditions = told.partition(" if ")
    asked = conditions.split(" and ")
    if "forward to " not in does or conditions == _PROBE:
        return False
    values = [each.removeprefix(f"{FRONT_DOOR_HEADER} is ") for each in asked if each.startswith(FRONT_DOOR_HEADER)]
    return not any(re.fullmatch(UUID_PATTERN, each) and door in (None, each) for each in values)


def certificate(site: ResolvedSite, alb: Alb) -> str:
    """That of the site's region; the check of the spec says that there is one."""
    return next(arn for arn in alb.certificates if of_ingress.region_of(arn) == site.region)


def web_acl(site: ResolvedSite, alb: Alb) -> str | None:
    return next((arn for arn in alb.web_acls if of_ingress.region_of(arn) == site.region), None)


def target_group(site: ResolvedSite, alb: Alb) -> Mapping[str, Value]:
    return {
        "protocol": "HTTP",
        "port": PORT,
        "type": "ip",
        "health": {**HEALTH, "path": READY if site.sidecar else "/"},
        "drain_seconds": int(alb.drain_within),
        "algorithm": ALGORITHM,
        "is_sticky": False,
    }


def notes(site: ResolvedSite) -> list[str]:
    if site.alb is None:
        return []
    who = ", ".join(clients(site, site.alb))
    if site.edges:
        alone = ", and it answers the Front Door alone" if site.front_door else ""
        return [f"the load balancer leads to {site.edges.count} edges, which ask for keys: {who} may reach it{alone}"]
    return [f"the load balancer leads to targets that ask nobody for a key: {who} may use them"]


def _balancer(site: ResolvedSite, alb: Alb, base: str, subnets: Sequence[str], found: SiteFacts) -> Mapping[str, Value]:
    https: dict[str, Value] = {
        "protocol": "HTTPS",
        "certificate": certificate(site, alb),
        "tls_policy": alb.tls_policy,
        "action": f"forward to {name(base)}",
    }
    if site.front_door:
        https |= {"action": "answer 403", "rules": locks(name(base), front_door_id(site, found))}
    http: Mapping[str, Value] = {"protocol": "HTTP", "action": f"redirect to HTTPS {HTTPS} by 301"}
    return {
        "scheme": alb.scheme,
        "subnets": tuple(sorted(subnets)),
        "security_groups": (group_name(base),),
        "idle_seconds": int(alb.idle_timeout),
        "drops_invalid_headers": True,
        "listeners": {str(HTTPS): https, **({str(HTTP): http} if alb.redirect else {})},
        "web_acl": web_acl(site, alb),
    }


def _lets_in(site: ResolvedSite, alb: Alb) -> tuple[str, ...]:
    return tuple(sorted(f"tcp {port} {source}" for port in ports(alb) for source in clients(site, alb)))
