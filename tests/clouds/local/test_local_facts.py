from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from arriero.clouds.local import facts
from arriero.clouds.local.process import Process, find
from arriero.clouds.local.state import read_servers, state_home
from arriero.errors import CloudError
from arriero.plan.model import SiteRef

REF = SiteRef("llm", "office", "local", "", ("127.0.0.1",))


@pytest.fixture
def sleeper() -> Iterator[Process]:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    process = find(child.pid)
    assert process
    yield process
    child.kill()
    child.wait()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    made = tmp_path / "arriero" / "llm" / "office"
    made.mkdir(parents=True)
    return made


def write(folder: Path, name: str, process: Process, **more: object) -> None:
    log = folder / f"{name}.log"
    log.write_text("one\ntwo\nthree\nfour\n")
    state = {
        "name": name,
        "address": "127.0.1.77:9",
        "command": ["ollama", "serve"],
        "environment": {"A": "1"},
        "host": "127.0.1.0/24",
        "port": 9,
        "stop_seconds": 30,
        "tags": {"arriero-release": "3", "arriero-definition": "abc"},
        "log": str(log),
        "pid": process.pid,
        "started": process.started,
    }
    (folder / f"{name}.json").write_text(json.dumps({**state, **more}))


def test_a_site_without_servers_is_empty_and_its_account_is_the_machine(folder: Path) -> None:
    found = facts.read_site(REF)
    assert (found.resources, found.targets, found.count) == ((), (), 0)
    assert found.account == os.uname().nodename


def test_a_running_server_that_does_not_answer_is_starting(folder: Path, sleeper: Process) -> None:
    write(folder, "a", sleeper)
    found = facts.read_site(REF)
    (resource,) = found.resources
    assert (resource.kind, resource.name, resource.properties["running"]) == ("local.server", "a", True)
    assert (found.targets[0].state, found.targets[0].pid, found.targets[0].release) == ("starting", sleeper.pid, 3)


def test_a_server_that_ended_says_so_with_the_end_of_its_log(folder: Path, sleeper: Process) -> None:
    write(folder, "a", Process(sleeper.pid, sleeper.started - 1))  # its number belongs to another process by now
    (target,) = facts.read_targets(REF)
    assert (target.state, target.pid) == ("stopped", None)
    assert target.reason == "its process ended; the end of its log: two / three / four"


def test_the_count_is_that_of_the_newest_release(folder: Path, sleeper: Process) -> None:
    write(folder, "old", sleeper, tags={"arriero-release": "2"})
    write(folder, "new", sleeper)
    assert facts.read_site(REF).count == 1


def test_sites_that_the_spec_no_longer_names_are_found(folder: Path, sleeper: Process) -> None:
    write(folder, "a", sleeper)
    assert facts.other_sites("llm", ["office"]) == ()
    assert [ref.site for ref in facts.other_sites("llm", [])] == ["office"]
    assert facts.other_sites("other", []) == ()


def test_a_broken_state_file_is_named(folder: Path) -> None:
    (folder / "a.json").write_text("{")
    with pytest.raises(CloudError, match=r"a\.json: the server's state cannot be read: .*; remove the file"):
        facts.read_site(REF)


def test_a_signal_never_reaches_a_later_process_with_the_same_number(sleeper: Process) -> None:
    Process(sleeper.pid, sleeper.started + 1).signal(signal.SIGKILL)
    Process(sleeper.pid, sleeper.started + 1).end(grace_seconds=1)
    assert sleeper.is_alive
    sleeper.signal(signal.SIGKILL)
    sleeper.end(grace_seconds=1)
    assert not sleeper.is_alive


def test_states_are_kept_where_the_system_wants_them(tmp_path: Path) -> None:
    assert state_home({"HOME": "/home/me"}) == Path("/home/me/.local/state/arriero")
    assert state_home({"HOME": "/home/me", "XDG_STATE_HOME": "/var/s"}) == Path("/var/s/arriero")
    assert read_servers(tmp_path / "nowhere") == ()
