"""Plain `ansible-playbook` beside `arriero up`: one lease for both, and one record. Each test goes on from the last."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from places import Command, Place, open_spec, wait_for

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.timeout(600), pytest.mark.long]

SPEC = """\
name: desk
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
ledger: {lease: 4s}
scale: {min: 1, by: hand}
sites:
  office: {cloud: local, hosts: [127.0.0.1]}
"""
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    for place in open_spec(tmp_path_factory.mktemp("desk"), SPEC):
        (place.folder / "fleet.arriero.yml").write_text("plugin: arriero.fleet.fleet\n")
        yield place


def wish(place: Place, value: str) -> None:
    (place.folder / "arriero.yaml").write_text(f"{SPEC}environment: {{OLLAMA_DEBUG: '{value}'}}\n")


def begin(place: Place, *more: str) -> subprocess.Popen[str]:
    command = [PLAYBOOK, "-i", "fleet.arriero.yml", *more, "arriero.fleet.site"]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    whole = {**os.environ, **place.environment()}
    return subprocess.Popen(command, cwd=place.folder, env=whole, text=True, start_new_session=True, **streams)  # type: ignore[call-overload]


def ended(playing: subprocess.Popen[str]) -> Command:
    said, _ = playing.communicate(timeout=240)
    return Command(playing.returncode, said, "")


def history(place: Place) -> list[dict[str, Any]]:
    return list(place.arriero("history", "--json").json["releases"])


def lock(place: Place) -> dict[str, Any]:
    return dict(place.arriero("lock", "status", "--json").json)


def bare(release: dict[str, Any]) -> dict[str, Any]:
    """What says what was released, without when, by which process, and what only a count of it can differ in."""
    left_out = ("at", "ended_at", "who", "release", "epoch", "definitions", "spec", "sites", "plan")
    return {name: value for name, value in release.items() if name not in left_out}


def test_it_leaves_the_record_that_up_leaves(desk: Place) -> None:
    played = ended(begin(desk))
    assert played.code == 0, played.out
    assert "release 1, under the lease of epoch 1" in played.out
    assert desk.arriero("plan").code == 0
    wish(desk, "by up")
    assert desk.arriero("up", "--yes").code == 0
    first, second = history(desk)
    assert bare(first) == bare(second)
    assert first["sites"]["office"].keys() == second["sites"]["office"].keys()
    assert (first["sites"]["office"]["state"], second["sites"]["office"]["state"]) == ("done", "done")
    assert (lock(desk)["holder"], lock(desk)["unfinished"]) == (None, None)


def test_of_two_at_once_and_an_up_beside_them_one_goes_on(desk: Place) -> None:
    before = len(history(desk))
    wish(desk, "at once")
    first, second = begin(desk), begin(desk)
    assert wait_for(lambda: lock(desk)["holder"] is not None, 60)
    up = desk.arriero("up", "--yes", "--no-gateway", "--wait", "2m")
    assert up.code == 0, up.err
    both = [ended(first), ended(second)]
    assert sorted(played.code for played in both) == [0, 2], [played.out for played in both]
    refused = next(played for played in both if played.code)
    assert "another deployment" in refused.out
    assert "Traceback" not in refused.out
    assert [release["release"] for release in history(desk)][before:] == [before + 1]
    assert history(desk)[-1]["state"] == "done"


def test_one_that_is_killed_gives_the_lease_back_and_the_next_goes_on_from_there(desk: Place) -> None:
    before = len(history(desk))
    wish(desk, "killed")
    playing = begin(desk)
    assert wait_for(lambda: len(history(desk)) > before, 60)
    os.killpg(playing.pid, signal.SIGKILL)
    playing.communicate()
    assert wait_for(lambda: lock(desk)["holder"] is None, 60)
    again = ended(begin(desk))
    assert again.code == 0, again.out
    assert desk.arriero("plan").code == 0
    # Its keeper has written down what stood then; where that came up by itself later, nothing was left to do or to say.
    assert len(history(desk)) == before + 1


def test_it_ends_with_its_lease(desk: Place) -> None:
    before = len(history(desk))
    wish(desk, "broken")
    playing = begin(desk)
    assert wait_for(lambda: len(history(desk)) > before, 60)
    assert desk.arriero("lock", "break", "--yes").code == 0
    playing.communicate(timeout=60)
    assert playing.returncode != 0
    assert desk.arriero("up", "--yes").code == 0
    assert desk.arriero("plan").code == 0


def test_the_inventory_tells_of_the_book_and_up_takes_no_second_lease(desk: Place) -> None:
    whole = {**os.environ, **desk.environment()}
    command = [PLAYBOOK.with_name("ansible-inventory"), "-i", "fleet.arriero.yml", "--host", "office"]
    told = subprocess.run(command, cwd=desk.folder, env=whole, capture_output=True, text=True, check=True)
    book = json.loads(told.stdout)["arriero_book"]
    assert (book["last"], book["back_to"]) == (len(history(desk)), "")
    assert book["epoch"] == lock(desk)["epoch"]
    assert "under the lease of epoch" not in (desk.runs[-1] / "ansible.log").read_text()
