"""Tells what sites' storages hold, and takes out what no release needs any more: a job at each, under the lease.

    ledger, facts -> decided (pure, `plan/cleaning.py`) -> lease -> the role's step `clean` -> its reports

The lease keeps deployments away meanwhile: what they would put there, or go back to, can't go under their hands.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from arriero.deploy import engine, releasing
from arriero.deploy.engine import Run
from arriero.deploy.workspace import SiteHost
from arriero.errors import ArrieroError, Problem, Refused
from arriero.plan import cleaning
from arriero.plan.cleaning import Cleaning, Named
from arriero.plan.model import Facts, Plan, SiteFacts
from arriero.plan.wanted import storage
from arriero.releases.opening import Opened
from arriero.releases.record import Release, spec_of
from arriero.spec.model import ResolvedSite, Spec

_AGAIN = "mend that and run arriero models again"


@dataclass(frozen=True, slots=True)
class Stored:
    """A model as it lies in a storage: its bytes, and whether it stays, goes, or is unknown and stays."""

    name: str
    size: int
    state: str


@dataclass(frozen=True, slots=True)
class Report:
    """What the job of a site tells. `freed` is what goes in bytes: of files that no other model has. `strange` are
    files of unknown origin, the first of `strange_count`.
    """

    site: str
    models: tuple[Stored, ...]
    freed: int
    strange: tuple[str, ...]
    strange_count: int

    @property
    def going(self) -> tuple[Stored, ...]:
        return tuple(model for model in self.models if model.state == "goes")


def storing(spec: Spec, only: Collection[str] | None) -> tuple[ResolvedSite, ...]:
    """The sites with models from storage. Raises Refused where there is none among those that are asked for."""
    chosen = [spec.site(name) for name in spec.sites if only is None or name in only]
    found = tuple(site for site in chosen if storage.is_used(site))
    if not found:
        what = "no model comes from a storage there" if only else "no model comes from a storage"
        raise Refused(Problem(what, "what a former spec left there goes with arriero down --purge", key="models"))
    return found


def decided(sites: Sequence[ResolvedSite], opened: Opened, facts: Facts, keep: int) -> Mapping[str, Cleaning]:
    """What each site's releases need. Raises Refused with every reason why that can't be known."""
    if opened.head.open:
        what = f"the deployment of release {opened.head.open.release} has not ended"
        raise Refused(Problem(what, "run arriero up first, which resumes it or undoes it"))
    if problems := [problem for site in sites for problem in _objections(facts.sites[site.name])]:
        raise Refused(problems)
    releases, stable = opened.ledger.releases(), opened.head.stable
    specs = [(release, _spec_of(release)) for release in releases]
    known, found = {release.number for release in releases}, {}
    for site in sites:
        named = [
            Named(release.number, storage.stored(spec.site(site.name)), _stood(release, site.name))
            for release, spec in specs
            if site.name in spec.sites
        ]
        running = _running(facts.sites[site.name])
        if unknown := sorted(running - known):
            what = f"release {unknown[0]} runs there, and no ledger knows what it needs"
            raise Refused(Problem(what, "run arriero up, which records what stands", key=f"sites.{site.name}"))
        besides = {stable or 0, *_marked(facts.sites[site.name], named)}
        found[site.name] = cleaning.decide(named, running, besides, storage.stored(site), keep)
    return found


def carry_out(
    run: Run,
    spec: Spec,
    opened: Opened,
    facts: Facts,
    plan: Plan,
    wanted: Mapping[str, Cleaning],
    *,
    is_listing: bool,
) -> tuple[tuple[Report, ...], tuple[Problem, ...]]:
    """Runs the jobs side by side; a site that fails has a problem and no report. Raises Held, Lost, Refused."""
    lease = releasing.take(opened.ledger, run, spec, "models")
    try:
        lease.keep()
        known = opened.last.number if opened.last else 0
        if lease.epoch != opened.epoch + 1 or lease.head.last != known or lease.head.open:
            raise Refused(Problem("another deployment came between", "run it again", key="ledger"))
        with TemporaryDirectory(dir=run.project.make_state(), prefix="models-") as folder:
            hosts = list(_hosts(spec, facts, plan, wanted, Path(folder), is_listing))
            outcome = engine.play(replace(run, lease=lease), "every_site.yml", hosts)
            read = [_report(host.name, Path(folder)) for host in hosts if host.name in outcome.ok]
    finally:
        lease.release()
    failed = [replace(p, remedy=_AGAIN) if "arriero up" in p.remedy else p for p in outcome.problems]
    reports = tuple(each for each in read if isinstance(each, Report))
    return reports, (*failed, *(each for each in read if isinstance(each, Problem)))


def _objections(found: SiteFacts) -> Iterator[Problem]:
    key = f"sites.{found.site}"
    if found.problem:
        yield replace(found.problem, key=key)
    elif not any(target.state == "ready" and target.release for target in found.targets):
        what = "no target is ready there, so a release may still need what it goes back to"
        yield Problem(what, "run arriero up first, or wake it", key=key)


def _running(found: SiteFacts) -> frozenset[int]:
    return frozenset(target.release for target in found.targets if target.release and target.state != "stopped")


def _marked(found: SiteFacts, named: Sequence[Named]) -> Iterator[int]:
    """The releases whose models the storage says it has: no job would put them there again."""
    standing = found.find(f"{found.cloud}.stored_models")
    mark = standing.properties["models"] if standing else ""
    yield from (each.release for each in named if each.models and storage.mark(each.models) == mark)


def _stood(release: Release, site: str) -> bool:
    return site in release.sites and release.sites[site].state == "done"


def _spec_of(release: Release) -> Spec:
    try:
        return spec_of(release)
    except ValueError as error:
        what = f"the spec of release {release.number} can't be read, so nobody knows what it needs"
        raise Refused(Problem(what, "clean up with the version of arriero that wrote it", key="ledger")) from error


def _hosts(
    spec: Spec, facts: Facts, plan: Plan, wanted: Mapping[str, Cleaning], folder: Path, is_listing: bool
) -> Iterator[SiteHost]:
    for planned in plan.sites:
        if planned.site not in wanted:
            continue
        site, found = spec.site(planned.site), facts.sites[planned.site]
        environment = storage.clean_environment(wanted[planned.site], is_listing=is_listing)
        module: Any = import_module(f"arriero.clouds.{planned.cloud}.variables")
        report = str(folder / f"{planned.site}.json")
        variables = module.cleaning_variables(site, planned, found, environment, report)
        yield SiteHost(planned.site, planned.cloud, site.region, site.role, variables)


def _report(site: str, folder: Path) -> Report | Problem:
    try:
        told = json.loads((folder / f"{site}.json").read_text())
        models = tuple(Stored(str(row["name"]), int(row["bytes"]), str(row["state"])) for row in told["models"])
        strange = tuple(map(str, told["strange"]))
        return Report(site, models, int(told["freed_bytes"]), strange, int(told["strange_count"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Problem(f"the job's report can't be read: {error!r}", "see: arriero logs", key=f"sites.{site}")


def raise_for(problems: Sequence[Problem]) -> None:
    """Raises ArrieroError where there are any."""
    if problems:
        raise ArrieroError(problems)
