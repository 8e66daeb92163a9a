"""A run's private data directory: who may read it, what stands in it, when it goes."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from arriero.clock import ManualClock
from arriero.deploy.workspace import KEPT_RUNS, SiteHost, Workspace, inventory

SITES = (
    SiteHost("aws-east", "aws", "us-east-1", "active", {"aws_site_steps": ["network"]}),
    SiteHost("office", "local", "", "standby"),
)


def made(runs: Path, clock: ManualClock | None = None) -> Workspace:
    """One whose run is over."""
    with Workspace.opened(runs, SITES, clock or ManualClock()) as workspace:
        return workspace


def test_only_the_owner_can_read_a_run(tmp_path: Path) -> None:
    workspace = made(tmp_path / "runs")
    folders = [workspace.folder.parent, workspace.folder, workspace.temporary, workspace.inventory.parent]
    assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o700] * 4
    assert workspace.inventory.stat().st_mode & 0o777 == 0o600


def test_a_run_is_named_by_its_time_and_never_twice(tmp_path: Path) -> None:
    clock = ManualClock(datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC))
    names = [made(tmp_path, clock).folder.name for _ in range(2)]
    assert all(name.startswith("20260304T050607Z-") for name in names)
    assert len(set(names)) == 2


def test_sites_are_grouped_by_cloud_region_and_role() -> None:
    groups = inventory(SITES)["all"]["children"]  # type: ignore[index, call-overload]
    assert {name: sorted(group["hosts"]) for name, group in groups.items()} == {  # type: ignore[union-attr]
        "sites": ["aws-east", "office"],
        "aws": ["aws-east"],
        "local": ["office"],
        "region_us_east_1": ["aws-east"],
        "role_active": ["aws-east"],
        "role_standby": ["office"],
    }


def test_a_sites_variables_stand_beside_how_it_is_reached(tmp_path: Path) -> None:
    written = json.loads(made(tmp_path).inventory.read_text())
    assert written["all"]["hosts"]["aws-east"] == {
        "ansible_connection": "local",
        "ansible_module_compression": "ZIP_STORED",
        "arriero_cloud": "aws",
        "arriero_region": "us-east-1",
        "arriero_role": "active",
        "arriero_site": "aws-east",
        "aws_site_steps": ["network"],
    }


def test_the_oldest_runs_go_but_for_one_that_is_still_at_work(tmp_path: Path) -> None:
    clock = ManualClock()
    runs = []
    for _ in range(KEPT_RUNS):
        runs.append(made(tmp_path, clock))
        clock.sleep(1)
    with runs[0].locked():
        made(tmp_path, clock)
        assert len(list(tmp_path.iterdir())) == KEPT_RUNS + 1
    clock.sleep(1)
    made(tmp_path, clock)
    left = {path.name for path in tmp_path.iterdir()}
    assert len(left) == KEPT_RUNS
    assert not left & {run.folder.name for run in runs[:2]}


def test_what_a_killed_run_left_behind_is_tidied_up_by_the_next(tmp_path: Path) -> None:
    killed = made(tmp_path)
    (killed.artifacts / "run").mkdir(parents=True)
    made(tmp_path)
    assert not killed.artifacts.exists()
    assert not killed.temporary.exists()
    assert killed.inventory.exists()


def test_a_folder_is_held_by_one_run_only(tmp_path: Path) -> None:
    with Workspace.opened(tmp_path, SITES, ManualClock()) as workspace:
        with pytest.raises(BlockingIOError), workspace.locked():
            pytest.fail("two runs in one folder")
        made(tmp_path)
        assert workspace.temporary.exists(), "a run that is at work was tidied up"


def test_deployers_of_one_project_begin_side_by_side(tmp_path: Path) -> None:
    def deployer(_: int) -> bool:
        with Workspace.opened(tmp_path, SITES, ManualClock()) as workspace:
            return workspace.temporary.exists() and workspace.inventory.exists()

    with ThreadPoolExecutor(8) as deployers:
        assert all(deployers.map(deployer, range(200)))
