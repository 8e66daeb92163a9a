"""A trial from its first look to its end, at a gateway whose figures are given and by a clock that is moved."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import cast

import pytest

from arriero.clock import ManualClock
from arriero.control.client import Gateway, GatewayError
from arriero.control.messages import GatewayStatus, TargetStatus
from arriero.control.trials import Tallies, Tally, Trial
from arriero.deploy.trial.walk import Ground, Walk
from arriero.errors import ArrieroError, Problem
from arriero.events import Event
from arriero.plan.model import SiteFacts, TargetFacts
from arriero.spec.strategy import Strategy

STRATEGY = Strategy.model_validate({"canary": ["5%", "25%", "100%"], "hold": "60s"})


@dataclass
class FakeGateway:
    """Serves `a_second` requests; the share on trial fails as `errors` says."""

    clock: ManualClock
    a_second: float = 20.0
    errors: float = 0.0
    dealt: list[float | None] = field(default_factory=list)
    silent_until: float = 0.0
    _since: float = 0.0
    _seen: dict[tuple[str, int], Tally] = field(default_factory=dict)

    def set_trial(self, trial: Trial | None) -> None:
        self._count()
        self.dealt.append(trial.percent if trial else None)

    def tallies(self) -> Tallies:
        if self.clock.monotonic() < self.silent_until:
            raise GatewayError(Problem("is silent"))
        self._count()
        return Tallies(dict(self._seen))

    def status(self) -> GatewayStatus:
        new = TargetStatus("new", "east", "h:1", "up", "active", 7, 100, 0, ("m",), ("m",))
        return GatewayStatus("llm", False, 0, (new,))

    def _count(self) -> None:
        share = (self.dealt[-1] or 0.0) / 100 if self.dealt else 0.0
        passed = (self.clock.monotonic() - self._since) * self.a_second
        self._since = self.clock.monotonic()
        for key, count, errors in ((("east", 7), passed * share, self.errors), (("east", 6), passed * (1 - share), 0)):
            told = Tally(count, count * errors, count * (1 - errors))
            self._seen[key] = self._seen.get(key, Tally()) + told


@dataclass
class Stand:
    """Everything that a walk needs; `wrong` is what the golden prompts find, one answer after the other."""

    clock: ManualClock = field(default_factory=ManualClock)
    wrong: list[str] = field(default_factory=list)
    asked: int = 0
    events: list[Event] = field(default_factory=list)

    def golden(self, found: Mapping[str, SiteFacts]) -> tuple[Problem, ...]:
        assert [t.id for facts in found.values() for t in facts.targets] == ["new"]
        self.asked += 1
        said = self.wrong.pop(0) if self.wrong else ""
        return (Problem(said),) if said else ()

    def read(self, sites: Collection[str]) -> Mapping[str, SiteFacts]:
        targets = (TargetFacts("old", "east", "ready", "h:0", 6), TargetFacts("new", "east", "ready", "h:1", 7))
        return {site: SiteFacts(site, "aws", "us-east-1", targets=targets) for site in sites}

    def walk(self, gateway: FakeGateway | None) -> Walk:
        ground = Ground(cast(Gateway, gateway), self.read, self.golden, self.clock, self.events.append)
        return Walk(ground, 7, ["east"], STRATEGY, 60.0)


def test_a_good_release_takes_all_steps_and_ends_on_equal_terms() -> None:
    stand = Stand()
    gateway = FakeGateway(stand.clock)
    walk = stand.walk(gateway)
    walk.keep_off()
    assert walk.run() is None
    walk.end()
    assert gateway.dealt == [0.0, 5.0, 25.0, 100.0, None]
    assert stand.asked == 1
    assert 180 <= stand.clock.monotonic() <= 300
    assert [event.kind for event in stand.events] == ["trial.step"] * 3 + ["trial.done"]


def test_a_bad_release_gets_no_request_any_more_long_before_its_hold_is_over() -> None:
    stand = Stand()
    gateway = FakeGateway(stand.clock, errors=0.3)
    problem = stand.walk(gateway).run()
    assert problem is not None
    assert problem.what.startswith("release 7 went back, for it is not as good as the one before: failed requests 0.3")
    assert gateway.dealt == [5.0, 0.0]
    assert stand.clock.monotonic() < 40


def test_a_release_that_is_proven_elsewhere_takes_its_last_step_at_once() -> None:
    stand = Stand()
    gateway = FakeGateway(stand.clock)
    assert stand.walk(gateway).run(is_proven=True) is None
    assert gateway.dealt == [100.0]


@pytest.mark.parametrize(("wrong", "dealt"), [([], [5.0, 25.0, 100.0]), (["", "", "no"], [5.0, 25.0, 0.0])])
def test_without_traffic_the_golden_prompts_decide_after_three_holds(wrong: list[str], dealt: list[float]) -> None:
    stand = Stand(wrong=[*wrong])
    gateway = FakeGateway(stand.clock, a_second=0.0)
    problem = stand.walk(gateway).run()
    assert (problem is None) == (not wrong)
    assert gateway.dealt == dealt
    assert stand.clock.monotonic() >= 180 * (len(dealt) - bool(wrong))


def test_a_wrong_answer_before_any_traffic_sends_it_back_without_a_request() -> None:
    stand = Stand(wrong=["new: llama2: Say hello: the answer is empty"])
    gateway = FakeGateway(stand.clock)
    problem = stand.walk(gateway).run()
    assert problem is not None
    assert "the answer is empty" in problem.what
    assert gateway.dealt == [0.0]


@pytest.mark.parametrize("seconds", [10.0, 1000.0])
def test_a_gateway_that_is_silent_for_a_moment_ends_no_trial_and_a_dead_one_does(seconds: float) -> None:
    stand = Stand()
    gateway = FakeGateway(stand.clock)

    def fall_silent(event: Event) -> None:
        if event.kind == "trial.step" and not gateway.silent_until:
            gateway.silent_until = stand.clock.monotonic() + seconds

    ground = Ground(cast(Gateway, gateway), stand.read, stand.golden, stand.clock, fall_silent)
    walk = Walk(ground, 7, ["east"], STRATEGY, 60.0)
    if seconds < 15:
        assert walk.run() is None
    else:
        with pytest.raises(GatewayError):
            walk.run()


def test_where_no_gateway_runs_the_golden_prompts_alone_decide() -> None:
    stand = Stand()
    assert stand.walk(None).run() is None
    assert [event.kind for event in stand.events] == ["trial.done"]


def test_who_has_lost_the_right_to_deploy_deals_no_more() -> None:
    stand = Stand()
    gateway = FakeGateway(stand.clock)

    def lost() -> None:
        raise ArrieroError(Problem("the lease is another's"))

    walk = Walk(
        Ground(cast(Gateway, gateway), stand.read, stand.golden, stand.clock, stand.events.append, lost),
        7,
        ["east"],
        STRATEGY,
        60.0,
    )
    with pytest.raises(ArrieroError, match="the lease is another's"):
        walk.run()
    assert gateway.dealt == [5.0]
