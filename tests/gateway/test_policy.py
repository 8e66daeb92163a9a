"""Which target gets a request, as data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from arriero.control.messages import TargetEntry
from arriero.gateway.policy import choose
from arriero.gateway.target import Inventory, Target

CASES = json.loads((Path(__file__).parent.parent / "cases/gateway_policy/choices.json").read_text())
NOW = 100.0


def target(name: str, case: dict[str, Any]) -> Target:
    made = Target(
        TargetEntry(name, "here", "h:1", case.get("role", "active"), 1, case.get("weight", 100), case.get("slots", 4))
    )
    digests = {"m": "digest-m", "n": "digest-n", **case.get("digests", {})}
    described = {model: {"digest": digest} for model, digest in digests.items()}
    made.answered(Inventory(described, {model: described[model] for model in case.get("resident", [])}))
    made.state = case.get("state", "up")
    made.in_flight, made.turns = case.get("open", 0), case.get("turns", 0)
    made.running, made.cooling_until = case.get("running", {}), case.get("cooling_until", 0.0)
    return made


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
@pytest.mark.parametrize("is_reversed", [False, True])
def test_the_choice(case: dict[str, Any], is_reversed: bool) -> None:
    targets = [target(name, values) for name, values in case["targets"].items()]
    chosen = choose(targets[::-1] if is_reversed else targets, case["model"], case.get("tried", ()), NOW)
    assert (chosen.entry.id if chosen else None) == case["chosen"]
