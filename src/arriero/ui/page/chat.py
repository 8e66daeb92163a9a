"""A box to try a model: the prompt goes through the gateway, to a chosen site if wished, and its answer streams in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from nicegui.elements.mixins.text_element import TextElement

from arriero.errors import ArrieroError
from arriero.secret import Secret
from arriero.ui.page.desk import Desk
from arriero.ui.page.pieces import Field, choices, press, tag, words

SHOW_SECONDS = 0.1
ANY = "wherever the gateway sends it"


class Chat:
    """One viewer's. The answer stops when the viewer says so, or leaves."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._stop = threading.Event()
        self._is_busy = False
        with tag("div", "row-of"):
            self._model = choices("Model", {name: name for name in desk.models}, desk.models[0])
            self._site = choices("Site", {"": ANY, **{name: name for name in desk.sites}})
        self._prompt = Field("Prompt", "textarea", rows=3)
        self._key: Field | None = None
        if desk.doors.has_keys:
            self._key = Field("API key with the role user or admin", type="password", autocomplete="off")
        with tag("div", "row-of"):
            press("Ask", self._ask, "main")
            press("Stop", self.stop)
        self._answer: TextElement = words("div", "", "answer", role="log", tabindex=0, aria_label="Answer")
        self._said: TextElement = words("p", "", "seen", role="status")

    def stop(self) -> None:
        self._stop.set()

    async def _ask(self) -> None:
        if self._is_busy or not self._prompt.value.strip():
            return
        self._is_busy, self._stop = True, threading.Event()
        self._answer.set_text("")
        self._said.set_text("Asked; waiting for the first token…")
        try:
            self._said.set_text(await self._streamed(self._stop))
        except ArrieroError as error:
            self._said.set_text(str(error.problems[0]))
        finally:
            self._is_busy = False

    async def _streamed(self, stop: threading.Event) -> str:
        """Shows what has come ten times a second; returns who answered."""
        pieces: list[str] = []
        work = asyncio.create_task(asyncio.to_thread(self._read, pieces.append, stop))
        shown = 0
        while not work.done():
            await asyncio.wait({work}, timeout=SHOW_SECONDS)
            if len(pieces) > shown:
                shown = len(pieces)
                self._answer.set_text("".join(pieces))
        return work.result()

    def _read(self, take: Callable[[str], None], stop: threading.Event) -> str:
        key = Secret(self._key.value.strip() if self._key else "")
        said = ""
        stream = self._desk.ask(self._model.value, self._prompt.value, self._site.value, key)
        for piece, said in stream:
            take(piece)
            if stop.is_set():
                stream.close()
                return f"Stopped; {said}"
        return said
