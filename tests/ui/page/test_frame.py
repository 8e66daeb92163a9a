"""What a browser is told each second: sites with their state, targets, and the lines of plots."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from arriero.control.messages import TargetStatus
from arriero.errors import ArrieroError, Problem
from arriero.observe.glance import Glance, Row
from arriero.ui.page.frame import PLOT_SECONDS, POINT_SECONDS, Place, Plots, frame
from arriero.ui.page.runs import Runs
from arriero.ui.page.watch import Moment, Watch

PLACES = {"east": Place("aws", "us-east-1", "active"), "west": Place("azure", "westeurope", "standby")}
WHOLE = Row("llm", up=1, targets=2, waiting=3, tokens_a_second=87.44, first_token_p50=0.1234, first_token_p95=2.0,
            cost_an_hour=1.5)  # fmt: skip


def target(name: str, state: str = "up", site: str = "east", weight: int = 100) -> TargetStatus:
    return TargetStatus(name, site, "10.0.0.1:1", state, "active", 7, weight, 2, ("m",), ("m",))  # type: ignore[arg-type]


def glance(*targets: TargetStatus) -> Glance:
    names = dict.fromkeys(one.site for one in targets)
    rows = tuple(Row(name, targets=sum(one.site == name for one in targets)) for name in names)
    return Glance("llm", False, WHOLE, rows, (), targets)


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ([], "no targets"),
        (["up", "up"], "serving"),
        (["up", "down"], "degraded"),
        (["up", "suspect"], "degraded"),
        (["up", "new"], "degraded"),
        (["down", "down"], "down"),
        (["new"], "down"),
        (["draining"], "draining"),
    ],
)
def test_a_site_is_as_its_targets_are(states: list[str], said: str) -> None:
    found = frame(glance(*(target(f"t{n}", state) for n, state in enumerate(states))), PLACES, "12:00:00")
    assert [site["state"] for site in found["sites"]] == [said, "no targets"]


def test_a_site_that_lost_all_its_targets_stays_and_one_that_left_the_spec_is_seen() -> None:
    found = frame(glance(target("a", site="old"), target("b", weight=0)), PLACES, "12:00:00")
    assert [(one["name"], one["region"], one["out"]) for one in found["sites"]] == [
        ("east", "us-east-1", True), ("west", "westeurope", False), ("old", "", False),
    ]  # fmt: skip
    assert found["whole"]["cost"] == 36.0
    json.dumps(found)


def test_plots_hold_a_quarter_of_an_hour_with_holes_where_nothing_was_seen() -> None:
    plots = Plots()
    for second in range(PLOT_SECONDS + 60):
        plots.add(None if second < 100 else WHOLE, float(second))
    lines = {plot["name"]: plot["lines"] for plot in plots.as_json()}
    assert len(lines["Waiting"]["requests"]) == PLOT_SECONDS // POINT_SECONDS
    assert lines["First token"]["median"][0] is None
    assert [lines["First token"][name][-1] for name in ("median", "95th of 100")] == [0.123, 2.0]
    assert (lines["Tokens a second"]["tokens"][-1], lines["Cost a day"]["list price"][-1]) == (87.4, 36.0)


class Seen:
    def __init__(self) -> None:
        self.told: list[dict[str, object]] = []

    def show(self, now: Moment) -> None:
        self.told.append(json.loads(now.told or "{}"))


def test_a_silent_gateway_is_said_to_be_and_what_was_seen_last_stays(tmp_path: Path) -> None:
    looks: list[Glance | None] = [glance(target("a")), None, glance(target("a", "down"))]

    def look() -> Glance:
        found = looks.pop(0)
        if found is None:
            raise ArrieroError(Problem("the gateway did not answer", "is it running?"))
        return found

    watch, seen = Watch(look, lambda: PLACES, Runs(tmp_path), lambda: datetime(2026, 3, 1, tzinfo=UTC)), Seen()
    watch.add(seen)
    for second in range(3):
        asyncio.run(watch.step(float(second)))
    watch.remove(seen)
    assert [(one["problem"], one["fleet"]["sites"][0]["state"]) for one in seen.told[1:]] == [  # type: ignore[index]
        ("", "serving"), ("the gateway did not answer; is it running?.", "serving"), ("", "down"),
    ]  # fmt: skip
    assert watch.viewers == 0
