"""Twenty deployers of one service, each a process, at the stage's object stores; one is killed and one is paused.

Their wall clocks are wrong by up to five minutes. That no step of one falls between another's is seen twice: in what
they note of themselves, and in the stage's log of what its stores took, in its order.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import deployer
import pytest
import stage_stores

from arriero.rehearse.stage import Stage
from arriero.releases.lease import read_head
from arriero.releases.ledger import Ledger

pytestmark = [pytest.mark.story, pytest.mark.wide]

DEPLOYERS = 20
KILLED, PAUSED = "deployer 7", "deployer 13"
# Comes when those two are in trouble: were one of them the last, nobody would take the lease from it.
LATE = "deployer 19"
# Twice as long as a lease.
PAUSE_SECONDS = 2 * deployer.LEASE_SECONDS
SKEWS = (-300, 0, 300)


@dataclass
class Seen:
    """What came of all: how each ended, what they noted, and the keys in the order in which the bucket took them."""

    codes: dict[str, int]
    told: dict[str, dict[str, int]]
    noted: list[tuple[int, str, str]]
    taken: list[str]
    books: Ledger


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("many")
    stage = Stage(folder / "stage")
    stage.ensure()
    try:
        with stage.endpoints(os.environ).entered():
            environment = {**os.environ, **stage_stores.make()}
            os.environ.update(environment)
            yield played(folder, environment)
    finally:
        stage.stop()


def played(folder: Path, environment: dict[str, str]) -> Seen:
    log = folder / "noted"
    names = [f"deployer {number}" for number in range(DEPLOYERS)]
    with ExitStack() as stack:
        everyone: dict[str, subprocess.Popen[str]] = {}
        for number, name in enumerate(names):
            trouble = {KILLED: ["SIGKILL"], PAUSED: ["SIGSTOP"]}.get(name, [])
            command = [sys.executable, deployer.__file__, name, str(SKEWS[number % 3]), str(log), *trouble]
            streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            everyone[name] = stack.enter_context(subprocess.Popen(command, env=environment, text=True, **streams))  # type: ignore[call-overload]
            stack.callback(everyone[name].kill)
        for one in everyone.values():
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        patience = threading.Thread(target=let_go_on, args=(everyone[PAUSED], everyone[KILLED], everyone[LATE]))
        patience.start()
        for name, one in everyone.items():
            if name != LATE:
                begin(one)
        said = {name: one.communicate(timeout=250)[0] for name, one in everyone.items()}
        patience.join()
    requests = [json.loads(line) for line in (folder / "stage" / "requests.jsonl").read_text().splitlines()]
    prefix = f"/{stage_stores.BUCKET}/"
    return Seen(
        {name: one.returncode for name, one in everyone.items()},
        {name: json.loads(text) for name, text in said.items() if text.strip()},
        [noted_line(line) for line in log.read_text().splitlines()],
        [r["name"].removeprefix(prefix) for r in requests if r["action"] == "s3:PutObject" and r["status"] == 200],
        Ledger(*stage_stores.stores()),
    )


def begin(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def let_go_on(paused: subprocess.Popen[str], killed: subprocess.Popen[str], late: subprocess.Popen[str]) -> None:
    """Lets one go on a while after it has stopped itself; the late one begins once both are in trouble."""
    stopped_at, is_late_at_work = 0.0, False
    while not is_late_at_work or not stopped_at or time.monotonic() < stopped_at + PAUSE_SECONDS:
        if not stopped_at and is_stopped(paused):
            stopped_at = time.monotonic()
        if not is_late_at_work and stopped_at and killed.poll() is not None:
            is_late_at_work = True
            begin(late)
        time.sleep(0.05)
    paused.send_signal(signal.SIGCONT)


def is_stopped(process: subprocess.Popen[str]) -> bool:
    # The state comes after the name, which is in brackets and may hold anything.
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def noted_line(line: str) -> tuple[int, str, str]:
    found = re.fullmatch(r"(\d+) (deployer \d+) (.*)", line)
    assert found, line
    return int(found[1]), found[2], found[3]


def test_all_had_their_turn_but_the_killed_one_and_the_paused_one_knows_that_it_lost_it(seen: Seen) -> None:
    ends = {0: set[str](), 3: set[str](), -signal.SIGKILL: set[str]()}
    for name, code in seen.codes.items():
        ends[code].add(name)
    assert (ends[3], ends[-signal.SIGKILL]) == ({PAUSED}, {KILLED})
    assert len(ends[0]) == DEPLOYERS - 2


def test_no_step_of_one_falls_between_anothers(seen: Seen) -> None:
    at_work = [(epoch, name, what) for epoch, name, what in seen.noted if what != "lost"]
    turns = [key for key, _ in groupby(at_work, lambda noted: noted[:2])]
    assert len(turns) == DEPLOYERS, turns
    assert [epoch for epoch, _ in turns] == list(range(1, DEPLOYERS + 1))
    # The paused one's last word came when others had long been at it, and no step of its after that.
    assert [name for _, name, what in seen.noted if what == "lost"] == [PAUSED]


def test_the_store_took_what_each_wrote_in_the_order_of_their_epochs(seen: Seen) -> None:
    """The head aside, whose replacements the tags put in order."""
    journal = [int(key.split("/")[1]) for key in seen.taken if key.startswith("journal/")]
    records = [key for key in seen.taken if key.startswith("releases/")]
    assert len(journal) > 2 * deployer.STEPS * (DEPLOYERS - 2)
    assert journal == sorted(journal)
    assert records == sorted(records)
    assert len(records) == DEPLOYERS


def test_the_ledger_is_in_order_in_both_stores(seen: Seen) -> None:
    head, _ = read_head(seen.books.stores[0])
    releases = seen.books.releases()
    assert [release.number for release in releases] == list(range(1, DEPLOYERS + 1))
    assert [release.epoch for release in releases] == list(range(1, DEPLOYERS + 1))
    assert {release.stores for release in releases} == {("aws", "azure")}
    assert {r.definitions["a"]: (r.number, r.epoch) for r in releases if r.definitions["a"] in seen.told} == {
        name: (told["number"], told["epoch"]) for name, told in seen.told.items()
    }
    assert {r.definitions["a"] for r in releases if r.state == "begun"} == {KILLED, PAUSED}
    assert (head.epoch, head.last, head.holder, head.open) == (DEPLOYERS, DEPLOYERS, None, None)
