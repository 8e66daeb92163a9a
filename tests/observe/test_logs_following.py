"""Four sites write 5,000 lines a second, and each breaks off once: nothing is lost, doubled or out of its place."""

from __future__ import annotations

import queue
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arriero.clock import SystemClock
from arriero.observe.logs.entry import Entry, Shown
from arriero.observe.logs.following import QUEUE_LIMIT, SiteReader, merged
from arriero.plan.model import SiteRef, TargetFacts

RATE, SECONDS = 1250, 6

pytestmark = pytest.mark.wide


def test_four_sites_of_twelve_hundred_and_fifty_lines_a_second() -> None:
    clock, inbox = SystemClock(), queue.Queue[Entry](QUEUE_LIMIT)
    command = [sys.executable, str(Path(__file__).with_name("line_server.py"))]
    words = [[*command, site, str(RATE), str(SECONDS)] for site in "abcd"]
    processes = [subprocess.Popen(each, stdout=subprocess.PIPE, text=True) for each in words]
    try:
        for site, process in zip("abcd", processes, strict=True):
            assert process.stdout is not None
            address = f"127.0.0.1:{int(process.stdout.readline())}"
            reader = SiteReader(SiteRef("llm", site, "local", ""), datetime.now(UTC), inbox, clock)
            reader.hear([TargetFacts(f"{site}-1", site, "ready", address)])
        seen, end = list[Shown](), time.monotonic() + SECONDS + 30
        for shown in merged(inbox, clock, lambda: time.monotonic() > end or len(seen) == 4 * RATE * SECONDS):
            seen.append(shown)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    greatest, worst = seen[0].entry.at, timedelta()
    for shown in seen:
        worst = max(worst, greatest - shown.entry.at)
        greatest = max(greatest, shown.entry.at)
    print(f"{len(seen)} lines, {sum(one.is_late for one in seen)} late, none further out of place than {worst}")
    assert len(seen) == len({(one.entry.boot, one.entry.seq) for one in seen}) == 4 * RATE * SECONDS
    assert worst <= timedelta(seconds=1)
