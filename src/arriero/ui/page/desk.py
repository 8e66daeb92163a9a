"""All that the page's drawing half needs, handed in by who starts it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime

from arriero.control.client import Gateway
from arriero.secret import Secret
from arriero.ui.page.acting import Acts
from arriero.ui.page.doors import Doors
from arriero.ui.page.shelf import Shelf
from arriero.ui.page.verbs import Verbs
from arriero.ui.page.watch import Watch

# A model's answer to a prompt, in pieces of text: (model, prompt, site or empty, key) -> pieces, then who answered.
Ask = Callable[[str, str, str, Secret], Generator[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Desk:
    """`where` says what is acted on; `gateway` raises ArrieroError where none runs."""

    service: str
    where: str
    models: tuple[str, ...]
    sites: tuple[str, ...]
    doors: Doors
    acts: Acts
    verbs: Verbs
    watch: Watch
    shelf: Shelf
    gateway: Callable[[], Gateway]
    ask: Ask
    now: Callable[[], datetime]
    prefix: str = ""
