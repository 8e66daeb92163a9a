"""What of `ingress.front_door` concerns the whole service: its name among sites, its region, and its cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from arriero.spec.model import Cloud, Spec

AT = "ingress.front_door"
# By this name it stands among the service's sites where those are listed: no site of the service may have it.
NAME = "front-door"


def region_of(spec: Spec) -> str:
    """Where the resource group of the Front Door is; empty where nothing says it."""
    door = spec.ingress.front_door
    own = door.region if door else ""
    return own or next((site.region for site in spec.sites.values() if site.cloud == "azure"), "")


def behind(spec: Spec) -> tuple[str, ...]:
    """The sites that it leads to: at AWS those with load balancers, at Azure those with edges."""
    entrances = {"aws": spec.ingress.alb, "azure": spec.ingress.edges}
    return tuple(name for name, site in spec.sites.items() if entrances.get(site.cloud))


def clouds_of(spec: Spec) -> tuple[Cloud, ...]:
    """Where something of the service stands, in the order of its first sites: the clouds of its sites, and Azure where
    it has a Front Door.
    """
    door: tuple[Cloud, ...] = ("azure",) if spec.ingress.front_door else ()
    return tuple(dict.fromkeys((*(site.cloud for site in spec.sites.values()), *door)))
