"""The whole world at once: every site's facts, read side by side."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from typing import Protocol, cast, get_args

from arriero.clock import Clock, SystemClock
from arriero.clouds.endpoints import Endpoints
from arriero.cost import private_endpoint
from arriero.errors import CloudError, Problem, Refused
from arriero.plan import front_door, purging, registries
from arriero.plan.model import Cloud, Facts, SiteFacts, SiteRef, StoreFacts, TargetFacts
from arriero.plan.registries import Place
from arriero.plan.wanted import azure_secrets
from arriero.spec.front_door import AT, NAME, region_of
from arriero.spec.front_door import clouds_of as where
from arriero.spec.gpu import is_virtual
from arriero.spec.model import ResolvedSite, Spec


class FactsModule(Protocol):
    """What each cloud's `facts.py` offers."""

    def account(self) -> str: ...

    def read_site(self, ref: SiteRef) -> SiteFacts: ...

    def read_targets(self, ref: SiteRef) -> tuple[TargetFacts, ...]: ...

    def other_sites(self, service: str, known: Collection[str]) -> tuple[SiteRef, ...]: ...


def facts_of(cloud: Cloud) -> FactsModule:
    """The cloud's reader, imported when first needed: an SDK that no site uses costs nothing."""
    return cast(FactsModule, import_module(f"arriero.clouds.{cloud}.facts"))


def refs(spec: Spec, only: Collection[str] | None = None) -> tuple[SiteRef, ...]:
    return tuple(_ref(spec.site(name)) for name in spec.sites if only is None or name in only)


def _ref(site: ResolvedSite) -> SiteRef:
    given = site.network if site.cloud == "aws" else None
    return SiteRef(
        site.service,
        site.name,
        site.cloud,
        site.region,
        site.hosts,
        site.adopt,
        vpc=(given.vpc or "") if given else "",
        subnets=given.subnets if given else (),
        secrets=azure_secrets.references(site) if site.cloud == "azure" else (),
        spares=site.spares > 0,
        vaults=private_endpoint.vaults(site),
        registry=private_endpoint.registry(site),
        machines=site.gpu is not None,
        virtual=is_virtual(site.gpu),
        managed=site.gpu is not None and site.gpu.is_managed,
        edges=site.edges is not None or site.azure_edges is not None,
        has_workspace=site.has_workspace,
    )


def read(spec: Spec, only: Collection[str] | None = None, clock: Clock | None = None) -> Facts:
    """Facts of every site in the spec; a site that can't be read carries its problem and hides no other's facts."""
    with ThreadPoolExecutor(2, thread_name_prefix="read") as pool:
        door = pool.submit(_front_door, spec)
        found = pool.submit(read_sites, refs(spec, only))
        facts = Facts(spec.name, found.result(), read_at=(clock or SystemClock()).now())
        return with_front_door(facts, door.result())


def front_door_of(spec: Spec, facts: Facts) -> Facts:
    """The facts with the service's Front Door as it is now, where the spec asks for one."""
    return with_front_door(facts, _front_door(spec))


def with_front_door(facts: Facts, door: SiteFacts | None) -> Facts:
    """The facts with that Front Door, whose id sites then know; as they are where there is none."""
    if door is None:
        return facts
    told = None if door.problem else front_door.id_of(door)
    known = {name: replace(found, front_door=told) for name, found in facts.sites.items()}
    return replace(facts, front_door=door, sites=known)


def _front_door(spec: Spec) -> SiteFacts | None:
    """What stands of it, or why nobody can tell; None where the spec asks for none: that costs no call."""
    if spec.ingress.front_door is None:
        return None
    region = region_of(spec)
    try:
        found: SiteFacts = import_module("arriero.clouds.azure.front_door").read(spec.name, region)
    except CloudError as error:
        return SiteFacts(NAME, "azure", region, problem=replace(error.problems[0], key=AT))
    return found


def read_sites(wanted: Collection[SiteRef]) -> Mapping[str, SiteFacts]:
    with ThreadPoolExecutor(max_workers=max(1, len(wanted)), thread_name_prefix="facts") as pool:
        return {found.site: found for found in pool.map(_read_one, wanted)}


def read_all(spec: Spec, endpoints: Endpoints, clock: Clock | None = None) -> Facts:
    """As `read`, with the sites that carry the service's tags although the spec no longer names them."""
    clouds = clouds_of(spec, endpoints)
    with ThreadPoolExecutor(max_workers=len(clouds) + 1, thread_name_prefix="all") as pool:
        known = pool.submit(read, spec, clock=clock)
        asked = list(pool.map(lambda cloud: _left_in(cloud, spec), clouds))
    left = [ref for found in asked if not isinstance(found, Problem) for ref in found]
    facts = known.result()
    unasked = tuple(found for found in asked if isinstance(found, Problem))
    return replace(facts, sites={**facts.sites, **(read_sites(left) if left else {})}, unasked=unasked)


def with_secrets(facts: Facts, spec: Spec) -> Facts:
    """The facts with the versions of secrets, the vaults, the registry and the Front Door that this spec names and the
    one that they were read for did not: a former release has its own.
    """
    more: dict[str, SiteFacts] = {}
    for ref in refs(spec):
        found = facts.sites.get(ref.site)
        if found is None or found.problem:
            continue
        if not set(ref.secrets) <= found.secrets.keys():
            newest = import_module("arriero.clouds.azure.vaults").connect().newest
            lacking = {each: newest(each) for each in ref.secrets if each not in found.secrets}
            found = replace(found, secrets={**found.secrets, **lacking})
        if not {*ref.vaults, *filter(None, [ref.registry])} <= {each.name for each in found.given}:
            found = replace(found, given=import_module("arriero.clouds.azure.private_link").given_of(ref))
        more[ref.site] = found
    facts = replace(facts, sites={**facts.sites, **more})
    return facts if facts.front_door else front_door_of(spec, facts)


