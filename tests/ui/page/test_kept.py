"""What the page reads from files and verbs, and what it writes: the audit, runs, reports."""

from __future__ import annotations

import asyncio
import fcntl
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from arriero.errors import ArrieroError, Problem
from arriero.ui.page.acting import Acts
from arriero.ui.page.audit import Audit
from arriero.ui.page.runs import Runs
from arriero.ui.page.shelf import Shelf
from arriero.ui.page.verbs import Verbs

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def order(audit: Audit, work: Callable[[], Awaitable[str]]) -> None:
    async def run() -> None:
        acts = Acts(audit, lambda: NOW)
        acts.start("ann", "rollback", {"release": 6}, work)
        assert acts.newest()[0].get("outcome") is None, "it is written down before it is done"
        while acts.count < 2:
            await asyncio.sleep(0)

    asyncio.run(run())


def test_each_act_is_written_down_before_and_after(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "ui" / "audit.jsonl")

    async def fine() -> str:
        return "release 6 runs again"

    async def wrong() -> str:
        raise ArrieroError(Problem("another deployment goes on", "wait for it"))

    order(audit, fine)
    order(audit, wrong)
    assert [(act["who"], act["release"], act["outcome"]) for act in audit.newest()] == [
        ("ann", 6, "failed: another deployment goes on; wait for it"), ("ann", 6, "release 6 runs again"),
    ]  # fmt: skip
    assert (tmp_path / "ui" / "audit.jsonl").stat().st_mode & 0o777 == 0o600


def test_what_can_not_be_written_down_is_not_done(tmp_path: Path) -> None:
    (tmp_path / "audit.jsonl").mkdir()
    done: list[int] = []

    async def work() -> str:
        done.append(1)
        return ""

    async def run() -> None:
        Acts(Audit(tmp_path / "audit.jsonl"), lambda: NOW).start("ann", "rollback", {}, work)

    with pytest.raises(ArrieroError, match="it was not done, because it can't be written down"):
        asyncio.run(run())
    assert done == []


def event(kind: str, site: str, second: int, **more: Any) -> str:
    at = f"2026-03-01T12:00:{second:02d}+00:00"
    return json.dumps({"schema": 1, "event": kind, "at": at, "site": site, **more}) + "\n"


def test_a_deployment_is_followed_while_it_goes_on(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "runs")
    assert runs.look() is None
    folder = tmp_path / "runs" / "20260301T120000Z-aaaaaa"
    folder.mkdir(parents=True)
    journal = folder / "journal.jsonl"
    journal.write_text(event("step.started", "east", 1, step="network", task="Make the network"))
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert runs.look() == {
            "name": folder.name, "open": True, "lines": ["12:00:01  east   Make the network"],
            "sites": [{"name": "east", "state": "running", "step": "network", "task": "Make the network",
                       "began": "2026-03-01T12:00:01+00:00", "at": "2026-03-01T12:00:01+00:00", "message": "",
                       "seconds": 0.0}],
        }  # fmt: skip
        with journal.open("a") as file:
            file.write(event("step.failed", "west", 2, message="no quota") + event("step.skipped", "east", 3)[:20])
        found = runs.look()
        assert [(site["name"], site["state"], site["message"]) for site in found["sites"]] == [  # type: ignore[index]
            ("east", "running", ""), ("west", "failed", "no quota"),
        ]  # fmt: skip
    left = runs.look()
    assert left is not None
    assert (left["open"], left["sites"][0]["state"]) == (False, "left"), "its process is gone, and it never said an end"


def test_the_runs_of_one_deployment_are_one(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    for name, kind, site, second in (("a", "site.finished", "east", 5), ("b", "step.started", "west", 9)):
        folder = tmp_path / f"2026030{1}T1200{second:02d}Z-{name * 6}"
        folder.mkdir()
        (folder / "journal.jsonl").write_text(event(kind, site, second))
        found = runs.look()
    assert found is not None
    assert [(site["name"], site["state"]) for site in found["sites"]] == [("east", "done"), ("west", "left")]


def test_what_a_run_said_before_the_next_one_began_is_not_lost(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    journals = [tmp_path / f"20260301T1200{second:02d}Z-a" / "journal.jsonl" for second in (1, 6, 8)]
    for journal in journals:
        journal.parent.mkdir()
    journals[0].write_text(event("step.started", "east", 2, step="wait"))
    runs.look()
    with journals[0].open("a") as file:
        file.write(event("site.finished", "east", 5))
    journals[1].write_text(event("step.started", "west", 6) + event("site.finished", "west", 7))
    journals[2].write_text(event("step.started", "north", 8))
    found = runs.look()
    assert found is not None
    assert [(site["name"], site["state"]) for site in found["sites"]] == [
        ("east", "done"), ("west", "done"), ("north", "left"),
    ]  # fmt: skip


def test_reports_are_found_by_their_names_and_no_other_file_is(tmp_path: Path) -> None:
    shelf = Shelf([tmp_path / "reports", tmp_path / "nowhere"])
    (tmp_path / "reports" / "march").mkdir(parents=True)
    (tmp_path / "reports" / "march" / "report.html").write_text("<p>fine</p>")
    (tmp_path / "secret.html").write_text("no")
    (tmp_path / "reports" / "link.html").symlink_to(tmp_path / "secret.html")
    assert [report.name for report in shelf.all()] == ["reports/march/report.html"]
    for name in ("reports/../secret.html", "../secret.html", "reports/link.html", "/etc/passwd", ""):
        assert shelf.find(name) is None


def test_verbs_are_asked_once_for_all_who_look(tmp_path: Path) -> None:
    verbs = Verbs(tmp_path, ())

    async def run() -> tuple[dict[str, Any], dict[str, Any], list[str]]:
        first, second = await asyncio.gather(verbs.look("version"), verbs.look("version"))
        problems: list[str] = []
        for words in (("history",), ("nonsense",)):
            try:
                await verbs.look(*words)
            except ArrieroError as error:
                problems.append(str(error.problems[0]))
        return first, second, problems

    first, second, problems = asyncio.run(run())
    assert first is second
    assert first["schema"] == 1
    assert ["arriero.yaml" in problems[0], "nonsense" in problems[1]] == [True, True]
