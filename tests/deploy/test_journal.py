"""The journal of a run outlives whoever writes it."""

from __future__ import annotations

from pathlib import Path

from arriero.clock import ManualClock
from arriero.deploy import journal
from arriero.events import Event, ignore

AT = ManualClock().now()


def test_every_event_is_on_disk_before_the_listener_hears_of_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    on_disk: list[int] = []
    with journal.opened(path, lambda _: on_disk.append(len(journal.read(path)))) as note:
        for site in ("a", "b"):
            note(Event("step.started", AT, site, {"step": "network"}))
    assert on_disk == [1, 2]
    assert [entry["site"] for entry in journal.read(path)] == ["a", "b"]  # type: ignore[index, call-overload]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_line_cut_short_by_a_crash_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with journal.opened(path, ignore) as note:
        note(Event("step.started", AT, "a"))
    with path.open("a") as file:
        file.write('{"schema": 1, "eve')
    assert len(journal.read(path)) == 1


def test_an_empty_journal_has_no_entries(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").touch()
    assert journal.read(tmp_path / "journal.jsonl") == []
