"""What a look at a site's store and at the gateway's file finds, and that nobody is held up who has nothing to do."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arriero.clock import SystemClock
from arriero.control.footprint import footprint
from arriero.observe.logs import following
from arriero.observe.logs.entry import Entry
from arriero.observe.logs.requests import IDS_LIMIT
from arriero.plan.model import SiteRef

SITE = SiteRef("llm", "a", "local", "")

Plant = Callable[[list[str]], int]


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plant:
    """Lines of a server of the site that ran on this machine, and runs no more."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    folder, log = tmp_path / "arriero/llm/a", tmp_path / "a-1.log"
    server = {
        "name": "a-1", "address": "127.0.0.1:1", "command": [], "tags": {}, "pid": 0, "started": 0, "log": str(log),
        "host": "127.0.0.1", "stop_seconds": 1, "environment": {},
    }  # fmt: skip
    folder.mkdir(parents=True)
    (folder / "a-1.json").write_text(json.dumps(server))
    return lambda lines: log.write_text("\n".join(lines))


def sidecars(number: int) -> str:
    at = datetime.now(UTC).isoformat()
    return json.dumps({"at": at, "event": "sidecar.request", "boot": "b", "seq": number + 1, "id": f"r-{number}"})


def ollamas(number: int) -> str:
    at, address = datetime.now(UTC).astimezone(), footprint(f"r-{number}")
    return f'[GIN] {at:%Y/%m/%d - %H:%M:%S} | 200 | 1.2ms | {address} | POST "/api/chat"'


def test_a_line_of_ollamas_is_found_by_the_request_however_many_came_after_it(plant: Plant) -> None:
    first, last = ollamas(0), ollamas(IDS_LIMIT)
    plant([first, *map(sidecars, range(IDS_LIMIT + 1)), last])
    start = datetime.now(UTC) - timedelta(minutes=5)
    found = {number: list(following.lines([SITE], start, False, f"r-{number}")) for number in (0, IDS_LIMIT)}
    assert {number: [one.entry.text for one in shown if not one.entry.seq] for number, shown in found.items()} == {
        0: [first], IDS_LIMIT: [last],
    }  # fmt: skip


def test_who_reads_a_site_ends_although_nobody_takes_its_lines(plant: Plant) -> None:
    plant(list(map(sidecars, range(10))))
    inbox, over = queue.Queue[Entry](3), threading.Event()
    start = datetime.now(UTC) - timedelta(minutes=5)
    reader = following.SiteReader(SITE, start, inbox, SystemClock(), over.is_set)
    thread = threading.Thread(target=reader.run, daemon=True)
    thread.start()
    while not inbox.full():
        threading.Event().wait(0.01)
    over.set()
    thread.join(10)
    assert not thread.is_alive()
    assert [inbox.get().seq for _ in range(3)] == [1, 2, 3]
