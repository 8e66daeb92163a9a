"""`arriero logs`, `top` and `report` on a stage: all lines as one, a request found by its id, a lost site survived.

The tests go on from one another, in their order, on one stage.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from typing import Any

import pytest
from burst import ask
from places import Place, open_spec, wait_for

PORT = 25734
SPEC = f"""\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {{min: 1}}
gateway: {{port: {PORT}}}
sites:
  aws-east:   {{cloud: aws, region: us-east-1}}
  azure-east: {{cloud: azure, region: eastus}}
"""

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]


class Following:
    """`arriero logs -f --json` beside the test, and all that it has said."""

    def __init__(self, place: Place, *words: str) -> None:
        self._out = place.folder / f"followed{len(list(place.folder.glob('followed*')))}.jsonl"
        command = [sys.executable, "-m", "arriero", "logs", "-f", "--json", "--since", "10m", *words]
        environment = {**os.environ, **place.always}
        with self._out.open("wb") as out:
            self._process = subprocess.Popen(command, cwd=place.folder, env=environment, stdout=out)

    @property
    def lines(self) -> list[dict[str, Any]]:
        whole = self._out.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def of(self, request: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["request"] == request]

    def end(self) -> int:
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(timeout=20)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with contextlib.contextmanager(open_spec)(tmp_path_factory.mktemp("logs"), SPEC) as place:
        up = place.arriero("up", "--yes")
        assert up.code == 0, up.err
        yield place


@pytest.fixture(scope="module")
def following(place: Place) -> Iterator[Following]:
    followed = Following(place)
    try:
        yield followed
    finally:
        followed.end()


def test_a_request_is_found_at_the_gateway_at_its_sidecar_and_at_ollama(following: Following) -> None:
    for number in range(10):
        assert ask(PORT, f"told-{number}")[0] == 200
    assert wait_for(lambda: all(len(following.of(f"told-{number}")) >= 3 for number in range(10)), 30)
    time.sleep(5)  # The stores are read again meanwhile, and have the same lines.
    for number in range(10):
        lines = following.of(f"told-{number}")
        ours = [line for line in lines if line["text"].startswith("{")]
        assert sorted(json.loads(line["text"])["event"] for line in ours) == ["request", "sidecar.request"], lines
        [ollamas] = [line["text"] for line in lines if line not in ours]
        assert ollamas.startswith("[GIN] ")
        assert ollamas.endswith('"/api/generate"')
        assert len({line["site"] for line in lines}) == 1
        assert len({line["target"] for line in lines}) == 2  # the gateway and one target


def test_ollamas_own_lines_of_both_sites_are_there_once(following: Following) -> None:
    own = [line for line in following.lines if not line["text"].startswith("{")]
    assert {line["site"] for line in own} == {"aws-east", "azure-east"}
    told = [(line["at"], line["target"], line["text"]) for line in own]
    assert len(told) == len(set(told))


def test_what_came_in_time_is_in_order(following: Following) -> None:
    times = [line["at"] for line in following.lines if not line["late"]]
    assert times == sorted(times)
    assert len(times) > 0.8 * len(following.lines)


def test_a_look_without_following_finds_the_same(place: Place, following: Following) -> None:
    looked = place.arriero("logs", "--since", "10m", "--json", "--grep", "told-3")
    assert looked.code == 0, looked.err
    found = [json.loads(line) for line in looked.out.splitlines()]
    assert [line["text"] for line in found] == [line["text"] for line in following.of("told-3")]


def test_one_site_alone_and_words_for_people(place: Place) -> None:
    shown = place.arriero("logs", "--since", "10m", "--site", "azure-east")
    assert shown.code == 0, shown.err
    assert " azure-east " in shown.out
    assert " aws-east " not in shown.out
    assert " - gateway " not in shown.out
    assert place.arriero("logs", "--since", "soon").code != 0


def test_a_site_that_is_lost_hides_no_other_and_comes_back(place: Place, following: Following) -> None:
    [azure] = [s for s in place.arriero("status", "--json").json["sites"] if s["name"] == "azure-east"]
    for target in azure["targets"]:
        os.kill(target["pid"], signal.SIGKILL)
    for number in range(10):
        assert ask(PORT, f"after-{number}")[0] == 200
    assert wait_for(lambda: all(len(following.of(f"after-{number}")) >= 2 for number in range(10)), 30)
    assert wait_for(lambda: place.states()["azure-east"] == "ready", 60)
    back = f"back-{time.monotonic_ns()}"

    def is_heard_again() -> bool:
        """Asks until the site that came back has something to tell."""
        for _ in range(8):
            ask(PORT, back)
        return any(line["site"] == "azure-east" and line["target"] != "gateway" for line in following.of(back))

    assert wait_for(is_heard_again, 30)


def test_whoever_follows_ends_when_interrupted(place: Place) -> None:
    other = Following(place, "--site", "aws-east")
    try:
        assert wait_for(lambda: len(other.lines) > 0, 30)
    finally:
        code = other.end()
    assert code in (0, 130)


def test_no_word_of_a_question_is_in_any_line(following: Following) -> None:
    assert "Tell told-1" not in (json.dumps(following.lines))


def test_a_report_tells_of_all_that(place: Place) -> None:
    made = place.arriero("report", "--since", "1h", "--out", "report", "--json")
    assert made.code == 0, made.err
    told = made.json
    assert set(told["sites"]) == {"aws-east", "azure-east"} == set(told["spent"])
    assert told["whole"]["answered"] >= 20
    assert [(one["release"], one["state"]) for one in told["releases"]] == [(1, "done")]
    # The site that was killed came back before it was down for the gateway, or not: this machine may be slow.
    assert {one["kind"] for one in told["incidents"]} <= {"site down"}
    assert "azure-east" in (place.folder / "report/report.md").read_text()


def test_the_screen_shows_the_service_in_a_terminal_and_ends_with_q(place: Place) -> None:
    pid, screen = pty.fork()
    if not pid:
        os.chdir(place.folder)
        os.execve(sys.executable, [sys.executable, "-m", "arriero", "top"], {**os.environ, "TERM": "xterm-256color"})
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    seen = b""
    try:
        end = time.monotonic() + 60
        while not (b"2 of 2 targets up" in seen and b"azure-east" in seen) and time.monotonic() < end:
            seen += os.read(screen, 65536)
        assert b"2 of 2 targets up" in seen, seen[-2000:]
        assert b"azure-east" in seen
        os.write(screen, b"q")
        with contextlib.suppress(OSError):  # The other side of the terminal is gone with the program.
            while os.read(screen, 65536):
                pass
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    finally:
        os.close(screen)


def test_without_a_terminal_there_is_no_screen(place: Place) -> None:
    refused = place.arriero("top")
    assert refused.code != 0
    assert "top needs a terminal" in refused.err
