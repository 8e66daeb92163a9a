"""Walks a plan: the sites that stay, wave by wave (`takeover.py`), then those that left the spec."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Protocol, cast

from arriero.clock import Clock, SystemClock
from arriero.deploy import runner, switch
from arriero.deploy.outcome import Outcome as Outcome
from arriero.deploy.project import Project
from arriero.deploy.takeover import Takeover
from arriero.deploy.trial.walk import Golden, unasked
from arriero.deploy.workspace import SiteHost, Workspace
from arriero.errors import Problem
from arriero.events import Event, Json, Listener
from arriero.plan.model import Cloud, Facts, Plan, SiteFacts, SitePlan
from arriero.releases.lease import Lease
from arriero.spec.model import ResolvedSite, Spec

LEAST_LEASE_SHARE = 0.25  # of the lease; below, one beat at least did not come through, and no wave begins


class VariablesModule(Protocol):
    """What each cloud's `variables.py` offers."""

    def site_variables(self, site: ResolvedSite, plan: SitePlan, found: SiteFacts) -> dict[str, Json]: ...

    def removal_variables(self, found: SiteFacts, purge: bool) -> dict[str, Json]: ...


@dataclass(frozen=True, slots=True)
class Run:
    """What every wave of one deployment shares."""

    project: Project
    environment: Mapping[str, str]
    listener: Listener
    clock: Clock = field(default_factory=SystemClock)
    golden: Golden = unasked
    lease: Lease | None = None


def variables_of(cloud: Cloud) -> VariablesModule:
    return cast(VariablesModule, import_module(f"arriero.clouds.{cloud}.variables"))


def deploy(run: Run, spec: Spec, facts: Facts, plan: Plan, beside: Sequence[SiteHost] = ()) -> Outcome:
    """Carries the plan out. A site that fails keeps what it had, and no other site's result changes by it, but that
    sites whose turn comes later don't begin.

    `beside` are stores of the ledger, made side by side with the first sites.
    """
    unread = tuple(replace(site.problem, key=f"sites.{site.site}") for site in plan.sites if site.problem)
    unread += (plan.front_door.problem,) if plan.front_door and plan.front_door.problem else ()
    leaving = [site for site in plan.sites if site.is_leaving and not site.problem]
    readable = [site for site in plan.sites if not site.is_leaving and not site.problem]
    waiting = list(beside)

    def wave(facts: Facts, sites: Sequence[SitePlan]) -> runner.RunOutcome:
        company = [waiting.pop() for _ in range(len(waiting))]
        return _without_stores(run, play(run, "every_site.yml", [*_hosts(spec, facts, sites), *company]))

    taken = Takeover(run, spec, facts, wave).all(readable)
    _without_stores(run, play(run, "every_site.yml", waiting))
    done = Outcome(problems=unread).and_then(taken)
    staying = sum(site.count for site in readable if not site.asleep)
    return _without(run, spec, [facts.sites[site.site] for site in leaving], staying, done)


def _without_stores(run: Run, outcome: runner.RunOutcome) -> runner.RunOutcome:
    """A store of the ledger that could not be made is told, and fails no deployment: it is a copy. So is a registry
    whose rules could not be set: it keeps what it has.
    """
    stores = {name: problem for name, problem in outcome.failed.items() if name.startswith(("ledger.", "registry."))}
    for name, problem in stores.items():
        part = name.partition(".")[0]
        run.listener(Event(f"{part}.lagging", run.clock.now(), part, {"text": str(problem)}))
    return replace(outcome, failed={name: p for name, p in outcome.failed.items() if name not in stores})


def _without(run: Run, spec: Spec, leaving: Sequence[SiteFacts], staying: int, done: Outcome) -> Outcome:
    """Removes the sites that left the spec, once all others are as wished and serve: until then they may be what
    serves. `staying` is how many targets the others have.
    """
    if done.problems:
        return _keeping(leaving, "it is not removed as long as other sites fail", "mend those", done)
    targets = [target.id for found in leaving for target in found.targets if target.state != "stopped"]
    if switch.unknown_heirs(run.project, [switch.Heir(min(1, staying))], targets, run.clock):
        what = "it is not removed, because the gateway sends no requests to any other site"
        return _keeping(leaving, what, "see with arriero status why it reaches none", done)
    switch.drain(run.project, targets, run.listener, run.clock)
    removed = _removal(run, spec, leaving, purge=False)
    return Outcome(done.done | removed.done, removed.problems)


def _keeping(leaving: Sequence[SiteFacts], what: str, remedy: str, done: Outcome) -> Outcome:
    again = f"{remedy}, and run arriero up again"
    return done.and_then(Outcome(problems=tuple(Problem(what, again, key=f"sites.{found.site}") for found in leaving)))


def standing(facts: Facts, only: Collection[str] | None, purge: bool = False) -> tuple[SiteFacts, ...]:
    """The sites where anything of the service stands, or can't be known to stand, also those that left the spec.

    `only` limits them. What a former `down` kept counts where that goes, too.
    """
    chosen = [found for name, found in facts.sites.items() if only is None or name in only]
    return tuple(f for f in chosen if f.resources or f.problem or _runs(f) or (purge and f.kept))


def _runs(found: SiteFacts) -> bool:
    """Whether a target of ours is still there; clouds go on telling of stopped ones for a while."""
    return any(target.state != "stopped" and not target.is_adopted for target in found.targets)


def remove(run: Run, spec: Spec, there: Sequence[SiteFacts], purge: bool) -> Outcome:
    """Removes what the sites hold; with `purge` also what `down` keeps."""
    unread = tuple(replace(found.problem, key=f"sites.{found.site}") for found in there if found.problem)
    outcome = _removal(run, spec, [found for found in there if not found.problem], purge)
    return replace(outcome, problems=(*unread, *outcome.problems))


def _removal(run: Run, spec: Spec, there: Sequence[SiteFacts], purge: bool) -> Outcome:
    hosts = [_host(spec, found, variables_of(found.cloud).removal_variables(found, purge)) for found in there]
    outcome = play(run, "remove.yml", hosts)
    return Outcome(frozenset(host.name for host in hosts) - _failed(outcome), outcome.problems)


def _hosts(spec: Spec, facts: Facts, sites: Sequence[SitePlan]) -> list[SiteHost]:
    return [
        _host(spec, found, variables_of(site.cloud).site_variables(spec.site(site.site), site, found))
        for site in sites
        for found in [facts.sites[site.site]]
    ]


def play(run: Run, playbook: str, hosts: Sequence[SiteHost]) -> runner.RunOutcome:
    """Runs a playbook of the collection at the hosts; it ends with the lease, if there is one."""
    if run.lease:
        run.lease.require(LEAST_LEASE_SHARE * run.lease.head.lease_seconds)
    if not hosts:
        return runner.RunOutcome.nothing()
    run.listener(Event("deployment.started", run.clock.now(), fields={"sites": [host.name for host in hosts]}))
    names = [host.name for host in hosts]
    with Workspace.opened(run.project.make_state() / "runs", hosts, run.clock) as workspace:
        return runner.run(workspace, playbook, run.environment, names, run.listener, run.clock, lease=run.lease)


def _host(spec: Spec, found: SiteFacts, variables: Mapping[str, Json]) -> SiteHost:
    role = spec.sites[found.site].role if found.site in spec.sites else "active"
    return SiteHost(found.site, found.cloud, found.region, role, variables)


def _failed(outcome: runner.RunOutcome) -> frozenset[str]:
    return frozenset(outcome.failed)
