"""At which target a cut stream goes on: away from whatever may be ending beside the one that ended."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from arriero.control.messages import TargetEntry, Targets
from arriero.control.trials import Trial
from arriero.gateway.relay.migration import elsewhere
from arriero.gateway.routing.pool import Pool
from arriero.gateway.routing.target import Inventory, Target

MODEL = "m"


def beside(busy: dict[str, int], *names: str) -> Any:
    """A gateway before targets named `site-release`; the first is the one that ended."""
    pool = Pool()
    entries = [
        TargetEntry(name, name.split("-")[0], f"127.0.0.1:{n}", release=int(name.split("-")[1].rstrip("x")))
        for n, name in enumerate(names, 1)
    ]
    pool.set_targets(Targets(tuple(entries)))
    described = {MODEL: {"name": MODEL, "digest": "d", "modified_at": "2026-01-01"}}
    for target in pool:
        target.answered(Inventory(described, described, "0.1"))
        for _ in range(busy.get(target.entry.id, 0)):
            target.take(MODEL, 0.0)
    return SimpleNamespace(pool=pool, now=lambda: 0.0)


def goes_on_at(context: Any) -> object:
    former = next(iter(context.pool))
    found = elsewhere(context, former, MODEL, [former.entry.id])
    return found.entry.id if isinstance(found, Target) else found


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a-1", "a-1x", "b-1"], "b-1"),
        (["a-1", "a-1x"], "a-1x"),
        (["a-1", "a-2", "b-1", "b-2"], "b-2"),
        (["a-1", "a-2", "b-1"], "a-2"),
        (["a-2", "a-1", "b-1"], "b-1"),
    ],
    ids=[
        "another site first",
        "the same site where there is no other",
        "neither its site nor its release",
        "a newer release before another site",
        "the newest release has no newer one",
    ],
)
def test_who_may_be_ending_too_is_passed_over(names: list[str], expected: str) -> None:
    assert goes_on_at(beside({}, *names)) == expected


def test_a_target_without_a_free_slot_is_not_chosen_for_its_release() -> None:
    context = beside({"b-2": 4}, "a-1", "b-1", "b-2")
    assert goes_on_at(context) == "b-1"


def test_a_release_on_trial_gets_no_more_than_its_share() -> None:
    context = beside({}, "a-1", "b-1", "a-2", "b-2")
    context.pool.set_trial(Trial(2, ("a", "b"), 1.0))
    assert goes_on_at(context) == "b-1"
