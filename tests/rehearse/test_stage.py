from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from arriero.clouds.local.process import find
from arriero.errors import ArrieroError, Refused
from arriero.rehearse.control import NotThere, ask
from arriero.rehearse.emulator import Fault
from arriero.rehearse.stage import Stage

PROGRAM = (sys.executable, str(Path(__file__).parent / "bare_stage.py"))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path / "project" / ".arriero" / "stage", PROGRAM)
    yield made
    made.stop()


def eventually(true: Callable[[], bool], seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    return true()


def pids(stage: Stage) -> set[int]:
    return {row.pid for row in stage.containers()}


def test_a_stage_that_does_not_run_says_so_and_holds_nothing(stage: Stage) -> None:
    assert (stage.is_running(), stage.containers()) == (False, [])
    with pytest.raises(NotThere, match="arriero rehearse start"):
        stage.endpoints({})


def test_a_stage_is_in_the_background_with_its_servers_until_it_is_stopped(stage: Stage) -> None:
    stage.ensure()
    held = pids(stage)
    status = stage.status()
    assert status.pid is not None
    assert status.pid != os.getpid()
    assert os.getsid(status.pid) == status.pid
    assert len(held) == 2
    stage.stop()
    assert not stage.is_running()
    assert [pid for pid in (*held, status.pid) if find(pid)] == []


def test_ensuring_twice_starts_once_and_a_restart_keeps_addresses(stage: Stage) -> None:
    stage.ensure()
    first = stage.status().pid
    addresses = {row.address for row in stage.containers()}
    stage.ensure()
    assert stage.status().pid == first
    stage.stop()
    stage.ensure()
    assert stage.status().pid != first
    assert {row.address for row in stage.containers()} == addresses


def test_two_starts_at_once_start_one_stage(stage: Stage) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: Stage(stage.folder, PROGRAM).ensure(), range(4)))
    log = (stage.folder / "stage.log").read_text()
    assert log == ""
    assert len(pids(stage)) == 2


def test_a_killed_stage_leaves_no_server_and_starts_again(stage: Stage) -> None:
    stage.ensure()
    held, first = pids(stage), stage.status().pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: not any(find(pid) for pid in held))
    assert not stage.is_running()
    stage.ensure()
    assert len(pids(stage)) == 2


def test_a_recycled_pid_is_neither_taken_for_the_stage_nor_killed(stage: Stage) -> None:
    stage.folder.mkdir(parents=True)
    (stage.folder / "pid.json").write_text(json.dumps({"pid": os.getpid(), "started": 1}))
    assert not stage.is_running()
    stage.stop()  # we are still here
    stage.ensure()
    assert stage.is_running()


def test_a_stage_that_fails_shows_the_end_of_its_log(stage: Stage) -> None:
    stage.folder.mkdir(parents=True)
    (stage.folder / "broken").touch()
    with pytest.raises(Refused, match=r"(?s)stage.log: .*RuntimeError: the cloud fell down.*arriero rehearse reset"):
        stage.ensure()


