"""The page as one browser sees it: what stands where, and what it is told each second."""

from __future__ import annotations

import json

from nicegui import background_tasks, ui
from nicegui.client import Client
from nicegui.element import Element

from arriero.ui.page.asking import Asking
from arriero.ui.page.chat import Chat
from arriero.ui.page.desk import Desk
from arriero.ui.page.doors import Visitor
from arriero.ui.page.orders import Orders
from arriero.ui.page.pieces import Fleet, Plots, RunProgress, choices, press, tag, words
from arriero.ui.page.shelves import Shelves
from arriero.ui.page.watch import Moment

THEME_COOKIE = "arriero_theme"
THEMES: dict[str, bool | None] = {"system": None, "light": False, "dark": True}
SECTIONS = (
    ("fleet", "Fleet"), ("load", "Load"), ("releases", "Releases"), ("deployment", "Deployment"),
    ("try", "Try a model"), ("drift", "Drift"), ("money", "Money"), ("reports", "Drills and reports"), ("acts", "Acts"),
)  # fmt: skip
SHORT = {"try": "Try", "reports": "Reports"}
# So often a browser's key is looked at again.
RECHECK_MOMENTS = 3


class View:
    """One browser's page. It draws itself once, then `show` is called each second until the browser is gone."""

    def __init__(self, desk: Desk, client: Client, visitor: Visitor, cookie: str, theme: str) -> None:
        self._desk, self._client, self._visitor, self._cookie = desk, client, visitor, cookie
        self._seen_acts, self._moments = desk.acts.count, 0
        address = client.request.client.host if client.request.client else ""
        orders = Orders(desk, Asking(desk, address))
        self._shelves = Shelves(desk, orders)
        self._theme = theme if theme in THEMES else "system"
        self._dark = ui.dark_mode(THEMES[self._theme])
        self._head()
        with tag("main", "page") as main:
            self._sections(orders)
        ui.skip_link("Skip to the fleet", target=main)

    def begin(self) -> None:
        """From now on it is shown what happens."""
        self._desk.watch.add(self)
        background_tasks.create(self._load(), name="sections of a page")

    def end(self) -> None:
        self._desk.watch.remove(self)
        self._chat.stop()

    def show(self, now: Moment) -> None:
        if self._client.is_deleted:
            self.end()
            return
        with self._client:
            self._fleet.tell(now.told)
            self._plots.tell(now.plots)
            self._run.tell(now.run)
            self._moments += 1
            if self._seen_acts != self._desk.acts.count:
                self._seen_acts = self._desk.acts.count
                self._shelves.renew_acts()
                background_tasks.create(self._load(anew=True), name="sections after an act")
            if self._moments % RECHECK_MOMENTS == 0 and not self._may_look():
                self.end()
                ui.navigate.to(f"{self._desk.prefix}/login")

    def _may_look(self) -> bool:
        return not self._desk.doors.has_keys or self._desk.doors.returning(self._cookie) is not None

    async def _load(self, anew: bool = False) -> None:
        with self._client:
            await self._shelves.load(anew)

    def _head(self) -> None:
        with tag("header", "top"):
            with tag("h1"):
                words("span", "arriero ", "where")
                words("span", self._desk.service)
            words("p", f"on {self._desk.where}", "where")
            with tag("nav", aria_label="Sections"):
                for name, title in SECTIONS:
                    words("a", SHORT.get(name, title), href=f"#{name}")
            with tag("div", "end"):
                words("span", f"{self._visitor.name} ({self._visitor.role})", "where")
                self._colours()
                if self._desk.doors.has_keys:
                    with tag("form", method="post", action=f"{self._desk.prefix}/logout"):
                        words("button", "Log out", "press", type="submit")

    def _colours(self) -> None:
        names = {"system": "Colours: system", "light": "Colours: light", "dark": "Colours: dark"}
        button = press(names[self._theme], lambda: None)

        def turn() -> None:
            order = list(THEMES)
            self._theme = order[(order.index(self._theme) + 1) % len(order)]
            self._dark.value = THEMES[self._theme]
            button.set_text(names[self._theme])
            kept = f"{THEME_COOKIE}={self._theme}; path={self._desk.prefix or '/'}; max-age=31536000; samesite=strict"
            ui.run_javascript(f"document.cookie = {json.dumps(kept)}")

        button.on("click", lambda _: turn(), args=[])

    def _sections(self, orders: Orders) -> None:
        with _section("fleet"):
            self._fleet = Fleet()
            self._traffic(orders)
        with _section("load"):
            self._plots = Plots()
        with tag("div", "shelves"):
            with _section("releases"):
                again = self._shelves.releases()
                press("Look again", again, said="Look again at the releases")
            with _section("deployment"):
                self._run = RunProgress()
            with _section("try"):
                self._chat = Chat(self._desk)
            with _section("drift"):
                again = self._shelves.drift()
                press("Look again", again, said="Look again for drift")
            with _section("money"):
                self._shelves.money()
            with _section("reports"):
                self._shelves.reports()
        with _section("acts"):
            self._shelves.acts()

    def _traffic(self, orders: Orders) -> None:
        if not self._desk.sites:
            return
        with tag("details"):
            words("summary", "Take a site out of the traffic, or put it back")
            with tag("div", "row-of"):
                site = choices("Site of the traffic", {name: name for name in self._desk.sites}, self._desk.sites[0])
                press("Take out", lambda: orders.traffic(site.value, 0), "harsh")
                press("Put back", lambda: orders.traffic(site.value, 100))


def _section(name: str) -> Element:
    found = tag("section", id=name, aria_labelledby=f"{name}-title")
    with found:
        words("h2", dict(SECTIONS)[name], id=f"{name}-title")
    return found
