"""The screen of `arriero top` in a terminal of 80 by 24: what it says, and what keys do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable

from arriero.control.messages import TargetStatus
from arriero.errors import ArrieroError, Problem
from arriero.observe.glance import Glance, Row
from arriero.ui.top import Top, plain, seconds

WHOLE = Row("llm", up=2, targets=3, running=5, waiting=1, tokens_a_second=87.4, first_token_p50=0.12,
            first_token_p95=2.5, cost_an_hour=1.234)  # fmt: skip
SITES = (
    Row("aws-east", up=2, targets=2, release=7, running=5, first_token_p50=0.1, first_token_p95=0.4, cost_an_hour=1.1),
    Row("azure-east", up=0, targets=1, release=6, cost_an_hour=0.134),
)
MODELS = (Row("llama2:latest", up=1, targets=3, waiting=1, tokens_a_second=87.4, first_token_p50=0.12),)


def target(number: int, **values: object) -> TargetStatus:
    found = {"site": "aws-east", "address": "10.0.0.1:1", "state": "up", "role": "active", "release": 7, "weight": 100}
    found |= {"in_flight": 2, "resident": ("llama2:latest",), **values}
    return TargetStatus(id=f"target-{number}", **found)  # type: ignore[arg-type]


def glance(targets: int = 2) -> Glance:
    ones = (*(target(number) for number in range(targets)), target(99, site="azure-east", state="down", resident=()))
    return Glance("llm", False, WHOLE, SITES, MODELS, ones)


class Looks:
    """What is seen from now on; an error is raised."""

    def __init__(self, now: Glance | ArrieroError) -> None:
        self.now = now

    def __call__(self) -> Glance:
        if isinstance(self.now, ArrieroError):
            raise self.now
        return self.now


def shown(app: Top) -> list[str]:
    """The screen's lines, as a person reads them."""
    return [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]


def play(looks: Looks, story: Callable[[Top, Pilot[None]], Awaitable[None]], size: tuple[int, int] = (80, 24)) -> Top:
    async def run() -> Top:
        app = Top(looks)
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: not shown(app)[0].strip().startswith("looking"))
            await story(app, pilot)
        return app

    return asyncio.run(run())


async def until(pilot: Pilot[None], is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():
            await pilot.pause(0.01)


def test_the_whole_screen() -> None:
    async def story(app: Top, pilot: Pilot[None]) -> None:
        await until(
            pilot, lambda: all(any(word in line for line in shown(app)) for word in ("0/1", "1 of 3", "-99 ", "Quit"))
        )
        assert [" ".join(line.split()) for line in shown(app) if line.strip()] == [
            "llm: 2 of 3 targets up, 5 running, 1 waiting",
            "87 tokens/s, first token 120 ms, p95 2.5 s, $1.23 an hour",
            "site up release running first token p95 $/h",
            "aws-east 2/2 7 5 100 ms 400 ms 1.10",
            "azure-east 0/1 6 0 - - 0.13",
            "model in memory waiting tokens/s first token p95",
            "llama2:latest 1 of 3 1 87 120 ms -",
            "target site state rel running in memory",
            "target-0 aws-east up 7 2 llama2:latest",
            "target-1 aws-east up 7 2 llama2:latest",
            "target-99 azure-east down 7 2",
            "q Quit",
        ]
        assert max(len(line) for line in shown(app)) <= 80

    play(Looks(glance()), story)


def test_arrows_go_through_two_hundred_targets_and_a_renewal_keeps_the_place() -> None:
    async def story(app: Top, pilot: Pilot[None]) -> None:
        table = app.query_one("#targets", DataTable)
        await pilot.press(*["down"] * 25)
        await until(pilot, lambda: any("target-25 " in line for line in shown(app)))
        assert table.cursor_row == 25
        looks.now = glance(190)
        app.renew()
        await until(pilot, lambda: table.row_count == 191)
        assert table.cursor_row == 25
        assert any("target-25 " in line for line in shown(app))
        await pilot.press("up")
        assert table.cursor_row == 24

    looks = Looks(glance(200))
    play(looks, story)


def test_tab_goes_to_another_table_and_q_ends_it() -> None:
    async def story(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("tab")
        assert app.focused is app.query_one("#sites", DataTable)
        await pilot.press("q")

    assert play(Looks(glance()), story).return_code == 0


def test_a_gateway_that_is_silent_is_told_and_found_again_and_what_was_seen_stays() -> None:
    async def story(app: Top, pilot: Pilot[None]) -> None:
        looks.now = ArrieroError(Problem("the gateway did not answer", "is it running?"))
        app.renew()
        await until(pilot, lambda: "did not answer" in shown(app)[0])
        assert any("target-0 " in line for line in shown(app))
        looks.now = glance()
        app.renew()
        await until(pilot, lambda: "2 of 3 targets up" in shown(app)[0])

    looks = Looks(glance())
    play(looks, story)


def test_it_renews_itself() -> None:
    async def story(app: Top, pilot: Pilot[None]) -> None:
        looks.now = glance(5)
        await until(pilot, lambda: app.query_one("#targets", DataTable).row_count == 6)

    looks = Looks(glance())
    play(looks, story)


def test_a_hostile_name_is_shown_as_it_is() -> None:
    async def story(app: Top, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: any("[red]x[/red]?[31m" in line for line in shown(app)))

    row = Row("[red]x[/red]\x1b[31m")
    play(Looks(Glance("llm", False, WHOLE, SITES, (row,), ())), story)


@pytest.mark.parametrize(("value", "text"), [(None, "-"), (0.0314, "31 ms"), (0.9, "900 ms"), (61.04, "61.0 s")])
def test_times_are_short(value: float | None, text: str) -> None:
    assert seconds(value) == text


def test_a_long_name_is_cut() -> None:
    assert plain("x" * 30).plain == "x" * 19 + "…"