def test_a_wrong_latency_is_an_error_and_not_a_silent_default(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARRIERO_STAGE_LATENCY", "fast")
    with pytest.raises(Refused, match="ARRIERO_STAGE_LATENCY=fast: not a number from 0 to 100"):
        stage.ensure()
    monkeypatch.setenv("ARRIERO_STAGE_LATENCY", "0.01")
    stage.ensure()
    assert stage.status().latency_scale == 0.01


def test_a_stage_ends_when_its_folder_is_removed(stage: Stage) -> None:
    stage.ensure()
    held = [*pids(stage), stage.status().pid or 0]
    (stage.folder / "pid.json").unlink()
    assert eventually(lambda: not any(find(pid) for pid in held))


def test_reset_forgets_everything_but_the_ports_and_runs_again_if_it_ran(stage: Stage) -> None:
    stage.ensure()
    (stage.folder / "left").mkdir()
    stage.reset()
    assert stage.is_running()
    assert not (stage.folder / "left").exists()
    stage.stop()
    stage.reset()
    assert not stage.is_running()


def test_a_fault_goes_to_its_cloud_and_says_what_it_did(stage: Stage) -> None:
    stage.ensure()
    assert stage.fault(Fault("aws", "r", "kill", "t1")) == ["killed t1"]
    assert eventually(lambda: [row.target for row in stage.containers()] == ["t2"])
    with pytest.raises(ArrieroError, match="the stage has no cloud azure; choose from aws, local"):
        stage.fault(Fault("azure", "eastus", "kill"))
    with pytest.raises(ArrieroError, match="a local site has no API to throttle"):
        stage.fault(Fault("local", "", "throttle"))
    with pytest.raises(ArrieroError, match="no local server runs"):
        stage.fault(Fault("local", "", "kill"))


def test_a_question_of_another_version_is_an_error(stage: Stage) -> None:
    stage.ensure()
    with pytest.raises(ArrieroError, match="the stage knows no 'sing'; restart it"):
        ask(stage.folder, {"verb": "sing"})


def test_only_its_owner_may_speak_to_a_stage(stage: Stage) -> None:
    stage.ensure()
    assert stage.folder.stat().st_mode & 0o077 == 0
    assert (stage.folder / "control.sock").stat().st_mode & 0o077 == 0


def test_endpoints_lead_to_the_stage_and_nothing_of_the_user_comes_along(stage: Stage) -> None:
    stage.ensure()
    ours = {
        "PATH": os.environ["PATH"],
        "HOME": "/home/me",
        "AWS_PROFILE": "production",
        "NO_PROXY": "*",
        "PYTHONPATH": "/mine",
        "AWS_ENDPOINT_URL_ECS": "https://ecs.us-east-1.amazonaws.com",
    }
    endpoints = stage.endpoints(ours)
    assert endpoints.label == "the stage"
    assert endpoints.accounts == {"aws": "123456789012"}
    seen = endpoints.environment
    assert not {"AWS_PROFILE", "NO_PROXY", "PYTHONPATH", "AWS_ENDPOINT_URL_ECS"} & set(seen)
    assert seen["AWS_ENDPOINT_URL"] == "http://127.0.0.1:9"
    assert seen["HOME"].startswith(str(stage.folder))
    assert list(Path(seen["HOME"]).iterdir()) == []
    assert os.access(seen["ARRIERO_OLLAMA"], os.X_OK)


@pytest.fixture
def sleepers() -> Iterator[list[subprocess.Popen[bytes]]]:
    made = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) for _ in range(2)]
    yield made
    for one in made:
        one.kill()
        one.wait()


def test_local_servers_are_shown_hit_by_faults_and_ended_with_the_stage(
    stage: Stage, sleepers: list[subprocess.Popen[bytes]]
) -> None:
    stage.ensure()
    folder = stage.folder / "home/.local/state/arriero/llm/office"
    folder.mkdir(parents=True)
    for name, one in zip("ab", sleepers, strict=True):
        process = find(one.pid)
        assert process
        fixed = {"command": [], "tags": {}, "log": "", "host": "", "stop_seconds": 1, "environment": {}}
        state = {"name": name, "address": "127.0.1.9:1", "pid": process.pid, "started": process.started, **fixed}
        (folder / f"{name}.json").write_text(json.dumps(state))
    local = {row.target: row.pid for row in stage.containers() if row.cloud == "local"}
    assert local == {"a": sleepers[0].pid, "b": sleepers[1].pid}
    assert stage.fault(Fault("local", "", "kill", "a")) == [f"killed a, pid {sleepers[0].pid}"]
    assert sleepers[0].wait(5) == -signal.SIGKILL
    stage.stop()
    assert sleepers[1].wait(5) == -signal.SIGTERM


def test_a_local_server_of_the_stage_ends_with_it_even_when_it_is_killed(stage: Stage) -> None:
    stage.ensure()
    program = stage.endpoints({}).environment["ARRIERO_OLLAMA"]
    own = {"OLLAMA_HOST": f"{stage.status().block.split('.0.0/')[0]}.255.1:11434", "PATH": os.environ["PATH"]}
    server = subprocess.Popen([program, "serve"], env=own, stdout=subprocess.PIPE, text=True)
    assert server.stdout
    assert server.stdout.readline().startswith("Listening on")
    os.kill(stage.status().pid or 0, signal.SIGKILL)
    assert server.wait(5) == 0
    server.stdout.close()
