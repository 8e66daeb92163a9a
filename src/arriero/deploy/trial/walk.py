"""Takes a release on trial through its course: deals the traffic at the gateway, and asks, holds, goes on or goes back.

Who runs: the deployer's own thread, looking once a second. The gateway deals as it was told last, also when this
program dies: then the release keeps its share until the next deployment resumes the trial or ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from arriero.clock import Clock
from arriero.control.client import Gateway, GatewayError
from arriero.control.messages import GatewayStatus
from arriero.control.trials import Tallies, Tally, Trial
from arriero.deploy.trial.course import Course, Next
from arriero.errors import Problem
from arriero.events import Event, Json, Listener
from arriero.plan.model import SiteFacts, TargetFacts
from arriero.spec.strategy import Strategy

LOOK_SECONDS = 1.0
# As long as a gateway that restarts may be silent.
SILENCE_SECONDS = 15.0
# Below, the running release's figures at the trial's sites say little, and those of its other sites count, too.
LEAST_BESIDE = 50.0

# Asks the golden prompts of new targets, by site; returns what they answered wrongly.
Golden = Callable[[Mapping[str, SiteFacts]], tuple[Problem, ...]]


def unasked(_: Mapping[str, SiteFacts]) -> tuple[Problem, ...]:
    """For who has no golden prompts."""
    return ()


@dataclass(frozen=True, slots=True)
class Ground:
    """What a trial is held with. `read` gives the sites' facts of now; `gateway` is None where none runs here.

    `require` raises ArrieroError once the right to deploy is lost: then whoever has it deals the traffic.
    """

    gateway: Gateway | None
    read: Callable[[Collection[str]], Mapping[str, SiteFacts]]
    golden: Golden
    clock: Clock
    listener: Listener
    require: Callable[[], None] = lambda: None


class Walk:
    """One release at some sites. `keep_off` before its targets start, `run` once they stand, `end` when it is over."""

    def __init__(self, ground: Ground, release: int, sites: Sequence[str], strategy: Strategy, ready_seconds: float):
        self._ground, self._release, self._sites = ground, release, tuple(sites)
        self._strategy, self._ready_seconds = strategy, ready_seconds
        self._silent_since: float | None = None

    def keep_off(self) -> None:
        """No request reaches the release's targets until their first step. Raises GatewayError."""
        self._deal(0.0)

    def run(self, is_proven: bool = False) -> Problem | None:
        """Takes it through its steps; None when it serves, else why it went back: then no request reaches it any more.

        A release that is proven elsewhere takes its last step at once. Raises GatewayError.
        """
        found = self._new_facts()
        wrong = self._ground.golden(found) or self._unready(found)
        if wrong:
            return self._back("; ".join(problem.what for problem in wrong))
        percents = self._strategy.percents[-1:] if is_proven else self._strategy.percents
        if self._ground.gateway is None:
            self._tell("trial.done", "no gateway runs here: the golden prompts alone decide")
            return None
        return self._through(self._ground.gateway, Course(percents, float(self._strategy.hold)))

    def end(self) -> None:
        """All targets are on equal terms again. Raises GatewayError."""
        if self._ground.gateway is not None:
            self._ground.gateway.set_trial(None)

    def _through(self, gateway: Gateway, course: Course) -> Problem | None:
        clock, began = self._ground.clock, gateway.tallies()
        step = course.begin(clock.monotonic())
        while True:
            new, old = self._seen(gateway, began)
            if step.act == "ask":
                wrong = self._ground.golden(self._new_facts())
                if wrong:
                    return self._back("; ".join(problem.what for problem in wrong))
                step = course.answered(clock.monotonic(), new, old)
            if step.act == "back":
                return self._back(step.reason)
            if step.act == "done":
                self._tell("trial.done", f"release {self._release} is as good as the one before: {step.reason}")
                return None
            if step.act == "step":
                self._take(step)
            self._pause()
            step = course.look(clock.monotonic(), *self._seen(gateway, began))

    def _pause(self) -> None:
        try:
            self._ground.clock.sleep(LOOK_SECONDS)
            self._ground.require()
        except KeyboardInterrupt:
            # Whoever is no longer judged gets no more requests.
            self._deal(0.0)
            raise

    def _take(self, step: Next) -> None:
        self._deal(step.percent)
        text = f"release {self._release} gets {step.percent:g} % of the requests: {step.reason}"
        self._tell("trial.step", text, percent=step.percent)

    def _back(self, reason: str) -> Problem:
        self._deal(0.0)
        self._tell("trial.back", f"release {self._release} gets no request any more: {reason}")
        what = f"release {self._release} went back, for it is not as good as the one before: {reason}"
        return Problem(what, "see its log (arriero logs), mend it, and run arriero up again", key="deploy.strategy")

    def _deal(self, percent: float) -> None:
        if self._ground.gateway is not None:
            self._ground.gateway.set_trial(Trial(self._release, self._sites, percent))

    def _seen(self, gateway: Gateway, began: Tallies) -> tuple[Tally, Tally]:
        """What the release and the running one did since the trial began; a silent gateway is asked again."""
        now = self._patiently(gateway.tallies)
        since = {key: tally - began.of.get(key, Tally()) for key, tally in now.of.items()}
        new = _sum(t for (site, n), t in since.items() if n == self._release and site in self._sites)
        beside = _sum(t for (site, n), t in since.items() if n != self._release and site in self._sites)
        others = _sum(t for (_, n), t in since.items() if n != self._release)
        return new, beside if beside.attempts >= LEAST_BESIDE else others

    def _patiently(self, ask: Callable[[], Tallies]) -> Tallies:
        clock = self._ground.clock
        deadline = clock.monotonic() + SILENCE_SECONDS
        while True:
            try:
                return ask()
            except GatewayError:
                if clock.monotonic() > deadline:
                    raise
                clock.sleep(LOOK_SECONDS)

    def _new_facts(self) -> dict[str, SiteFacts]:
        """The trial's sites as if they had no other targets than the release's."""
        found = self._ground.read(self._sites)
        return {name: _only(facts, self._release) for name, facts in found.items()}

    def _unready(self, found: Mapping[str, SiteFacts]) -> tuple[Problem, ...]:
        """Waits until the gateway sees all of the release's targets up with a model in memory; else what is missing."""
        gateway, clock = self._ground.gateway, self._ground.clock
        wanted = {target.id for facts in found.values() for target in facts.targets}
        deadline = clock.monotonic() + self._ready_seconds
        while gateway is not None:
            missing = wanted - _ready(gateway.status())
            if not missing:
                break
            if clock.monotonic() > deadline:
                names = ", ".join(sorted(missing))
                return (
                    Problem(f"the gateway sees no model in the memory of {names} after {self._ready_seconds:.0f} s"),
                )
            clock.sleep(0.2)
        empty = [name for name, facts in found.items() if not facts.targets]
        return tuple(Problem(f"{name} has no target of release {self._release}") for name in empty)

    def _tell(self, kind: str, text: str, **more: Json) -> None:
        fields: dict[str, Json] = {"text": text, "release": self._release, "sites": list(self._sites), **more}
        self._ground.listener(Event(kind, self._ground.clock.now(), fields=fields))


def _only(facts: SiteFacts, release: int) -> SiteFacts:
    mine: tuple[TargetFacts, ...] = tuple(
        target for target in facts.targets if target.release == release and target.address and target.state != "stopped"
    )
    return SiteFacts(facts.site, facts.cloud, facts.region, targets=mine, count=len(mine), problem=facts.problem)


def _ready(status: GatewayStatus) -> set[str]:
    return {target.id for target in status.targets if target.state == "up" and target.resident}


def _sum(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for tally in tallies:
        total += tally
    return total
