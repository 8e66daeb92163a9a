"""Lines: who waits, who goes next, who is refused. Whatever happens, nobody is lost and no key waits for ever."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from simulated_fleet import Asked

from arriero.control.messages import TargetEntry, Targets
from arriero.gateway.routing.admission import Admission, Refused, Waiter
from arriero.gateway.routing.pool import Pool
from arriero.gateway.routing.target import Inventory, Target

CASES = json.loads((Path(__file__).parent.parent / "cases/gateway/admission.json").read_text())
MODELS, KEYS = ("a", "b", "c"), ("", "blue", "red")
LENGTH = 6


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_who_gets_in_and_who_goes_first(case: dict[str, Any]) -> None:
    admission, waiting, outcomes = Admission(case["length"]), {}, []
    for n, key in enumerate(case["come"]):
        waiting[n] = Asked("m", key, float(n))
        found = admission.enter(waiting[n])
        out = next((who for who, waiter in waiting.items() if waiter is found), None)
        outcomes.append("waits" if found is None else found.name if isinstance(found, Refused) else f"instead of {out}")
    assert outcomes == case["outcomes"]
    assert order(admission, waiting) == case["go"]


def order(admission: Admission, waiting: dict[int, Asked]) -> list[int]:
    """Takes everybody out, as places become free."""
    gone = []
    while admission.waiting:
        waiter = next(admission.lines["m"].heads())
        admission.went(waiter)
        gone.append(next(n for n, asked in waiting.items() if asked is waiter))
    return gone


@given(st.lists(st.sampled_from(KEYS), max_size=60))
def test_between_two_turns_of_a_key_every_other_that_waits_has_one(keys: list[str]) -> None:
    admission, waiting = Admission(1000), {}
    for n, key in enumerate(keys):
        waiting[n] = Asked("m", key, float(n))
        admission.enter(waiting[n])
    left = {key: keys.count(key) for key in set(keys)}
    turns: list[str] = []
    for n in order(admission, waiting):
        turns.append(keys[n])
        left[keys[n]] -= 1
    for key in left:
        places = [place for place, turn in enumerate(turns) if turn == key]
        assert all(b - a <= len(left) for a, b in pairwise(places))
        assert not places or places[0] < len(left)


@pytest.mark.parametrize(("waiting", "spilled"), [(1, 0), (3, 0), (40, 4), (200, 4)])
def test_a_long_line_spills_to_a_dearer_site_and_a_short_one_waits(waiting: int, spilled: int) -> None:
    pool, admission = Pool(), Admission(1000)
    pool.set_targets(
        Targets((TargetEntry("cheap", "here", "h:1", cost=1.0), TargetEntry("dear", "there", "h:2", cost=2.0)))
    )
    described = {"a": {"digest": "a", "size": 1e9}}
    for target in pool:
        target.answered(Inventory(described, described))
    cheap, dear = pool
    for _ in range(cheap.slots):
        cheap.take("a", 0.0)
    pool.speeds.answered("cheap", "a", 4.0, 0.0)
    for n in range(waiting):
        admission.enter(Asked("a", "", float(n) / 1000))
    went = []
    for waiter, target in admission.grants(pool, 1.0, None):
        target.take(waiter.model, 1.0)
        went.append((waiter.since, target.entry.id))
    assert went == [(n / 1000, "dear") for n in range(spilled)], "its first, in their order"
    assert admission.waiting == waiting - spilled
    assert (cheap.busy, dear.busy) == (4, spilled)


@dataclass
class Open:
    target: Target
    model: str


class Gateways(RuleBasedStateMachine):
    """Requests come, go, end and are sent back in any order, while targets come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.pool, self.admission = Pool(), Admission(LENGTH)
        self.pool.set_targets(Targets(tuple(TargetEntry(f"t{n}", "here", f"h:{n + 1}", slots=2) for n in range(2))))
        self.now = 0.0
        self.alive: dict[int, Waiter] = {}
        self.open: list[Open] = []
        for target in self.pool:
            target.answered(Inventory({model: {"digest": model} for model in MODELS}, {}))

    @rule(model=st.sampled_from(MODELS), key=st.sampled_from(KEYS))
    def come(self, model: str, key: str) -> None:
        asked = Asked(model, key, self.now)
        found = self.pool.place(self.admission.ask(model, key, 0), self.now)
        if isinstance(found, Target) and not self.admission.waiting_for(model):
            self.send(asked, found)
            return
        entered = self.admission.enter(asked)
        if isinstance(entered, Refused):
            assert self.admission.waiting_for(model) >= LENGTH
            return
        if entered is not None:
            del self.alive[id(entered)]
        self.alive[id(asked)] = asked

    @rule(choice=st.integers(0, 1000))
    def client_goes(self, choice: int) -> None:
        if self.alive:
            waiter = list(self.alive.values())[choice % len(self.alive)]
            self.admission.leave(waiter)
            del self.alive[id(waiter)]

    @rule(choice=st.integers(0, 1000), is_answered=st.booleans(), is_refused=st.booleans())
    def answer_ends(self, choice: int, is_answered: bool, is_refused: bool) -> None:
        if not self.open:
            return
        done = self.open.pop(choice % len(self.open))
        if is_answered:
            done.target.begins(done.model)
        done.target.give_back(done.model, is_answered)
        if is_refused:
            again = Asked(done.model, "blue", self.now)
            self.admission.enter_first(again)
            self.alive[id(again)] = again
        self.grant({done.target})

    @rule(seconds=st.floats(0.01, 5.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.grant(None)

    @rule(choice=st.integers(0, 1), is_up=st.booleans())
    def target_turns(self, choice: int, is_up: bool) -> None:
        target = list(self.pool)[choice]
        if is_up:
            target.answered(target.inventory)
        else:
            target.broke("gone")
        self.grant(None)

    def grant(self, freed: set[Target] | None) -> None:
        for waiter, target in self.admission.grants(self.pool, self.now, freed):
            del self.alive[id(waiter)]
            self.send(waiter, target)

    def send(self, waiter: Waiter, target: Target) -> None:
        target.take(waiter.model, self.now)
        self.open.append(Open(target, waiter.model))

    @invariant()
    def no_slot_is_exceeded(self) -> None:
        assert all(target.in_flight <= target.slots for target in self.pool)

    @invariant()
    def nobody_is_lost(self) -> None:
        everybody = [id(waiter) for line in self.admission.lines.values() for waiter in line.everybody()]
        assert sorted(everybody) == sorted(self.alive)
        assert self.admission.waiting == len(everybody) == sum(map(len, self.admission.lines.values()))

    def teardown(self) -> None:
        """Once all are up again and answers end, everybody who waits gets a place."""
        for target in self.pool:
            target.answered(target.inventory)
        for _ in range(60):
            self.now += 1.0
            while self.open:
                self.answer_ends(0, True, False)
            self.grant(None)
        assert not self.alive


TestGateways = Gateways.TestCase
TestGateways.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
