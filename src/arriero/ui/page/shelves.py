"""The page's sections that are asked for now and then: releases, drift, money, reports, acts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from nicegui import ui
from nicegui.element import Element

from arriero.errors import ArrieroError
from arriero.ui.page.desk import Desk
from arriero.ui.page.orders import Orders
from arriero.ui.page.pieces import press, tag, words

Draw = Callable[[dict[str, Any]], None]
REPORTS = "/reports/"


class Section:
    """What a verb says, drawn when it is known, anew when asked."""

    def __init__(self, desk: Desk, body: Element, verb: tuple[str, ...], draw: Draw) -> None:
        self._desk, self._body, self._verb, self._draw = desk, body, verb, draw

    async def load(self, anew: bool = False) -> None:
        self._say("Looking…")
        try:
            told = await self._desk.verbs.look(*self._verb, anew=anew)
        except ArrieroError as error:
            self._say("; ".join(map(str, error.problems)), "bad")
            return
        if self._body.is_deleted:
            return
        self._body.clear()
        with self._body:
            self._draw(told)

    def _say(self, text: str, classes: str = "none") -> None:
        if not self._body.is_deleted:
            self._body.clear()
            with self._body:
                words("p", text, classes)


class Shelves:
    """One viewer's sections of this kind."""

    def __init__(self, desk: Desk, orders: Orders) -> None:
        self._desk, self._orders = desk, orders
        self._sections: list[Section] = []
        self._acts: Element | None = None
        self._told_diff: tuple[int, int, list[str]] | None = None

    async def load(self, anew: bool = False) -> None:
        await asyncio.gather(*(section.load(anew) for section in self._sections))

    def releases(self) -> Callable[[], Awaitable[None]]:
        return self._section(("history",), self._draw_releases)

    def drift(self) -> Callable[[], Awaitable[None]]:
        return self._section(("plan",), self._draw_drift)

    def money(self) -> Callable[[], Awaitable[None]]:
        return self._section(("cost", "--forecast"), self._draw_money)

    def reports(self) -> None:
        found = self._desk.shelf.all()
        if not found:
            words("p", "None was written yet: arriero report --out .arriero/reports, arriero drill --all.", "none")
            return
        with tag("ul", "plain"):
            for report in found:
                with tag("li"):
                    place = f"{self._desk.prefix}{REPORTS}{quote(report.name)}"
                    words("a", report.name, href=place, target="_blank", rel="noopener")
                    words("span", f"  {report.at:%Y-%m-%d %H:%M}Z", "where")

    def acts(self) -> None:
        self._acts = tag("div")
        self.renew_acts()

    def renew_acts(self) -> None:
        if self._acts is None:
            return
        self._acts.clear()
        with self._acts:
            self._draw_acts(self._desk.acts.newest())

    def _section(self, verb: tuple[str, ...], draw: Draw) -> Callable[[], Awaitable[None]]:
        section = Section(self._desk, tag("div"), verb, draw)
        self._sections.append(section)
        return lambda: section.load(anew=True)

    def _draw_releases(self, told: dict[str, Any]) -> None:
        releases = list(reversed(told["releases"]))
        if not releases:
            words("p", "Nothing was released yet.", "none")
            return
        running = self._running()
        with tag("div", "scrolls", tabindex=0, role="region", aria_label="Releases"), tag("table"):
            words("caption", "Releases, the newest first", "spoken")
            _head("release", "when", "state", "image", "by", "do")
            with tag("tbody"):
                for release in releases:
                    self._draw_release(release, running)
        self._diff = tag("div")
        # The list is drawn anew when a deployment ends: a diff that is read then stays.
        if self._told_diff:
            self._draw_diff(*self._told_diff)

    def _draw_release(self, release: dict[str, Any], running: int | None) -> None:
        number = int(release["release"])
        with tag("tr", data_release=number):
            with tag("th", scope="row"):
                words("span", number)
                if number == running:
                    words("span", "runs", "badge is-serving")
                if release.get("stable"):
                    words("span", "stable", "badge")
            words("td", str(release["at"])[:16].replace("T", " ") + "Z")
            with tag("td"):
                words("span", release["state"], f"badge is-{'done' if release['state'] == 'done' else 'failed'}")
            words("td", release["image"], "breaks")
            words("td", release["who"], "breaks")
            with tag("td"), tag("div", "row-of"):
                if running and number != running:
                    press("Diff", lambda: self._show_diff(number, running), said=f"Diff of {number} and {running}")
                    press(
                        "Roll back", lambda: self._orders.roll_back(number, running), "harsh", f"Roll back to {number}"
                    )
                if not release.get("stable") and release["state"] == "done":
                    press("Promote", lambda: self._orders.promote(number), said=f"Promote release {number}")

    def _running(self) -> int | None:
        fleet = self._desk.watch.moment.fleet
        return max((site["release"] or 0 for site in fleet["sites"]), default=0) or None if fleet else None

    async def _show_diff(self, number: int, running: int) -> None:
        self._diff.clear()
        with self._diff:
            words("p", "Looking…", "none")
        try:
            told = await self._desk.verbs.look("diff", str(number), str(running))
        except ArrieroError as error:
            self._diff.clear()
            with self._diff:
                words("p", error.problems[0], "bad")
            return
        self._told_diff = (number, running, told["lines"])
        self._draw_diff(*self._told_diff)

    def _draw_diff(self, number: int, running: int, lines: list[str]) -> None:
        if self._diff.is_deleted:  # the list is being read anew, and draws it then
            return
        self._diff.clear()
        with self._diff:
            words("h3", f"From release {number} to {running}")
            with tag("pre", "diff", tabindex=0, role="region", aria_label=f"Diff from {number} to {running}"):
                for line in lines or ["Both have the same spec."]:
                    words("span", line, {"+": "plus", "-": "minus"}.get(line[:1], ""))

    def _draw_drift(self, told: dict[str, Any]) -> None:
        changes = [(site["name"], one) for site in told["sites"] for step in site["steps"] for one in step["changes"]]
        problems = [(site["name"], site["problem"]) for site in told["sites"] if site["problem"]]
        notes = [(site["name"], one) for site in told["sites"] for one in (*site["drift"], *site["notes"])]
        for name, problem in problems:
            words("p", f"{name}: {problem}", "bad")
        if not changes and not notes and not problems:
            words("p", "Everything stands as the spec says.")
        if changes:
            words("p", f"{len(changes)} change(s) would be made by arriero up:")
            with tag("ul", "plain"):
                for name, one in changes:
                    words("li", f"{name}: {one['kind']} {one['name']}: {one['reason']}")
        for name, note in notes:
            words("p", f"{name}: {note if isinstance(note, str) else note.get('what', note)}", "none")

    def _draw_money(self, told: dict[str, Any]) -> None:
        if judged := told["budget"]:
            share = min(100.0, float(judged["share"]) * 100)
            words("p", judged["sentence"])
            label = f"{share:.0f} of 100 of the budget"
            with tag("div", f"meter is-{judged['standing']}", role="img", aria_label=label):
                tag("div").style(f"width: {share:.1f}%")
        else:
            words("p", "The spec has no budget: add budget: {monthly: 500 USD} to have one watched.", "none")
        with tag("div", "scrolls", tabindex=0, role="region", aria_label="Cost by site"), tag("table"):
            words("caption", "By list prices, as the spec has it", "spoken")
            _head("site", "targets", "a month", "at most")
            with tag("tbody"):
                for site in told["sites"]:
                    with tag("tr"):
                        words("th", site["name"], scope="row")
                        words("td", site["targets"])
                        words("td", f"${site['price']['monthly']}" + ("" if site["price"]["complete"] else " and more"))
                        words("td", f"${site['most']['monthly']}" if site["most"]["monthly"] else "unknown")

    def _draw_acts(self, acts: list[dict[str, Any]]) -> None:
        if not acts:
            words("p", "Nothing was done from this page yet.", "none")
            return
        with tag("ul", "plain"):
            for act in acts:
                about = ", ".join(f"{name} {act[name]}" for name in ("release", "site", "weight") if name in act)
                with tag("li"):
                    words("span", f"{act['at'][:19].replace('T', ' ')}  {act['who']}: {act['act']} {about} ")
                    outcome = act.get("outcome", "goes on…")
                    words("span", outcome, "bad" if outcome.startswith("failed") else "where")


def _head(*names: str) -> None:
    with tag("thead"), tag("tr"):
        for name in names:
            words("th", name, scope="col")


def note(text: str) -> None:
    ui.notify(text, position="bottom")
