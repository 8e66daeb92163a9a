"""Twenty `arriero up` at once on one service, each from a machine of its own, each with another wish.

Twelve wait for their turn, eight do not. Whether one's work fell between another's is read from the stage's log, where
the calls of all clouds and stores stand in the order in which they were answered.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from places import Command, Place, open_spec

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.timeout(1800), pytest.mark.long]

DEPLOYERS, PATIENT = 20, 12
SPEC = """\
name: crowd
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
ledger: {lease: 10s}
scale: {min: 1, by: hand}
sites:
  aws-east:   {cloud: aws,   region: us-east-1}
  azure-east: {cloud: azure, region: eastus}
"""


@dataclass
class Crowd:
    """`ended` is how each deployer ended, `calls` the writing calls of all, `first` where all can be asked about."""

    first: Place
    ended: dict[int, Command]
    calls: list[dict[str, Any]]

    @property
    def history(self) -> list[dict[str, Any]]:
        found = self.first.arriero("history", "--json")
        assert found.code == 0, found.err
        return list(found.json["releases"])


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    folder = tmp_path_factory.mktemp("crowd")
    (folder / "first").mkdir()
    for first in open_spec(folder / "first", SPEC):
        up = first.arriero("up", "--yes", "--no-gateway")
        assert up.code == 0, up.err
        before = len(first.calls())
        ended = at_once([machine(folder, first, number) for number in range(DEPLOYERS)])
        yield Crowd(first, ended, [call for call in first.calls()[before:] if call["writes"]])


def machine(folder: Path, first: Place, number: int) -> Place:
    """Knows of the others nothing but the clouds."""
    place = Place(folder / f"machine {number}")
    (place.folder / ".arriero").mkdir(parents=True)
    (place.folder / ".arriero" / "stage").symlink_to(first.stage)
    (place.folder / "arriero.yaml").write_text(f"{SPEC}environment: {{OLLAMA_DEBUG: 'wish {number}'}}\n")
    return place


def at_once(machines: list[Place]) -> dict[int, Command]:
    with ExitStack() as stack:
        deployers = [stack.enter_context(begun(place, number)) for number, place in enumerate(machines)]
        for deployer in deployers:
            stack.callback(deployer.kill)
        said = [deployer.communicate(timeout=1500) for deployer in deployers]
    return {
        number: Command(deployer.returncode, *texts)
        for number, (deployer, texts) in enumerate(zip(deployers, said, strict=True))
    }


def begun(place: Place, number: int) -> subprocess.Popen[str]:
    wait = ["--wait", "25m"] if number < PATIENT else []
    return subprocess.Popen(
        [sys.executable, "-m", "arriero", "up", "--yes", "--no-gateway", *wait],
        cwd=place.folder,
        env={**os.environ, **place.always},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_who_waits_has_its_turn_and_who_does_not_is_told_who_is_at_it(crowd: Crowd) -> None:
    assert {number: ended.err for number, ended in crowd.ended.items() if number < PATIENT and ended.code} == {}
    refused = [ended for ended in crowd.ended.values() if ended.code]
    assert refused
    for ended in refused:
        assert re.search(r"lease: another deployment is under way: \S+ pid \d+ \(up\) has held it since 2", ended.err)
    assert not any("Traceback" in ended.err for ended in crowd.ended.values())


def test_the_ledger_is_strictly_in_order(crowd: Crowd) -> None:
    releases = crowd.history
    winners = [number for number, ended in crowd.ended.items() if ended.code == 0]
    assert [release["release"] for release in releases] == list(range(1, len(winners) + 2))
    epochs = [release["epoch"] for release in releases]
    assert epochs == sorted(set(epochs))
    assert {release["state"] for release in releases} == {"done"}
    assert {tuple(release["stores"]) for release in releases} == {("aws", "azure")}
    wishes = [release["spec"]["environment"]["OLLAMA_DEBUG"] for release in releases[1:]]
    assert sorted(wishes) == sorted(f"wish {number}" for number in winners)


def test_no_step_of_one_falls_between_anothers(crowd: Crowd) -> None:
    """Each call that Ansible made to a cloud lies between two entries of one deployment's journal."""
    journal = [(place, found) for place, call in enumerate(crowd.calls) if (found := epoch(call))]
    assert [found for _, found in journal] == sorted(found for _, found in journal)
    works = [place for place, call in enumerate(crowd.calls) if "Ansible" in call["client"]]
    assert len(works) > 2 * PATIENT
    for place in works:
        before = max((found for at, found in journal if at < place), default=0)
        after = min((found for at, found in journal if at > place), default=0)
        assert before == after, crowd.calls[place]


def epoch(call: dict[str, Any]) -> int:
    """The deployment whose journal was written to in the authority store; 0 for any other call."""
    found = re.search(r"/journal/(\d+)/", call["name"]) if call["action"] == "s3:PutObject" else None
    return int(found[1]) if found else 0


def test_what_the_last_one_wished_stands(crowd: Crowd) -> None:
    last = crowd.history[-1]["spec"]["environment"]["OLLAMA_DEBUG"]
    place = crowd.first
    (place.folder / "arriero.yaml").write_text(f"{SPEC}environment: {{OLLAMA_DEBUG: '{last}'}}\n")
    plan = place.arriero("plan")
    assert (plan.code, "nothing to do" in plan.out) == (0, True), plan.out
    lock = place.arriero("lock", "status", "--json").json
    assert (lock["holder"], lock["unfinished"], lock["only_in_the_other"]) == (None, None, [])
