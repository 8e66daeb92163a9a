"""The rules between sections, and between the spec and what the clouds sell. Each rule returns its problems, by key.

Lines are put in by the loader, which knows them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from ipaddress import IPv4Address

from arriero.catalog import catalog
from arriero.errors import Problem
from arriero.spec.check_alb import alb_problems
from arriero.spec.check_azure_edges import azure_edge_problems
from arriero.spec.check_failover import failover_problems
from arriero.spec.check_front_door import front_door_problems
from arriero.spec.check_gateway import gateway_problems
from arriero.spec.check_gpu import gpu_problems
from arriero.spec.check_image import image_problems
from arriero.spec.check_ingress import ingress_problems
from arriero.spec.check_ledger import ledger_problems
from arriero.spec.check_logs import log_problems
from arriero.spec.check_network import network_problems
from arriero.spec.check_policy import policy_problems
from arriero.spec.check_scale import scale_problems
from arriero.spec.check_secrets import secret_problems
from arriero.spec.check_size import size_problems
from arriero.spec.check_spares import spare_problems
from arriero.spec.check_spot import spot_problems
from arriero.spec.check_storage import storage_problems
from arriero.spec.check_validation import validation_problems
from arriero.spec.model import Site, Spec
from arriero.spec.suggest import suggest

# Our own settings of a server, and the key of the spec that sets each.
OWNED = {
    "OLLAMA_HOST": "every target listens on 0.0.0.0:11434",
    "OLLAMA_MODELS": "the image and the site say where models are",
    "OLLAMA_NUM_PARALLEL": "write ollama.num_parallel",
    "OLLAMA_MAX_LOADED_MODELS": "write ollama.max_loaded_models",
    "OLLAMA_MAX_QUEUE": "write ollama.max_queue",
    "OLLAMA_KEEP_ALIVE": "write ollama.keep_alive",
    "OLLAMA_CONTEXT_LENGTH": "write ollama.context_length",
}


def check(spec: Spec, own_addresses: Callable[[], Collection[str]]) -> tuple[Problem, ...]:
    """Every problem of a spec whose single values are all right. `own_addresses` is asked only if a site needs it."""
    found: list[Problem] = []
    for name, site in spec.sites.items():
        found += _place_problems(name, site)
        found += _host_problems(name, site, own_addresses)
        found += gpu_problems(spec, name, site)
    found += _adoption_problems(spec)
    found += size_problems(spec)
    found += scale_problems(spec)
    found += _role_problems(spec)
    found += _environment_problems(spec)
    found += secret_problems(spec, _owned)
    found += _model_problems(spec)
    found += _writing_problems(spec)
    found += network_problems(spec)
    found += _patience_problems(spec)
    found += log_problems(spec)
    found += _credential_problems(spec)
    found += policy_problems(spec)
    found += failover_problems(spec)
    found += ledger_problems(spec.ledger, {site.cloud for site in spec.sites.values()})
    found += gateway_problems(spec.gateway)
    found += ingress_problems(spec.ingress, spec.gateway)
    found += alb_problems(spec)
    found += azure_edge_problems(spec)
    found += front_door_problems(spec)
    found += validation_problems(spec.validation, [model.name for model in spec.models])
    found += image_problems(spec)
    found += storage_problems(spec)
    found += spot_problems(spec)
    found += spare_problems(spec)
    found += _metrics_problems(spec)
    return tuple(found)


def _place_problems(name: str, site: Site) -> Iterator[Problem]:
    key = f"sites.{name}.region"
    if site.cloud == "local":
        if site.region:
            yield Problem("a local site has no region", "remove the line", key)
        return
    examples = {"aws": "us-east-1", "azure": "eastus"}
    if not site.region:
        yield Problem("is missing", f"add the region, like region: {examples[site.cloud]}", key)
    elif catalog.region(site.cloud, site.region) is None:
        yield _unknown_region(key, site, examples[site.cloud])


def _unknown_region(key: str, site: Site, example: str) -> Problem:
    other = "azure" if site.cloud == "aws" else "aws"
    if site.region in catalog.regions(other):
        what = f"{site.region} is a region of {other}, and the site is in {site.cloud}"
        return Problem(what, f"write cloud: {other}, or a region of {site.cloud} like {example}", key)
    remedy = suggest(site.region, catalog.regions(site.cloud)) or f"write one like {example}"
    return Problem(f"{site.cloud} has no region '{site.region[:40]}'", remedy, key)


def _host_problems(name: str, site: Site, own_addresses: Callable[[], Collection[str]]) -> Iterator[Problem]:
    for key, written in (("hosts", site.hosts), ("adopt", site.adopt)):
        if site.cloud == "local":
            yield from _address_problems(f"sites.{name}.{key}", written, own_addresses)
        elif written:
            has = "has hosts" if key == "hosts" else "adopts servers"
            yield Problem(f"only a local site {has}", "remove the line", f"sites.{name}.{key}")
    if site.cloud == "local" and not site.hosts and not site.adopt:
        remedy = "add an address of this machine, like hosts: [127.0.0.1]"
        yield Problem("is missing", remedy, f"sites.{name}.hosts")


def _address_problems(
    key: str, written: tuple[str, ...], own_addresses: Callable[[], Collection[str]]
) -> Iterator[Problem]:
    addresses = {each: each.partition(":")[0] for each in written}
    others = [address for address in addresses.values() if not IPv4Address(address).is_loopback]
    own = own_addresses() if others else ()
    for index, each in enumerate(written):
        host = addresses[each]
        if each in written[:index]:
            yield Problem(f"{each} is here twice", "keep one of them", f"{key}[{index}]")
        elif host in others and host not in own:
            what = f"{host} is not an address of this machine, and other machines are not supported yet"
            yield Problem(what, "use 127.0.0.1", f"{key}[{index}]")


def _adoption_problems(spec: Spec) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for name, site in spec.sites.items():
        for index, server in enumerate(site.adopt if site.cloud == "local" else ()):
            if (owner := owners.setdefault(server, name)) != name:
                what = f"{server} is adopted by {owner} already"
                yield Problem(what, "leave it to one of them", f"sites.{name}.adopt[{index}]")


def _role_problems(spec: Spec) -> Iterator[Problem]:
    if all(site.role == "standby" for site in spec.sites.values()):
        yield Problem("no site is active", "write role: active at one of them, or leave its role out", "sites")


def _environment_problems(spec: Spec) -> Iterator[Problem]:
    sections = {"environment": spec.environment}
    sections |= {f"sites.{name}.environment": site.environment or {} for name, site in spec.sites.items()}
    for key, variables in sections.items():
        for variable in variables:
            if remedy := _owned(variable):
                yield Problem("is set by arriero", f"remove it; {remedy}", f"{key}.{variable}")


def _owned(variable: str) -> str | None:
    return "names that begin with ARRIERO_ are ours" if variable.startswith("ARRIERO_") else OWNED.get(variable)


def _model_problems(spec: Spec) -> Iterator[Problem]:
    names = [model.name for model in spec.models]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield Problem(f"{name} is here twice", "keep one of them", f"models[{index}]")


def _writing_problems(spec: Spec) -> Iterator[Problem]:
    is_baked = any(model.source == "baked" for model in spec.models)
    for name, site in spec.sites.items():
        is_others = bool(site.adopt and not site.hosts)
        if site.writable_models and is_baked and not is_others:
            what = "the models are baked into this site's image, so that the next target would not have the change"
            yield Problem(what, "remove the line", f"sites.{name}.writable_models")


def _patience_problems(spec: Spec) -> Iterator[Problem]:
    if not any(site.cloud == "aws" for site in spec.sites.values()):
        return
    limits, stop = catalog.fargate_limits(), spec.deploy.stop_within
    if not limits.stop_min_seconds <= stop <= limits.stop_max_seconds:
        what = f"is {stop}; Fargate allows {limits.stop_min_seconds}s to {limits.stop_max_seconds}s"
        yield Problem(what, f"use {limits.stop_max_seconds}s or less, 2s or more", "deploy.stop_within")


def _metrics_problems(spec: Spec) -> Iterator[Problem]:
    if spec.metrics.container_insights and not any(site.cloud == "aws" for site in spec.sites.values()):
        yield Problem("no site is in AWS, which alone has it", "remove it", "metrics.container_insights")


def _credential_problems(spec: Spec) -> Iterator[Problem]:
    given = spec.credentials
    for index, name in enumerate(given.vault):
        if name in given.vault[:index]:
            yield Problem(f"{name} is here twice", "keep one of them", f"credentials.vault[{index}]")
    if given.password_file and not given.vault:
        remedy = "name the vault too: vault: [vault.yml]"
        yield Problem("there is no vault that it is for", remedy, "credentials.password_file")
