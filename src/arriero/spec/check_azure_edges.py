"""The rules of `ingress.edges`: what a container app of gateways at an Azure site can't have, or can't stand before.

A quarter of a site's range is theirs, and Azure wants a /27 at least, which the least range that a site may have gives.
Sources: https://learn.microsoft.com/azure/container-apps/custom-virtual-networks (that, and the ranges that are Azure's
own), and https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
(names).
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from arriero.errors import Problem
from arriero.spec.check_apps import RESERVED
from arriero.spec.gpu import is_virtual
from arriero.spec.image import AZURES_REGISTRY, registry_of

if TYPE_CHECKING:
    from arriero.spec.model import ResolvedSite, Spec

AT = "ingress.edges"
# A container app's name has 32 characters at most, and `-edge` comes behind that of the site.
LONGEST_BASE = 27


def azure_edge_problems(spec: Spec) -> Iterator[Problem]:
    if spec.ingress.edges is None:
        return
    sites = [spec.site(name) for name, site in spec.sites.items() if site.cloud == "azure"]
    if not sites:
        yield Problem("no site is at Azure, which alone has these", "remove it; at AWS there is ingress.alb.edges", AT)
        return
    yield from _company_problems(spec)
    for site in sites:
        yield from _site_problems(spec, site)


def _company_problems(spec: Spec) -> Iterator[Problem]:
    if not spec.sidecar:
        what = "edges run from the targets' image, in which there is no arriero: sidecar is false"
        yield Problem(what, "take an image that has it and remove sidecar, or remove edges", AT)
    for key, needed in (("shared_limits", spec.gateway.shared_limits), ("otlp_endpoint", spec.gateway.otlp_endpoint)):
        if needed and not (spec.ingress.alb and spec.ingress.alb.edges):  # which says so itself
            what = "the image that edges run from lacks the packages for it"
            yield Problem(what, "remove it, or remove ingress.edges", f"gateway.{key}")
    yield from _client_problems(spec, spec.ingress.edges.allow_from if spec.ingress.edges else ())
    if spec.deploy.is_canary and spec.ingress.alb is None:  # which says so itself
        what = "edges in a cloud know no shares, so a trial would get as much as its targets bear"
        yield Problem(what, "write rolling, or remove ingress.edges", "deploy.strategy")


def _client_problems(spec: Spec, ranges: tuple[str, ...]) -> Iterator[Problem]:
    """Ingress compares who connects to it: behind a Front Door that is no client."""
    if ranges and (spec.ingress.front_door or spec.gateway.front_door):
        what = "is about clients, and edges are reached by Front Door, from ranges of Microsoft's that change: its tag "
        what += "AzureFrontDoor.Backend can't be said here"
        yield Problem(what, "remove it: they answer that Front Door alone", f"{AT}.allow_from")
    for index, source in enumerate(ranges):
        if source in ranges[:index]:
            yield Problem(f"{source} is here twice", "keep one of them", f"{AT}.allow_from[{index}]")


def _site_problems(spec: Spec, site: ResolvedSite) -> Iterator[Problem]:
    at, base = f"sites.{site.name}", f"{site.service}-{site.name}"
    if site.gpu:
        things = "virtual machines" if is_virtual(site.gpu) else "container apps"
        what = f"its targets are {things}, and no edges are made before those yet"
        yield Problem(what, "remove gpu, or ingress.edges", f"{at}.gpu")
    if len(base) > LONGEST_BASE:
        what = f"edges are named from {base}, which has {len(base)} characters, and may have {LONGEST_BASE}"
        yield Problem(what, "give the site or the service a shorter name", at)
    elif "--" in base:
        what = f"edges are named from {base}, and no container app's name may hold --"
        yield Problem(what, "give the site or the service another name", at)
    if site.registry_login and not registry_of(site.image).endswith(AZURES_REGISTRY):
        what = "edges are given no login to a registry but Azure's own, where their identity pulls"
        yield Problem(what, f"keep the image in NAME{AZURES_REGISTRY}, or remove ingress.edges", f"{at}.registry_login")
    yield from _range_problems(spec, site)


def _range_problems(spec: Spec, site: ResolvedSite) -> Iterator[Problem]:
    own, network = IPv4Network(site.network.cidr), spec.sites[site.name].network
    key = f"sites.{site.name}.network.cidr" if network and "cidr" in network.model_fields_set else "network.cidr"
    if taken := next((text for text in RESERVED if IPv4Network(text).overlaps(own)), ""):
        what = f"{own} overlaps with {taken}, which Container Apps keep for themselves"
        yield Problem(what, "use another range, like 10.64.0.0/16", key)
