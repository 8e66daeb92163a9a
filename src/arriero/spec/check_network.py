"""The spec's networks: what ranges, ids and ways out can't be together, and what a cloud has not.

`network.vpc` and its subnets are of one region, so only a site has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, ip_network

from arriero.errors import Problem
from arriero.spec.image import ecr_region
from arriero.spec.model import ResolvedSite, Spec
from arriero.spec.network import Network


def network_problems(spec: Spec) -> Iterator[Problem]:
    sections = {"network": spec.network}
    sections |= {f"sites.{name}.network": site.network for name, site in spec.sites.items() if site.network}
    for key, network in sections.items():
        yield from _range_problems(key, network, (network.mode or spec.default_mode) == "private")
    if spec.network.vpc or spec.network.subnets:
        what = "a VPC is in one region, and this section is for all sites"
        yield Problem(what, "move vpc and subnets to a site: sites.NAME.network", "network.vpc")
    for name in spec.sites:
        yield from _site_problems(spec, spec.site(name))


def is_in_ecr(site: ResolvedSite) -> bool:
    """Whether AWS's own endpoints lead to the site's image: it is in ECR, in the site's region."""
    return ecr_region(site.image) == site.region


def _range_problems(key: str, network: Network, is_private: bool) -> Iterator[Problem]:
    own = IPv4Network(network.cidr)
    for index, text in enumerate(network.allow_from):
        where = f"{key}.allow_from[{index}]"
        if text in network.allow_from[:index]:
            yield Problem(f"{text} is here twice", "keep one of them", where)
        elif is_private and ip_network(text).is_global:
            what = f"{text} is a public range, and nothing leads from there into a private network"
            yield Problem(what, "name the private range that your clients come from, or write mode: public", where)
        elif not is_private and IPv4Network(text).subnet_of(own):
            yield Problem(f"{text} is in the site's own range {own}, which may anyway", "remove it", where)


def _site_problems(spec: Spec, site: ResolvedSite) -> Iterator[Problem]:
    own, key = spec.sites[site.name].network, f"sites.{site.name}.network"
    if site.cloud != "azure" and own and own.private_endpoints:
        what = f"only a site in azure has private endpoints, and this one is in {site.cloud}"
        yield Problem(what, "remove it", f"{key}.private_endpoints")
    if site.cloud == "azure" and site.network.private_endpoints:
        where = f"{key}.private_endpoints" if own and own.private_endpoints else "network.private_endpoints"
        yield from _private_endpoint_problems(site, where)
    if site.cloud != "aws":
        if own and (own.vpc or own.subnets):
            yield Problem(f"only a site in aws has a VPC, and this one is in {site.cloud}", "remove it", f"{key}.vpc")
        return
    network = site.network
    if network.vpc and not network.subnets:
        yield Problem("names no subnets", "add subnets: [subnet-…, subnet-…], in two zones", f"{key}.vpc")
    elif network.subnets and not network.vpc:
        yield Problem("are of no VPC", "add vpc: vpc-…", f"{key}.subnets")
    elif len(set(network.subnets)) < len(network.subnets):
        yield Problem("names a subnet twice", "keep one of them", f"{key}.subnets")
    if network.way_out != "cheapest":
        where = f"{key}.way_out" if own and "way_out" in own.model_fields_set else "network.way_out"
        yield from _way_out_problems(spec, site, where)


def _private_endpoint_problems(site: ResolvedSite, key: str) -> Iterator[Problem]:
    given = asked = site.network.private_endpoints
    if not site.network.is_private:
        what = f"{site.name} is public, and private endpoints are for a private network"
        yield Problem(what, "remove it, or write mode: private", key)
        asked = ()
    if "vault" in asked and not site.environment_from and not site.registry_login:
        yield Problem(f"{site.name} has no secret in Key Vault", "remove vault", key)
    if "registry" in asked and not site.registry_identity:
        what = f"images are pulled through a private endpoint with a managed identity only, and {site.name} has none"
        yield Problem(what, f"write sites.{site.name}.registry_identity, or remove registry", key)
    for name in sorted({each for each in given if given.count(each) > 1}):
        yield Problem(f"names {name} twice", "keep one of them", key)


def _way_out_problems(spec: Spec, site: ResolvedSite, key: str) -> Iterator[Problem]:
    network = site.network
    if not network.is_private:
        what = f"targets of {site.name} have public addresses as their way out"
        yield Problem(what, "remove it, or write mode: private", key)
    elif network.vpc:
        what = f"{site.name} stands in your own VPC, whose ways out are yours"
        yield Problem(what, "remove it", key)
    elif network.way_out == "endpoints":
        if not is_in_ecr(site):
            what = f"{site.name} pulls {site.image}, to which no endpoint leads: it is not in ECR of {site.region}"
            yield Problem(what, "push it there and name it so, or write way_out: nat", key)
        stored = [model.name for model in spec.models if model.source == "storage"]
        if stored:
            what = f"{', '.join(stored)} is pulled into the storage from outside, to which no endpoint leads"
            yield Problem(what, "write way_out: nat, or bake the model", key)
