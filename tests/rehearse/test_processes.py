from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from arriero.errors import Refused
from arriero.rehearse.processes import Processes, Server, ServerSpec


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    held = Processes(tmp_path, {"PATH": "/nowhere"})
    yield held
    held.close()


def spec(target: str = "t1", image: str = "acme/llm:1", **rest: object) -> ServerSpec:
    return ServerSpec(target, "ollama", "aws", "us-east-1", image, (), {}, **rest)  # type: ignore[arg-type]


def eventually(true: Callable[[], bool], seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.01)
    return true()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def started(processes: Processes, one: ServerSpec) -> Server:
    server = processes.start(one)
    assert eventually(server.is_answering), server.log.read_text()
    return server


def test_a_server_answers_on_its_own_address_and_is_labelled_simulated(processes: Processes) -> None:
    one, two = started(processes, spec("t1")), started(processes, spec("t2"))
    assert one.address != two.address
    assert one.address.rpartition(".")[0].split(".")[:2] == processes.block.split(".")[:2]
    assert (one.engine, one.spec.port) == ("simulated", 11434)
    assert {server.pid for server in processes.all()} == {one.pid, two.pid}


def test_two_stages_never_share_a_block(tmp_path: Path) -> None:
    held = [Processes(tmp_path / str(n), {}) for n in range(5)]
    try:
        assert len({one.block for one in held}) == 5
    finally:
        for one in held:
            one.close()


def test_addresses_stay_over_a_restart_and_are_not_reused_at_once(tmp_path: Path) -> None:
    first = Processes(tmp_path, {})
    before = first.address("a"), first.address("b")
    first.release("b")
    first.close()
    second = Processes(tmp_path, {})
    try:
        assert second.address("a") == before[0]
        assert second.address("c") not in before
    finally:
        second.close()


def test_killing_a_server_removes_exactly_it(processes: Processes) -> None:
    one, two = started(processes, spec("t1")), started(processes, spec("t2"))
    os.kill(one.pid, signal.SIGKILL)
    assert eventually(lambda: one.poll() == -signal.SIGKILL)
    assert two.is_answering()
    assert [server.pid for server in processes.all()] == [two.pid]


def test_a_frozen_server_does_not_answer_until_it_is_thawed(processes: Processes) -> None:
    server = started(processes, spec())
    server.freeze()
    assert not server.is_answering()
    server.thaw()
    assert eventually(server.is_answering)


def test_stop_kills_a_server_that_does_not_end_within_its_grace(processes: Processes) -> None:
    server = started(processes, spec(stop_seconds=0.2))
    server.freeze()  # SIGTERM cannot reach it
    server.stop()
    assert server.wait(5) == -signal.SIGKILL


def test_stop_ends_a_willing_server_by_sigterm(processes: Processes) -> None:
    server = started(processes, spec())
    server.stop()
    assert server.wait(5) in (0, -signal.SIGTERM)


def test_an_image_that_exits_gives_its_exit_code_and_says_so(processes: Processes) -> None:
    server = processes.start(spec(image="acme/broken:exit-3"))
    assert server.wait(5) == 3
    assert server.log.read_text() == "acme/broken:exit-3 exits with 3\n"


def test_releasing_a_target_ends_its_server_and_removes_its_folder(processes: Processes) -> None:
    server = started(processes, spec())
    processes.release("t1")
    assert server.poll() == -signal.SIGKILL
    assert not server.log.parent.exists()


def test_a_name_that_would_leave_the_folder_is_refused(processes: Processes) -> None:
    with pytest.raises(Refused, match="cannot be the name"):
        processes.start(spec(target="../x"))


PARENT = """
import os, sys, time
from pathlib import Path
from arriero.rehearse.processes import Processes, ServerSpec
held = Processes(Path(sys.argv[1]), dict(os.environ))
for n in range(3):
    print(held.start(ServerSpec(f"t{n}", "ollama", "aws", "r", "i", (), {})).pid, flush=True)
time.sleep(60)
"""


