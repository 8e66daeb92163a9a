"""What is said of places that could not be read, where a verb goes on without them."""

from __future__ import annotations

from dataclasses import replace

from arriero.cli.sites import unread
from arriero.errors import Problem
from arriero.plan.model import Facts, SiteFacts

EAST = SiteFacts("east", "aws", "us-east-1")
DOOR = SiteFacts("front-door", "azure", "westeurope")
LOST = Problem("no answer", "try again")


def test_each_site_and_the_front_door_that_could_not_be_read_are_told() -> None:
    whole = Facts("llm", {"east": EAST}, front_door=DOOR)
    lost = Facts("llm", {"east": replace(EAST, problem=LOST)}, front_door=replace(DOOR, problem=LOST))
    assert list(unread(whole)) == []
    assert list(unread(replace(whole, front_door=None))) == []
    assert list(unread(lost)) == [
        "! east can't be read, so what stands there is left out: no answer; try again",
        "! the Front Door can't be read, so what stands of it is left out: no answer; try again",
    ]