def image_registries(spec: Spec, accounts: Mapping[str, str]) -> tuple[StoreFacts, ...]:
    """Those that the image is in: a repository of ECR, if it is of this account, with its copies in other regions; and
    a registry of ACR.
    """
    found: list[StoreFacts] = []
    if (place := registries.place(spec)) and accounts.get("aws") == place.account:
        found += _in_ecr(spec, place)
    if (purged := purging.place(spec)) and accounts.get("azure"):
        found.append(import_module("arriero.clouds.azure.registry").read(purged, registries.abroad(spec)))
    return tuple(found)


def with_images(facts: Facts, spec: Spec) -> Facts:
    """The facts with whether each copy's repository holds the image of this spec. It is asked once it is known which
    will be deployed: not always the one that the spec's tag stands for in that region.
    """
    copies = {(copy.region, copy.name): copy for copy in registries.copies(spec)}
    if not copies or not facts.registries:
        return facts
    module, wanted = import_module("arriero.clouds.aws.repository"), registries.wanted_of(spec)

    def looked_into(found: StoreFacts) -> StoreFacts:
        copy = copies.get((found.region, found.name)) if found.is_there else None
        return cast(StoreFacts, module.looked_into(found, copy, wanted)) if copy else found

    with ThreadPoolExecutor(len(facts.registries), thread_name_prefix="images") as pool:
        return replace(facts, registries=tuple(pool.map(looked_into, facts.registries)))


def _in_ecr(spec: Spec, home: Place) -> list[StoreFacts]:
    """The repository, and beside it its copies, each in its own region, which may be the one that is lost."""
    module, copies = import_module("arriero.clouds.aws.repository"), registries.copies(spec)
    with ThreadPoolExecutor(1 + len(copies), thread_name_prefix="registries") as pool:
        first = pool.submit(module.read, home, [copy.region for copy in copies])
        others = [pool.submit(module.read, copy) for copy in copies]
        return [each.result() for each in (first, *others)]


def clouds_of(spec: Spec, endpoints: Endpoints) -> tuple[Cloud, ...]:
    """Where sites of the service may stand: its clouds now, those whose account is pinned, and this machine."""
    pinned = {cloud for cloud, account in spec.accounts.model_dump().items() if account} | endpoints.accounts.keys()
    used = {*where(spec), *pinned, "local"}
    return tuple(cloud for cloud in get_args(Cloud) if cloud in used)


def check_accounts(spec: Spec, endpoints: Endpoints) -> Mapping[str, str]:
    """The account found in each cloud of the spec, by the very first call made there.

    A cloud that can't be asked is left out: its sites' facts will carry the problem, and nothing is done there.
    Raises Refused where an account is not the pinned one (by the Endpoints, else by the spec's `accounts`).
    """
    pinned = {**{k: v for k, v in spec.accounts.model_dump().items() if v}, **endpoints.accounts}
    clouds = sorted(where(spec))
    with ThreadPoolExecutor(max_workers=len(clouds), thread_name_prefix="account") as pool:
        answers = zip(clouds, pool.map(_account, clouds), strict=True)
        found: dict[str, str] = {cloud: account for cloud, account in answers if account}
    wrong = [
        Problem(
            f"these credentials lead to account {found[cloud]}, and this deployment may only touch {pinned[cloud]}",
            "use other credentials, or correct `accounts` in the spec",
            key=f"accounts.{cloud}",
        )
        for cloud in found
        if pinned.get(cloud, found[cloud]) != found[cloud]
    ]
    if wrong:
        raise Refused(wrong)
    return found


def refuse_unpinned(spec: Spec, facts: Facts, endpoints: Endpoints) -> None:
    """Before anything is changed: raises Refused where sites are in an account that nobody named."""
    pinned = {cloud for cloud, account in spec.accounts.model_dump().items() if account} | endpoints.accounts.keys()
    places = [*facts.sites.values(), *([facts.front_door] if facts.front_door else [])]
    found = {site.cloud: site.account for site in places if site.account and site.cloud != "local"}
    problems = [
        Problem(
            f"these credentials lead to account {account}, and the spec doesn't say that it is the right one",
            f"if it is, write accounts: {{{cloud}: '{account}'}}",
            key=f"accounts.{cloud}",
        )
        for cloud, account in sorted(found.items())
        if cloud not in pinned
    ]
    if problems:
        raise Refused(problems)


def _left_in(cloud: Cloud, spec: Spec) -> tuple[SiteRef, ...] | Problem:
    try:
        return facts_of(cloud).other_sites(spec.name, {*spec.sites, *([NAME] if spec.ingress.front_door else [])})
    except CloudError as error:
        return replace(error.problems[0], key=cloud)


def _account(cloud: Cloud) -> str:
    try:
        return facts_of(cloud).account()
    except CloudError:
        return ""


def _read_one(ref: SiteRef) -> SiteFacts:
    try:
        return facts_of(ref.cloud).read_site(ref)
    except CloudError as error:
        return SiteFacts(ref.site, ref.cloud, ref.region, problem=error.problems[0])