def pids_of_children(tmp_path: Path, environment: dict[str, str]) -> tuple[subprocess.Popen[str], list[int]]:
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    parent = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    return parent, [int(parent.stdout.readline()) for _ in range(3)]


def test_no_server_outlives_a_killed_stage(tmp_path: Path) -> None:
    parent, pids = pids_of_children(tmp_path, {"PATH": "/nowhere"})
    assert all(map(is_alive, pids))
    parent.kill()
    parent.communicate()
    assert eventually(lambda: not any(map(is_alive, pids)))


FAKE_OLLAMA = """#!/bin/sh
# Stands for the real one: a server with a runner that outlives it.
env > environment.txt
sleep 300 & echo $! > runner.tmp && mv runner.tmp runner.pid
wait
"""


@pytest.fixture
def ollama(tmp_path: Path) -> str:
    program = tmp_path / "ollama"
    program.write_text(FAKE_OLLAMA)
    program.chmod(0o755)
    return str(program)


def runner_of(stage: Path, target: str) -> int:
    file = stage / "targets" / target / "runner.pid"
    assert eventually(lambda: file.exists() and bool(file.read_text()))
    return int(file.read_text())


def test_a_killed_ollama_leaves_no_runner_and_its_own_exit_is_told(tmp_path: Path, ollama: str) -> None:
    held = Processes(tmp_path / "s", {"PATH": os.environ["PATH"], "ARRIERO_OLLAMA": ollama})
    try:
        server = held.start(spec())
        runner = runner_of(tmp_path / "s", "t1")
        assert (server.engine, is_alive(runner)) == ("ollama", True)
        assert ollama in Path(f"/proc/{server.pid}/cmdline").read_text()
        os.kill(server.pid, signal.SIGKILL)
        assert server.wait(5) == -signal.SIGKILL
        assert not is_alive(runner)
    finally:
        held.close()


def test_no_ollama_and_no_runner_outlives_a_killed_stage(tmp_path: Path, ollama: str) -> None:
    parent, pids = pids_of_children(tmp_path / "s", {"PATH": os.environ["PATH"], "ARRIERO_OLLAMA": ollama})
    pids += [runner_of(tmp_path / "s", f"t{n}") for n in range(3)]
    assert all(map(is_alive, pids))
    parent.kill()
    parent.communicate()
    assert eventually(lambda: not any(map(is_alive, pids)))


def test_a_real_server_gets_a_sealed_environment_and_a_store_of_its_own(tmp_path: Path, ollama: str) -> None:
    store = tmp_path / "store"
    (store / "blobs").mkdir(parents=True)
    (store / "blobs" / "sha256-1").write_text("weights")
    outer = {
        "PATH": os.environ["PATH"],
        "ARRIERO_OLLAMA": ollama,
        "ARRIERO_STAGE_MODELS": str(store),
        "AWS_PROFILE": "mine",
        "HTTPS_PROXY": "http://elsewhere",
    }
    held = Processes(tmp_path / "s", outer)
    try:
        held.start(ServerSpec("t1", "ollama", "aws", "r", "i", (), {"OLLAMA_HOST": "0.0.0.0:11434", "X": "1"}))
        runner_of(tmp_path / "s", "t1")
        folder = tmp_path / "s" / "targets" / "t1"
        lines = (folder / "environment.txt").read_text().splitlines()
        seen = dict(line.split("=", 1) for line in lines)
        assert not {"AWS_PROFILE", "HTTPS_PROXY", "ARRIERO_OLLAMA", "ARRIERO_PARENT"} & set(seen)
        assert seen["OLLAMA_HOST"] == f"{held.address('t1')}:11434"
        assert (seen["X"], seen["OLLAMA_MODELS"]) == ("1", str(folder / "models"))
        assert (folder / "models" / "blobs" / "sha256-1").samefile(store / "blobs" / "sha256-1")
    finally:
        held.close()


def test_a_named_ollama_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="ARRIERO_OLLAMA=/no/such: no such program"):
        Processes(tmp_path, {"ARRIERO_OLLAMA": "/no/such"})
