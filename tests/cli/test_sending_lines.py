"""Where the controller sends log lines to, where it sends none, and from when on the next one goes on."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arriero.cli.here import Here, load_project
from arriero.cli.shipping import NEWEST, Logs, _known, _tell
from arriero.clouds.endpoints import Endpoints
from arriero.control.shipping import Shipped
from arriero.deploy.project import Project
from arriero.observe.shipping.running import OVERLAP
from arriero.observe.shipping.shipper import Memory

AT = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = """\
name: llm
image: acme/llm
models: [phi]
sites: {desk: {cloud: local, hosts: [127.0.0.1]}}
"""
SHIP = 'logs: {ship: {to: loki, url: "%s"}}\n'


def logs(folder: Path, ship: str = "", is_staged: bool = True) -> Logs:
    (folder / "arriero.yaml").write_text(SPEC + ship)
    project, loaded = load_project(folder / "arriero.yaml", None, {})
    return Logs(Here(project, loaded, Endpoints("here", {}), is_staged), None, Memory())


def sending() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "ship" in thread.name]


def test_who_asks_for_nothing_has_nothing_running(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    idle = logs(tmp_path)
    idle.start(lambda: None)
    assert sending() == []
    idle.stop()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("place", ["https://loki.example.com", "http://192.0.2.7:3100", "http://localhost.example.com"])
def test_a_rehearsal_sends_no_line_off_this_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    kept = logs(tmp_path, SHIP % place)
    kept.start(lambda: None)
    assert sending() == []
    kept.stop()
    told = json.loads(capsys.readouterr().out)
    assert told["event"] == "logs.kept"
    assert told["text"] == f"a rehearsal sends no line off this machine: {place} gets none"


@pytest.mark.parametrize(
    ("place", "is_staged"),
    [
        ("http://127.0.0.1:1", True),
        ("http://[::1]:1", True),
        ("http://localhost:1", True),
        ("http://127.0.0.1:1", False),
    ],
)
def test_to_this_machine_it_sends(tmp_path: Path, place: str, is_staged: bool) -> None:
    running = logs(tmp_path, SHIP % place, is_staged)
    running.start(lambda: None)
    assert sorted(sending()) == ["lines to ship", "ship lines"]
    running.stop()
    assert sending() == []


def test_what_waits_in_memory_is_not_read_again_when_the_spec_is(tmp_path: Path) -> None:
    running = logs(tmp_path, SHIP % "http://127.0.0.1:1")
    came = datetime.now(UTC) - timedelta(minutes=30)
    running.memory.came = came
    running.start(lambda: None)
    running.stop()
    assert running._shipping
    assert came - OVERLAP in running._shipping.lines.args  # type: ignore[attr-defined]


def test_the_next_one_goes_on_from_the_newest_line_that_was_taken(tmp_path: Path) -> None:
    project = Project(tmp_path / "arriero.yaml")
    assert _known(project) is None
    _tell(lambda: None, project, Shipped(), None)
    assert not project.state.exists()
    # A controller for another machine's gateway finds no folder.
    for newest in (AT, AT + timedelta(seconds=1)):
        _tell(lambda: None, project, Shipped(sent=1), newest)
        assert _known(project) == newest
    (project.edge / NEWEST).write_text('{"newest": 3}')
    assert _known(project) is None
