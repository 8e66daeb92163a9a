"""Before each act: what will be done, and an admin key, asked anew each time. Who has one is named in the audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui

from arriero.errors import ArrieroError
from arriero.ui.page.acting import Work
from arriero.ui.page.desk import Desk
from arriero.ui.page.doors import Visitor
from arriero.ui.page.pieces import Field, press, tag, words

NO_KEYS = (
    "Nothing can be done from this page yet, because there is no admin key. Make one in a terminal: "
    "arriero keys add NAME --role admin. From then on the gateway needs keys, too."
)


class Asking:
    """One dialog, opened for one act. `address` is where the browser is, so that keys can't be guessed."""

    def __init__(self, desk: Desk, address: str) -> None:
        self._desk, self._address = desk, address

    def about(self, title: str, said: Sequence[str], act: str, fields: Mapping[str, Any], work: Work) -> None:
        """Opens it; `work` is begun once an admin key was given."""
        with ui.dialog().props("aria-labelledby=asked-title") as dialog, tag("div", "ask"):
            words("h2", title, id="asked-title")
            for line in said:
                words("p", line)
            if not self._desk.doors.has_keys:
                words("p", NO_KEYS, "bad", role="alert")
                with tag("div", "row-of"):
                    press("Close", dialog.close)
            else:
                self._form(dialog, act, fields, work)
        dialog.on("hide", dialog.delete)
        dialog.open()

    def _form(self, dialog: ui.dialog, act: str, fields: Mapping[str, Any], work: Work) -> None:
        key = Field("Admin key", type="password", autocomplete="off", autofocus=True)
        problem = words("p", "", "bad", role="alert")

        def go() -> None:
            who = self._who(key.value.strip())
            if isinstance(who, str):
                problem.set_text(who)
                return
            try:
                self._desk.acts.start(who.name, act, fields, work)
            except ArrieroError as error:
                problem.set_text(str(error.problems[0]))
                return
            dialog.close()
            ui.notify(f"{act}: begun as {who.name}", position="bottom")

        key.element.on("keydown.enter", lambda _: go(), args=[])
        with tag("div", "row-of"):
            press("Do it", go, "main")
            press("Leave it", dialog.close)

    def _who(self, text: str) -> Visitor | str:
        """Who has this key, or why it will not do."""
        doors = self._desk.doors
        if not doors.may_try(self._address):
            return "Too many wrong keys: wait a minute."
        found = doors.opened_by(text)
        if found is None or found.role != "admin":
            doors.was_wrong(self._address)
            return "This key is not valid." if found is None else f"A key with the role {found.role} may not do this."
        return found
