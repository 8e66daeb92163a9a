"""Sites at Azure with GPUs: their targets are container apps, which have other limits than container groups.

Sources: https://learn.microsoft.com/azure/container-apps/custom-virtual-networks (ranges that are Azure's own), and
https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules (names).
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from arriero.catalog import gpu_machines
from arriero.errors import Problem
from arriero.spec.model import ResolvedSite, Spec

# A container app's name has 32 characters at most, and `-r12345-1234` comes behind that of the site.
LONGEST_BASE = 20
PULLING = "an image in NAME.azurecr.io is pulled with registry_identity"
RESERVED = (
    "169.254.0.0/16",
    "172.30.0.0/16",
    "172.31.0.0/16",
    "192.0.2.0/24",
    "100.100.0.0/17",
    "100.100.128.0/19",
    "100.100.160.0/19",
    "100.100.192.0/19",
)


def app_problems(spec: Spec, site: ResolvedSite, key: str) -> Iterator[Problem]:
    """`key` is `sites.NAME.gpu`, of which the type is known at Azure."""
    yield from _region_problems(site, key)
    yield from _name_problems(site, key)
    yield from _range_problems(spec, site)
    yield from company_problems(spec, site, key, "container apps", PULLING)


def _region_problems(site: ResolvedSite, key: str) -> Iterator[Problem]:
    assert site.gpu is not None
    having = gpu_machines.with_gpu(site.cloud, site.gpu.type)[0].regions
    if site.region and site.region not in having:
        source = gpu_machines.regions_known()
        what = f"{site.region} had no container apps with a {site.gpu.type} when it was looked up ({source.as_of})"
        yield Problem(what, f"move the site to one of {', '.join(having)}", key)


def _name_problems(site: ResolvedSite, key: str) -> Iterator[Problem]:
    base = f"{site.service}-{site.name}"
    if len(base) > LONGEST_BASE:
        what = f"container apps are named from {base}, which has {len(base)} characters, and may have {LONGEST_BASE}"
        yield Problem(what, "give the site or the service a shorter name", key)
    elif "--" in base:
        what = f"container apps are named from {base}, and no name of theirs may hold --"
        yield Problem(what, "give the site or the service another name", key)


def _range_problems(spec: Spec, site: ResolvedSite) -> Iterator[Problem]:
    own, network = IPv4Network(site.network.cidr), spec.sites[site.name].network
    key = f"sites.{site.name}.network.cidr" if network and "cidr" in network.model_fields_set else "network.cidr"
    if taken := next((text for text in RESERVED if IPv4Network(text).overlaps(own)), ""):
        what = f"{own} overlaps with {taken}, which Container Apps keep for themselves"
        yield Problem(what, "use another range, like 10.64.0.0/16", key)


def company_problems(spec: Spec, site: ResolvedSite, key: str, things: str, pulling: str) -> Iterator[Problem]:
    """What of the rest of the spec targets that are such `things` are not given; `pulling` says how they have an image
    without a login.
    """
    own = spec.sites[site.name]
    scale = f"sites.{site.name}.scale" if own.scale is not None and own.scale.model_fields_set else "scale"
    if site.spares:
        what = f"are kept by pools of container groups, and {key} has {things}"
        remedy = f"write sites.{site.name}.scale.spares: 0; scale.warm keeps targets ready"
        yield Problem(what, remedy, f"{scale}.spares")
    if site.scale_by == "cloud":
        what = f"has Azure watch container groups, and {key} has {things}"
        yield Problem(what, f"write sites.{site.name}.scale.by: load, or hand", f"{scale}.by")
    if site.has_workspace:
        what = f"{things} write into no workspace of ours yet, and {key} has some"
        yield Problem(what, "remove the line, or gpu", "logs.to_workspace")
    secret = {"environment_from": "remove it, or gpu", "registry_login": f"remove it, or gpu; {pulling}"}
    for name, remedy in secret.items():
        if getattr(own, name):
            what = f"{things} are given no secrets yet, and {key} has some"
            yield Problem(what, remedy, f"sites.{site.name}.{name}")
