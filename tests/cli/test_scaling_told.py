"""What `status` says of the controller's last decision."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from arriero.cli import scaling, show
from arriero.clock import ManualClock
from arriero.deploy.project import Project
from arriero.observe.status import Status
from arriero.scale.controller import Memory
from arriero.scale.telling import Report, SiteReport
from arriero.spec.model import Spec

SITES = {"aws": {"cloud": "aws", "region": "us-east-1"}, "desk": {"cloud": "local", "hosts": ["127.0.0.1"]}}
SPEC = Spec.model_validate({"name": "llm", "image": "acme/llm", "models": ["phi"], "sites": SITES})
NOW = datetime(2026, 1, 1, tzinfo=UTC)
REPORT = Report(
    NOW, "", "3 are needed", 3, False, 9, 2,
    (SiteReport("aws", 2, 3), SiteReport("desk", 1, 1, "its targets are started by arriero up only")),
)  # fmt: skip


def lines(report: Report) -> list[str]:
    return show.status_lines(Status("llm", 1, None, (), report.as_json()), SPEC)[1:]


def test_counts_what_is_wanted_and_why_are_told() -> None:
    assert lines(REPORT) == [
        "scaling: aws 2 -> 3, desk 1: 3 are needed; 9 requests open, 2 waiting",
        "  desk: its targets are started by arriero up only",
    ]


def test_who_keeps_it_from_acting_is_told() -> None:
    assert "  ! paused: a deployment is under way: eve" in lines(
        replace(REPORT, paused="a deployment is under way: eve")
    )


def test_only_what_was_decided_a_moment_ago_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, project = ManualClock(NOW), Project(tmp_path / "arriero.yaml")
    monkeypatch.setattr(scaling, "SystemClock", lambda: clock)
    assert scaling.last_report(project) is None
    project.edge.mkdir(parents=True)
    scaling._keep(project, Memory(), REPORT)
    assert scaling.last_report(project) == REPORT
    clock.sleep(scaling.FRESH_SECONDS)
    assert scaling.last_report(project) is None
    (project.edge / "scaling.json").write_text(json.dumps({"schema": 2}))
    assert scaling.last_report(project) is None


def test_what_was_learnt_of_the_day_outlives_a_controller_and_damage(tmp_path: Path) -> None:
    project, memory = Project(tmp_path / "arriero.yaml"), Memory()
    project.edge.mkdir(parents=True)
    memory.work.demand.restore([[1.5] * 96, [None] * 96])
    scaling._keep(project, memory, REPORT)
    heir = Memory()
    scaling._recall(project, heir)
    assert heir.work.demand.learnt() == memory.work.demand.learnt()
    (project.edge / scaling.USUAL).write_text("{damaged")
    scaling._recall(project, other := Memory())
    assert other.work.demand.learnt() == Memory().work.demand.learnt()
