"""From the wish and the world to a Plan: which release, how many targets where, and what differs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Protocol, cast

from arriero.errors import Problem, Refused
from arriero.plan import front_door, order, registries, sleep, stores
from arriero.plan.compare import compare
from arriero.plan.definition import definition_hash as definition_hash
from arriero.plan.model import Change, Cloud, Facts, LastRelease, Plan, Resource, SiteFacts, SitePlan, Step, Value
from arriero.plan.wanted import azure_secrets, storage
from arriero.spec.model import ResolvedSite, Spec
from arriero.spec.schedule import Standing

LEFT = "its site is no longer in the spec"
RELEASE_TAG, DEFINITION_TAG = "arriero-release", "arriero-definition"


class WantedModule(Protocol):
    """What each module of `plan/wanted/` offers."""

    KINDS: Mapping[str, str]
    IMMUTABLE: Mapping[str, tuple[str, ...]]

    def definition(self, site: ResolvedSite) -> Mapping[str, Value]: ...

    def wanted(
        self, site: ResolvedSite, found: SiteFacts, release: int, count: int, digest: str
    ) -> tuple[Resource, ...]: ...

    def notes(self, site: ResolvedSite) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Recorded:
    """The newest release whose things a site holds, and the hash of what its targets were made from."""

    release: int
    digest: str


def wanted_of(cloud: Cloud) -> WantedModule:
    """The cloud's module of `plan/wanted/`."""
    return cast(WantedModule, import_module(f"arriero.plan.wanted.{cloud}"))


def plan(spec: Spec, facts: Facts, only: Collection[str] | None = None) -> Plan:
    """The steps from `facts` to `spec`, active sites first, sites that left the spec last.

    `only` leaves all other sites as they are.
    """
    names = [name for name in spec.sites if only is None or name in only]
    sites = sorted((spec.site(name) for name in names), key=lambda site: site.role == "standby")
    digests = {site.name: definition_hash(wanted_of(site.cloud).definition(site)) for site in sites}
    number = next_release(digests, {name: recorded(found) for name, found in facts.sites.items()}, facts.last)
    staying = [_site_plan(site, facts, number, digests[site.name]) for site in sites]
    left = [found for name, found in facts.sites.items() if name not in spec.sites and (only is None or name in only)]
    leaving = (_leaving_plan(found) for found in left if _is_there(found))
    kept = registries.plans(spec, facts.registries)
    door = front_door.plan(spec, facts, _readable(staying))
    return Plan(spec.name, number, (*staying, *leaving), stores.plans(spec, facts.stores), kept, door)


@dataclass(frozen=True, slots=True)
class Former:
    """What stood at a site when a release ran: under which number (a release may leave a site as it was), the hash of
    what its targets were made from, and its ECS `family:5`.
    """

    release: int
    definition: str
    revision: str = ""


def plan_again(
    spec: Spec, facts: Facts, release: int, former: Mapping[str, Former], only: Collection[str] | None = None
) -> Plan:
    """The steps back to a release: `spec` is its own, `former` by site. Sites that it did not have are left alone."""
    names = [name for name in former if name in spec.sites and (only is None or name in only)]
    sites = sorted((spec.site(name) for name in names), key=lambda site: site.role == "standby")
    plans = [
        replace(
            _site_plan(site, facts, former[site.name].release, former[site.name].definition),
            revision=former[site.name].revision,
        )
        for site in sites
    ]
    door = front_door.plan(spec, facts, _readable(plans))
    return Plan(spec.name, release, tuple(plans), stores.plans(spec, facts.stores), (), door)


def next_release(
    digests: Mapping[str, str], known: Mapping[str, Recorded | None], last: LastRelease | None = None
) -> int:
    """The number under which changed sites are released.

    A site that lags behind (its last deployment failed, or it is new) joins the newest release; a site for which the
    newest one was something else than what is wished now, by the ledger or by its own tags, makes a new number.
    """
    current = max((r.release for r in known.values() if r), default=0)
    current = max(current, last.number if last else 0)
    outdated = [r for name, digest in digests.items() if (r := known.get(name)) and r.digest != digest]
    promised = last.definitions if last and last.number == current else {}
    is_new = any(promised.get(name, digest) != digest for name, digest in digests.items())
    return current + 1 if is_new or any(r.release == current for r in outdated) else max(current, 1)


