"""A page in a real headless Chromium, watched: what it complains of, whom it asks, and whether all people can use it.

`ARRIERO_SCREENSHOTS` is the folder where screenshots are kept.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from places import free_port
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
# A machine that is busy draws slowly.
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)


@contextmanager
def chromium(*more: str) -> Iterator[Browser]:
    """Skips where there is none; .ci/run installs it. `more` are flags of its own."""
    if not CHROMIUM:
        pytest.skip("no chromium here: apt-get install chromium")
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", *more]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watched:
    """A tab, with all that it complained of and all the addresses that it asked."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)

    def serious(self) -> list[str]:
        """What axe-core finds that keeps people out, as `rule: element`."""
        found = Axe().run(self.page).response["violations"]
        bad: list[dict[str, Any]] = [one for one in found if one["impact"] in ("serious", "critical")]
        return [f"{one['id']}: {node['html'][:120]}" for one in bad for node in one["nodes"]]

    def keep(self, name: str, folder: Path, whole: bool = False) -> None:
        kept = Path(os.environ.get("ARRIERO_SCREENSHOTS") or folder)
        kept.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=kept / f"{name}.png", full_page=whole, timeout=2 * PATIENCE_MS, animations="disabled")

    def overflows(self) -> bool:
        """Whether it can be scrolled sideways."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > innerWidth"))


def tab(
    browser: Browser, width: int = 1280, height: int = 900, scheme: str = "light", *, trusts_all: bool = False
) -> Watched:
    """`trusts_all`: any certificate will do."""
    context: BrowserContext = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        reduced_motion="reduce",  # type: ignore[arg-type]
        ignore_https_errors=trusts_all,
    )
    context.set_default_timeout(PATIENCE_MS)
    watched = Watched(context.new_page())
    watched.page.on("console", lambda said: watched.complaints.append(said.text) if said.type == "error" else None)
    watched.page.on("pageerror", lambda error: watched.complaints.append(str(error)))
    watched.page.on("request", lambda asked: watched.asked.add(urlsplit(asked.url).netloc or "data"))
    watched.page.on("websocket", lambda socket: watched.asked.add(urlsplit(socket.url).netloc))
    return watched


class Served:
    """`arriero ui` as a process of its own, at a port and below a prefix."""

    def __init__(self, folder: Path, *words: str, prefix: str = "/fleet") -> None:
        self.port, self.prefix, self._folder, self._words = free_port(), prefix, folder, words
        self.start()

    def url(self, path: str = "") -> str:
        """Of the page, or of a path."""
        return f"http://127.0.0.1:{self.port}{path or f'{self.prefix}/'}"

    def start(self) -> None:
        words = ["--port", str(self.port), "--prefix", self.prefix, *self._words]
        command = [sys.executable, "-m", "arriero", "ui", *words]
        with (self._folder / "ui.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self._folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                urllib.request.urlopen(self.url(f"{self.prefix}/healthz"), timeout=1).read()
                return
            except OSError:
                assert self._process.poll() is None, (self._folder / "ui.log").read_text()
                time.sleep(0.1)
        raise AssertionError("the page did not come up")

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
