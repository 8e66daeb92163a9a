"""Which target gets a request, or whether it waits: as data, and in words."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from arriero.control.messages import TargetEntry, Targets
from arriero.gateway.routing.affinity import pick
from arriero.gateway.routing.pool import Pool, Without
from arriero.gateway.routing.prospects import Ask
from arriero.gateway.routing.target import Inventory, Target
from arriero.gateway.words.opening import mark_of

CASES = json.loads((Path(__file__).parent.parent / "cases/gateway/routing.json").read_text())
NOW = 100.0


def pool_of(case: dict[str, Any], is_reversed: bool = False) -> Pool:
    pool, names = Pool(), list(case["targets"])[:: -1 if is_reversed else 1]
    pool.set_targets(Targets(tuple(entry(name, case["targets"][name]) for name in names)))
    for target in pool:
        prepare(target, case["targets"][target.entry.id])
    for model in ("m", "n", "o"):
        pool.speeds.loaded("here", model, case.get("load", 0.3))
        pool.speeds.answered("elsewhere", model, case.get("answer", 0.05), NOW)
        for n in range(int(case.get("asked", {}).get(model, 0) * 60)):
            pool.speeds.asked(model, NOW - 60 + n / case["asked"][model])
    return pool


def entry(name: str, case: dict[str, Any]) -> TargetEntry:
    known = {key: case[key] for key in ("role", "weight", "slots", "cost", "room") if key in case}
    return TargetEntry(name, "here", "h:1", **known)


def prepare(target: Target, case: dict[str, Any]) -> None:
    digests = {"m": "digest-m", "n": "digest-n", "o": "digest-o", **case.get("digests", {})}
    described = {model: {"digest": digest} for model, digest in digests.items()}
    target.answered(Inventory(described, {model: described[model] for model in case.get("resident", [])}))
    for model, since in case.get("loading", {}).items():
        target.memory.take(model, since)
    target.state = case.get("state", "up")
    target.in_flight, target.turns = case.get("open", 0), case.get("turns", 0)
    target.reading = case.get("reading", 0)
    target.others, target.cooling_until = case.get("others", 0), case.get("cooling_until", 0.0)


def asked(case: dict[str, Any]) -> Ask:
    lines = case.get("lines", {})
    ahead, waited = case.get("ahead", 0), case.get("waited", 0.0)
    return Ask(case["model"], case.get("tried", ()), ahead, waited, 0, lambda model: lines.get(model, 0))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
@pytest.mark.parametrize("is_reversed", [False, True])
def test_the_choice(case: dict[str, Any], is_reversed: bool) -> None:
    pool = pool_of(case, is_reversed)
    found = pool.place(asked(case), NOW) if case["model"] else pool.find(None, False, (), NOW)
    chosen = found.entry.id if isinstance(found, Target) else "waits" if found is Without.PLACE else "nowhere"
    assert chosen == case["chosen"]


@pytest.mark.parametrize("case", [case for case in CASES if case["model"]], ids=lambda case: case["name"])
def test_the_explanation_names_every_target_and_the_same_choice(case: dict[str, Any]) -> None:
    told = pool_of(case).explain(asked(case), NOW).as_json()
    assert told["chosen"] == (case["chosen"] if case["chosen"] in case["targets"] else "")
    assert {each["target"] for each in told["targets"]} == set(case["targets"])
    assert told["outcome"].startswith(
        {"waits": "it waits", "nowhere": "it is refused"}.get(case["chosen"], told["chosen"])
    )


def warm_targets(count: int) -> list[Target]:
    return list(pool_of({"targets": {f"t{n}": {"resident": ["m"], "slots": 8} for n in range(count)}}))


def test_a_conversation_stays_at_its_target_and_conversations_spread() -> None:
    targets = warm_targets(5)
    first = {mark: pick(targets, mark) for mark in range(1, 2001)}
    assert all(pick(targets[::-1], mark) is target for mark, target in first.items())
    assert min(Counter(target.entry.id for target in first.values()).values()) > 300
    fewer = targets[:-1]
    moved = [mark for mark, target in first.items() if target in fewer and pick(fewer, mark) is not target]
    assert moved == []


def test_a_popular_beginning_spreads_once_its_target_has_more_than_its_share() -> None:
    targets = warm_targets(4)
    for _ in range(16):
        pick(targets, 77).in_flight += 1
    assert max(target.in_flight for target in targets) <= 5


def test_a_conversation_waits_for_no_other_ones_prompt_unless_it_is_at_home_there() -> None:
    targets = warm_targets(4)
    home = pick(targets, 77)
    for target in targets:
        target.take("m", NOW)
        if target is not home:
            target.begins("m")
    assert pick(targets, 77) is not home
    home.meets(77)
    assert pick(targets, 77) is home
    for target in targets:
        if target is not home:
            target.take("m", NOW)
            target.take("m", NOW)
    assert pick(targets, 78) is home, "the one that reads least, where all read"


def test_a_target_counts_the_prompts_it_reads() -> None:
    (target,) = warm_targets(1)
    target.take("m", NOW)
    target.take("m", NOW)
    target.take(None, NOW)
    assert target.reading == 2
    target.begins("m")
    target.give_back(None)
    target.give_back("m", True)
    assert target.reading == 1
    target.give_back("m")
    assert target.reading == 0, "nobody reads where nothing is open"


OPENING = [{"role": "system", "content": "You are terse."}, {"role": "user", "content": "Hello"}]


@pytest.mark.parametrize(
    "body",
    [
        {"messages": OPENING},
        {"messages": [*OPENING, {"role": "assistant", "content": "Hi"}, {"role": "user", "content": "More"}]},
        {"system": "You are terse.", "messages": OPENING[1:]},
        {"messages": [OPENING[0], {"role": "user", "content": [{"type": "text", "text": "Hello"}]}]},
        {"instructions": "You are terse.", "input": "Hello"},
        {"system": "You are terse.", "prompt": "Hello"},
    ],
)
def test_turns_of_a_conversation_have_the_same_mark_in_any_dialect(body: dict[str, Any]) -> None:
    assert mark_of(body) == mark_of({"messages": OPENING})


@pytest.mark.parametrize(
    "body", [{}, {"messages": []}, {"messages": 3}, {"prompt": None}, {"messages": [{"content": [3]}]}, {"input": {}}]
)
def test_what_has_no_beginning_has_no_mark(body: dict[str, Any]) -> None:
    assert mark_of(body) == 0