def recorded(found: SiteFacts) -> Recorded | None:
    """What the site's own tags say was released there last; None where nothing was."""
    released = [
        Recorded(int(r.tags[RELEASE_TAG]), r.tags[DEFINITION_TAG])
        for r in found.resources
        if DEFINITION_TAG in r.tags and r.tags.get(RELEASE_TAG, "").isdecimal()
    ]
    return max(released, key=lambda r: r.release, default=None)


def count(site: ResolvedSite, found: SiteFacts) -> int:
    """How many targets the site shall run: as many as now, kept within min and max; min where nothing was released,
    and one more where that is none and users are served.

    Adopted servers count, too.
    """
    if recorded(found) is None:
        return site.min or (1 if site.role == "active" else 0)  # a release is proven by one that answers
    return max(site.min, min(found.count + len(site.adopt), site.max))


def _count(site: ResolvedSite, found: SiteFacts, rest: Standing | None, slept: int | None) -> int:
    """As `count`; none of our own while the site is off, and as many as fell asleep when it wakes."""
    if rest and rest.is_off:
        return len(site.adopt)
    if rest and slept is not None and not found.count:
        return max(site.min, min(slept, site.max))
    return count(site, found)


def _least_to_wake_from(module: WantedModule, site: ResolvedSite, found: SiteFacts, release: int, digest: str) -> int:
    """How many targets a site has to have had run, so that it can be woken from nothing. Where a cloud makes targets
    from such a one, another release runs one, though nobody asks.
    """
    has_rest = getattr(module, "has_rest", None)
    return 0 if has_rest is None or has_rest(site, found, release, digest) else 1


def _unplanned(site: ResolvedSite, release: int, number: int, problem: Problem) -> SitePlan:
    return SitePlan(site.name, site.cloud, release, number, (), problem=problem, region=site.region)


def _readable(plans: Collection[SitePlan]) -> tuple[str, ...]:
    return tuple(each.site for each in plans if not each.problem)


def _is_there(found: SiteFacts) -> bool:
    return bool(found.resources or found.problem)


def _leaving_plan(found: SiteFacts) -> SitePlan:
    before = recorded(found)
    release = before.release if before else 0
    if found.problem:
        return SitePlan(found.site, found.cloud, release, 0, (), (), (), found.problem, found.region, is_leaving=True)
    going = [resource for resource in found.resources if resource.kind not in storage.KEPT_KINDS]
    changes = tuple(Change(found.site, "remove", r.kind, r.name, LEFT) for r in going)
    steps = (Step(found.site, order.REMOVE, changes),)
    return SitePlan(found.site, found.cloud, release, 0, (), steps, region=found.region, is_leaving=True)


def _site_plan(site: ResolvedSite, facts: Facts, number: int, digest: str) -> SitePlan:
    found = facts.sites[site.name]
    if found.problem:
        return _unplanned(site, number, site.min, found.problem)
    module, before = wanted_of(site.cloud), recorded(found)
    release = before.release if before and before.digest == digest else number
    rest = sleep.standing_of(site, facts.orders, facts.read_at)
    targets = _count(site, found, rest, facts.orders.counts.get(site.name))
    if not targets and site.role == "active" and not (rest and rest.is_off):
        targets = _least_to_wake_from(module, site, found, release, digest)
    if sleep.is_ordered(site, facts.orders, facts.read_at):
        site = site.model_copy(update={"is_ordered": True})
    try:
        own = max(0, targets - len(site.adopt))
        wanted = module.wanted(site, found, release, own, digest)
    except Refused as error:
        return _unplanned(site, release, targets, error.problems[0])
    # Where each target is a thing of its own, a removal has its reason: it drifted, failed or is of a past release.
    explain = getattr(module, "removal_reasons", None)
    reasons = explain(site, found, release, own, digest) if explain else None
    changes = compare(site.name, wanted, found.resources, module.IMMUTABLE, reasons)
    return SitePlan(
        site=site.name,
        cloud=site.cloud,
        release=release,
        count=targets,
        wanted=wanted,
        steps=order.steps(site.name, changes, module.KINDS),
        notes=(*module.notes(site), *azure_secrets.unread(found)),
        region=site.region,
        adopted=tuple(target for target in found.targets if target.is_adopted),
        asleep=sleep.sentence(rest, site) if rest and rest.is_off else "",
    )
