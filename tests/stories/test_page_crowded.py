"""The page before 200 targets and models with hostile names, in a real browser: it obeys none, and does not lag."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Served, chromium, tab
from places import ROOT, Place
from playwright.sync_api import Browser, expect

pytestmark = [pytest.mark.story, pytest.mark.wide]

# Milliseconds of a second in which the browser could not answer a key, on a machine that does other things, too.
LAG_MS = 400


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    program = ROOT / "benchmarks" / "stand_in_gateway.py"
    command = [sys.executable, str(program), str(tmp_path), "--targets", "200", "--hostile"]
    gateway = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert gateway.stdout is not None
    gateway.stdout.readline()
    served = Served(tmp_path)
    try:
        yield served
    finally:
        served.kill()
        gateway.kill()
        gateway.wait()
        Place(tmp_path).arriero("rehearse", "stop")  # the page's verbs began a stage


def test_hostile_names_are_shown_as_text_and_two_hundred_targets_do_not_lag(
    served: Served, browser: Browser, tmp_path: Path
) -> None:
    watched = tab(browser, 1440, 900)
    page = watched.page
    page.goto(served.url())
    expect(page.locator(".tile")).to_have_count(200)
    expect(page.locator(".models tbody tr")).to_have_count(3)
    names = page.locator(".models tbody th").all_inner_texts()
    assert any(name.startswith("<img src=x onerror=") for name in names)
    assert any("constructor.constructor" in name for name in names)
    assert (page.title(), page.locator("img").count()) == ("llm · arriero", 0)
    assert watched.serious() == []
    assert not watched.overflows()
    watched.keep("page-200", tmp_path)
    lag = page.evaluate(
        """() => new Promise((done) => {
          let blocked = 0;
          new PerformanceObserver((list) => list.getEntries().forEach((one) => { blocked += one.duration; }))
            .observe({ entryTypes: ["longtask"] });
          setTimeout(() => done(blocked / 5), 5000);
        })"""
    )
    print(f"{lag:.0f} ms of each second were long tasks")
    assert lag < LAG_MS
    phone = tab(browser, 360, 740)
    phone.page.goto(served.url())
    expect(phone.page.locator(".tile")).to_have_count(200)
    assert not phone.overflows()
    phone.keep("page-200-phone", tmp_path)
    assert (watched.complaints, phone.complaints) == ([], [])
    assert (watched.asked | phone.asked) - {"data"} == {f"127.0.0.1:{served.port}"}
