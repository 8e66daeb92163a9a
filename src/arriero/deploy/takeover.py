"""How the plan's release takes over from what serves, wave by wave: new things, a trial if one is asked for, then what
is old goes. A wave that fails stops those after it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from arriero.clouds import read
from arriero.control.client import GatewayError
from arriero.control.trials import Trial
from arriero.deploy import edge, switch
from arriero.deploy.outcome import Outcome, RunOutcome
from arriero.deploy.trial.walk import Ground, Walk
from arriero.deploy.waves import Wave, former, held_back, waves
from arriero.errors import Problem
from arriero.plan.model import RELEASE_TAG, Change, Facts, SiteFacts, SitePlan, Step
from arriero.plan.order import LATE, RETIRE
from arriero.spec.model import Spec

if TYPE_CHECKING:
    from arriero.deploy.engine import Run

# What holds a target, in each cloud.
HOLDERS = ("aws.service", "azure.container_group", "azure.container_app", "azure.virtual_machine", "local.server")
# What goes with them.
COMPANIONS = ("aws.scaling",)
JUDGED = "its release was judged not good enough"

# Plays the steps of these sites, whose facts are given.
Play = Callable[[Facts, Sequence[SitePlan]], RunOutcome]
Look = Callable[[Spec, Collection[str]], Facts]


@dataclass(frozen=True, slots=True)
class Takeover:
    """One plan on its way. `play` carries out the steps of some sites, side by side; `look` reads facts anew."""

    run: Run
    spec: Spec
    facts: Facts
    play: Play
    look: Look = read.read

    def all(self, sites: Sequence[SitePlan]) -> Outcome:
        """Every wave, or those up to the first that failed. A failed site keeps what it had."""
        done, turns = Outcome(), waves(self.spec, sites, self.facts.sites)
        for place, wave in enumerate(turns):
            outcome = self._one(wave, is_proven=place > 0)
            done = done.and_then(outcome)
            if outcome.problems and turns[place + 1 :]:
                failed = ", ".join(sorted({site.site for site in wave} - outcome.done))
                rest = [site for later in turns[place + 1 :] for site in later]
                return done.and_then(Outcome(problems=held_back(rest, failed)))
        return done

    def _one(self, wave: Wave, is_proven: bool) -> Outcome:
        walk = self._walk(wave)
        self._back_by_weight(wave)
        self._drain_for_sleep(wave)
        if walk:
            walk.keep_off()
        built = self.play(self.facts, [site for each in wave if (site := _only(each, retiring=False)).steps])
        failed = frozenset(built.failed)
        if walk:
            verdict = None if failed else walk.run(is_proven)
            if failed or verdict:
                return self._undone(wave, built.problems, verdict)
        alive = [site for site in wave if site.site not in failed]
        retired = self._retired([site for each in alive if (site := _only(each, retiring=True)).steps])
        if walk or self._has_trial(wave):
            self._end_trial()
        gone = frozenset(retired.failed)
        return Outcome(
            frozenset(site.site for site in alive if site.site not in gone), (*built.problems, *retired.problems)
        )

    def _drain_for_sleep(self, wave: Wave) -> None:
        """Open answers end before a site is put to sleep: a count of none takes targets away without asking."""
        sites = [site.site for site in wave if site.asleep and site.steps]
        going = [target.id for name in sites for target in self.facts.sites[name].targets if not target.is_adopted]
        switch.drain(self.run.project, going, self.run.listener, self.run.clock)

    def _retired(self, sites: Sequence[SitePlan]) -> RunOutcome:
        """Drains what goes, and has it go; a site keeps it where the gateway does not send requests to what came."""
        run = self.run
        heirs = [switch.Heir(site.count, site.site, site.release) for site in sites if not site.asleep]
        unknown = {heir.site for heir in switch.unknown_heirs(run.project, heirs, self._going(sites), run.clock)}
        known = [site for site in sites if site.site not in unknown]
        switch.drain(run.project, self._going(known), run.listener, run.clock)
        played = self.play(self.facts, known)
        kept = {site.site: _unknown(site) for site in sites if site.site in unknown}
        return replace(played, failed={**played.failed, **kept})

    def _going(self, sites: Sequence[SitePlan]) -> list[str]:
        names = [change.name for site in sites for change in site.changes]
        leaving = [name for site in sites for name in former(site, self.facts.sites[site.site])]
        return list(dict.fromkeys([*names, *leaving]))

    def _undone(self, wave: Wave, failed: Sequence[Problem], verdict: Problem | None) -> Outcome:
        """The new release's targets go; what served goes on. First by weight, which took no time, then by removal."""
        now = replace(self.facts, sites={**self.facts.sites, **self._read([site.site for site in wave])})
        back = [_removal(site, now.sites[site.site]) for site in wave]
        targets = [t.id for s in wave for t in now.sites[s.site].targets if t.release == s.release]
        switch.drain(self.run.project, targets, self.run.listener, self.run.clock)
        removed = self.play(now, [site for site in back if site.steps])
        if not removed.failed:
            self._end_trial()
        judged = tuple(replace(verdict, key=f"sites.{site.site}") for site in wave if site.steps) if verdict else ()
        return Outcome(problems=(*failed, *judged, *removed.problems), is_judged_bad=verdict is not None)

    def _walk(self, wave: Wave) -> Walk | None:
        """The trial of this wave's release; None where nothing older serves, or none is asked for."""
        sites = [site.site for site in wave if not site.asleep and _is_newer(site, self.facts.sites[site.site])]
        if not self.spec.deploy.is_canary or not sites:
            return None
        deploy = self.spec.deploy
        run = self.run
        ground = Ground(edge.client(run.project), self._read, run.golden, run.clock, run.listener, self._require)
        return Walk(ground, wave[0].release, sites, deploy.strategy, float(deploy.ready_within))

    def _require(self) -> None:
        if self.run.lease:
            self.run.lease.require()

    def _read(self, sites: Collection[str]) -> Mapping[str, SiteFacts]:
        return self.look(self.spec, sites).sites

    def _back_by_weight(self, wave: Wave) -> None:
        """Where targets of an older release are asked for and still serve, newer ones get no request from now on."""
        gateway = edge.client(self.run.project)
        newer = {t.release for s in wave for t in self.facts.sites[s.site].targets if (t.release or 0) > s.release}
        if gateway is None or len(newer) != 1:
            return
        with contextlib.suppress(GatewayError):
            up = {(t.site, t.release) for t in gateway.status().targets if t.state == "up" and t.weight}
            sites = [site.site for site in wave if (site.site, site.release) in up]
            if sites:
                gateway.set_trial(Trial(int(max(number or 0 for number in newer)), tuple(sites), 0.0))

    def _has_trial(self, wave: Wave) -> bool:
        """Whether a trial that concerns this wave is left, of ours or of a deployer that died."""
        gateway = edge.client(self.run.project)
        with contextlib.suppress(GatewayError):
            trial = gateway.trial() if gateway else None
            return trial is not None and bool({site.site for site in wave} & set(trial.sites))
        return False

    def _end_trial(self) -> None:
        gateway = edge.client(self.run.project)
        with contextlib.suppress(GatewayError):
            if gateway:
                gateway.set_trial(None)


def _is_newer(site: SitePlan, found: SiteFacts) -> bool:
    """Whether older targets serve there. A way back is not tried out: the ones that it leads away from are worse."""
    serving = {t.release for t in found.targets if t.release is not None and t.state != "stopped"}
    return any(release < site.release for release in serving) and max(serving) <= site.release


def _unknown(site: SitePlan) -> Problem:
    what = f"the gateway sends no requests to release {site.release} there, so what served before is kept"
    return Problem(
        what, "see with arriero status which of it is not up, and run arriero up again", key=f"sites.{site.site}"
    )


def _removal(site: SitePlan, found: SiteFacts) -> SitePlan:
    """The site's plan with nothing but the removal of what holds the plan's release."""
    changes = tuple(
        Change(site.site, "remove", resource.kind, resource.name, JUDGED)
        for resource in found.resources
        if resource.kind in (*HOLDERS, *COMPANIONS) and resource.tags.get(RELEASE_TAG) == str(site.release)
    )
    return replace(site, steps=(Step(site.site, RETIRE, changes),) if changes else ())


def _only(site: SitePlan, retiring: bool) -> SitePlan:
    return replace(site, steps=tuple(step for step in site.steps if (step.name in LATE) == retiring))
