"""The rules of `ingress.front_door`: what it can lead to, and what has to be there for that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from arriero.catalog import catalog
from arriero.errors import Problem
from arriero.spec import ingress_values as of_ingress
from arriero.spec.front_door import AT, NAME, behind, region_of
from arriero.spec.ingress import FrontDoor
from arriero.spec.suggest import suggest

if TYPE_CHECKING:
    from arriero.spec.model import Spec

AZURES = ".azurefd.net"


def front_door_problems(spec: Spec) -> Iterator[Problem]:
    door = spec.ingress.front_door
    if NAME in spec.sites:  # also without one: what left the spec is told from it by its name alone
        yield Problem("is what a Front Door is called among sites", "give the site another name", f"sites.{NAME}")
    if door is None:
        return
    yield from _origin_problems(spec)
    yield from _place_problems(spec, door)
    yield from _name_problems(door)
    yield from _firewall_problems(spec, door)
    timeout, key = door.response_timeout, f"{AT}.response_timeout"
    if timeout > of_ingress.MOST_RESPONSE_SECONDS:
        what = f"is {timeout}, and Front Door waits for an answer to begin for 240s at most"
        yield Problem(what, "write 240s, or remove the line; clients keep longer waits alive by X-Arriero-Warming", key)
    elif timeout < of_ingress.LEAST_RESPONSE_SECONDS:
        yield Problem(f"is {timeout}, and Front Door's least is 16s", "write 16s or more, or remove the line", key)
    if spec.gateway.front_door:
        what = "is the id of a Front Door of yours, and the sites answer the one of ingress.front_door alone"
        yield Problem(what, "remove one of the two", "gateway.front_door")


def _origin_problems(spec: Spec) -> Iterator[Problem]:
    alb = spec.ingress.alb
    if alb is None and not behind(spec):
        what = "has nothing to lead to: neither load balancers of AWS sites nor edges at Azure sites are asked for"
        yield Problem(what, "add ingress.alb with edges, or ingress.edges; or remove it", AT)
    if alb is None:
        return
    if alb.edges is None:
        what = "everybody may come through it, and what stands behind the load balancers asks nobody for a key"
        yield Problem(what, "put edges behind them: ingress.alb.edges", AT)
    if alb.scheme == "internal":
        what = "is internal, and Front Door reaches public addresses only"
        yield Problem(what, "write scheme: internet-facing; it answers that Front Door alone", "ingress.alb.scheme")


def _name_problems(door: FrontDoor) -> Iterator[Problem]:
    for index, name in enumerate(door.hosts):
        key = f"{AT}.hosts[{index}]"
        if name in door.hosts[:index]:
            yield Problem(f"{name} is here twice", "keep one of them", key)
        if name.endswith(AZURES):
            yield Problem(f"{name} is Azure's, which gives one such name by itself", "name one of your own DNS", key)


def _firewall_problems(spec: Spec, door: FrontDoor) -> Iterator[Problem]:
    """A policy is put before Front Doors of its own subscription."""
    wanted = door.web_application_firewall
    own = of_ingress.subscription_of(wanted).lower() if wanted else ""
    if wanted and spec.accounts.azure and own != spec.accounts.azure.lower():
        what = f"is of the subscription {own}, and the spec's is {spec.accounts.azure}"
        yield Problem(what, "name one of that subscription", f"{AT}.web_application_firewall")


def _place_problems(spec: Spec, door: FrontDoor) -> Iterator[Problem]:
    key, regions = f"{AT}.region", catalog.regions("azure")
    if not region_of(spec):
        yield Problem("is missing, and no site is at Azure to take it from", "add one, like region: westeurope", key)
    elif door.region and catalog.region("azure", door.region) is None:
        remedy = suggest(door.region, regions) or "write one like westeurope"
        yield Problem(f"azure has no region '{door.region[:40]}'", remedy, key)
