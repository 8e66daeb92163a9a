"""Deployers that are killed, stopped and come at the same time, on a service that is asked all the while.

The points at which one is killed are generated: each write to the ledger and its journal is one. How many are played is
ARRIERO_CRASH_POINTS, spread evenly over all of them, from a seed that is printed; `make proof` plays every one.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from places import Place, open_spec, wait_for

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.timeout(3600), pytest.mark.long]

LEASE_SECONDS = 4
SPEC = f"""\
name: desk
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
ledger: {{lease: {LEASE_SECONDS}s}}
scale: {{min: 1, by: hand}}
sites:
  office: {{cloud: local, hosts: [127.0.0.1]}}
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    for place in open_spec(tmp_path_factory.mktemp("desk"), SPEC):
        up = place.arriero("up", "--yes")
        assert up.code == 0, up.err
        yield place


def wish(place: Place, value: str) -> None:
    """Another release is asked for."""
    (place.folder / "arriero.yaml").write_text(f"{SPEC}environment: {{OLLAMA_DEBUG: '{value}'}}\n")


def begin(place: Place) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "arriero", "up", "--yes"]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, cwd=place.folder, env={**os.environ, **place.always}, text=True, **streams)  # type: ignore[call-overload]


def written(place: Place) -> int:
    """How many objects the ledger holds, the head's versions aside."""
    store = place.stage / "home/.local/state/arriero-ledger/desk"
    return sum(path.is_file() and path.name[0] != "." for path in store.rglob("*"))


def history(place: Place) -> list[dict[str, object]]:
    found = place.arriero("history", "--json")
    assert found.code == 0, found.err
    return list(found.json["releases"])


@dataclass
class Asking:
    """Asks through the gateway without a pause; `lost` are answers that did not come or were not 200."""

    url: str
    asked: int = 0
    lost: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        body = json.dumps({"model": "llama2", "prompt": "Hello", "stream": False, "options": {"num_predict": 4}})
        while not self._over.wait(0.05):
            self.asked += 1
            try:
                request = urllib.request.Request(f"{self.url}/api/generate", body.encode(), method="POST")
                with urllib.request.urlopen(request, timeout=60) as answer:
                    answer.read()
            except OSError as error:
                self.lost.append(repr(error))

    def __enter__(self) -> Asking:
        self._thread = threading.Thread(target=self.ask)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def points(first: int, count: int) -> list[int]:
    """Which writes of a deployment the deployer dies after: an even sample, shifted by the seed."""
    wanted = min(int(os.environ.get("ARRIERO_CRASH_POINTS", "3")), count)
    seed = int(os.environ.get("ARRIERO_SEED") or random.randrange(1000))
    print(f"ARRIERO_SEED={seed}")
    return [first + (seed + place * count // wanted) % count for place in range(wanted)]


def test_a_deployer_that_is_killed_at_any_write_leaves_a_service_that_answers_and_is_resumed(desk: Place) -> None:
    before = written(desk)
    wish(desk, "clean")
    assert desk.arriero("up", "--yes").code == 0
    count = written(desk) - before
    assert count >= 8
    url = desk.arriero("status", "--json").json["gateway"]["url"]
    with Asking(url) as asking:
        for point in points(0, count):
            killed_after(desk, point)
    assert asking.asked > 20
    assert asking.lost == []
    releases = history(desk)
    assert [release["release"] for release in releases] == list(range(1, len(releases) + 1))
    assert {release["state"] for release in releases} == {"done"}


def killed_after(desk: Place, point: int) -> None:
    """One deployer dies after so many writes; the next one says what it does about it, and ends as a clean run does."""
    before = written(desk)
    wish(desk, f"killed {point}")
    deployer = begin(desk)
    assert wait_for(lambda: written(desk) - before > point or deployer.poll() is not None, 120)
    deployer.kill()
    deployer.communicate()
    unfinished = desk.arriero("lock", "status", "--json").json["unfinished"]
    up = desk.arriero("up", "--yes")
    assert up.code == 0, up.err
    if unfinished:
        assert f"began release {unfinished['release']}" in up.err
        assert "it is resumed" in up.err
    assert desk.arriero("plan").code == 0
    assert desk.states() == {"office": "ready"}
    assert desk.arriero("lock", "status", "--json").json["unfinished"] is None


def test_one_that_was_killed_is_undone_when_the_spec_asks_for_something_else(desk: Place) -> None:
    before = len(history(desk))
    wish(desk, "unwanted")
    deployer = begin(desk)
    assert wait_for(lambda: len(history(desk)) > before or deployer.poll() is not None, 120)
    deployer.kill()
    deployer.communicate()
    wish(desk, "wanted")
    up = desk.arriero("up", "--yes")
    assert up.code == 0, up.err
    assert f"what it left is undone by release {before + 2}" in up.err
    assert [release["state"] for release in history(desk)][-2:] == ["begun", "done"]


def test_a_second_one_is_refused_with_who_holds_it_and_a_stopped_one_loses_it(desk: Place, tmp_path: Path) -> None:
    wish(desk, "stopped")
    before = len(history(desk))
    deployer = begin(desk)
    assert wait_for(lambda: len(history(desk)) > before, 120)
    os.kill(deployer.pid, signal.SIGSTOP)
    second = desk.arriero("up", "--yes")
    assert second.code == 0, second.err
    assert f"pid {deployer.pid} (up) has held it since" in second.err
    os.kill(deployer.pid, signal.SIGCONT)
    said, _ = deployer.communicate()
    assert deployer.returncode == 1
    assert "the lease" in said
    assert "Traceback" not in said
    assert desk.arriero("plan").code == 0
    assert {release["state"] for release in history(desk)[before:]} == {"done"}


def test_of_several_at_once_one_goes_first_and_the_others_wait(desk: Place) -> None:
    wish(desk, "together")
    before = len(history(desk))
    command = [sys.executable, "-m", "arriero", "up", "--yes", "--wait", "3m"]
    several = [
        subprocess.Popen(command, cwd=desk.folder, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    ended = [(process.communicate()[1], process.returncode) for process in several]
    assert [code for _, code in ended] == [0, 0, 0, 0], ended
    assert len(history(desk)) == before + 1
