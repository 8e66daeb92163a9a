"""Blocks of figures side by side: who owns one, and what becomes of what a dead process held."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from arriero.control.keys import Key
from arriero.control.messages import TargetEntry, Targets
from arriero.gateway.access.allowance import Usage
from arriero.gateway.access.guard import Caller, Refusal
from arriero.gateway.process.together import SharedGuard, SharedPool, SharedQuarantine, usage_of_all
from arriero.gateway.routing.quarantine import Hold, mark_of
from arriero.gateway.routing.target import Inventory, Target
from arriero.gateway.telling.lanes import Lanes
from arriero.gateway.telling.record import Record

MODEL = "m:latest"
NOW = 1_800_000_030.0

NEIGHBOUR = """
import sys, signal
from arriero.gateway.telling.lanes import Lanes
lanes = Lanes(int(sys.argv[1]), int(sys.argv[2]))
for name, *values in (line.split() for line in sys.argv[3:]):
    start = lanes.own.row(name, len(values))
    for index, value in enumerate(values):
        lanes.own.numbers[start + index] = float(value)
print(lanes.number, flush=True)
signal.pause()
"""


def neighbour(lanes: Lanes, *rows: str) -> subprocess.Popen[bytes]:
    """Another process that holds these rows until it is killed."""
    command = [sys.executable, "-c", NEIGHBOUR, str(lanes.memory), str(lanes.lock), *rows]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, pass_fds=(lanes.memory, lanes.lock))
    assert process.stdout
    assert int(process.stdout.readline()) != lanes.number
    return process


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def pool(lanes: Lanes, slots: int) -> tuple[SharedPool, Target]:
    made = SharedPool(lanes)
    made.set_targets(Targets((TargetEntry("a", "here", "127.0.0.1:1", slots=slots),)))
    (target,) = made
    target.answered(Inventory({MODEL: {"digest": "d"}}, {MODEL: {"digest": "d"}}))
    return made, target


def test_a_place_that_a_neighbour_holds_is_taken_until_it_dies() -> None:
    lanes = Lanes()
    other = neighbour(lanes, "slots{a} 2")
    try:
        made, target = pool(lanes, slots=3)
        assert made.usual(MODEL, (), 0, 0.0) is target
        target.take(MODEL, 0.0)
        assert made.usual(MODEL, (), 0, 0.0) is None
        assert made.status()[0].in_flight == 3
    finally:
        kill(other)
    assert lanes.bury() == 2
    assert lanes.bury() == 0
    assert made.usual(MODEL, (), 0, 0.0) is target


def test_the_next_process_takes_over_a_dead_ones_block() -> None:
    lanes = Lanes()
    other = neighbour(lanes, "slots{a} 2", "arriero_retries_total{} 5")
    kill(other)
    successor = neighbour(lanes)
    try:
        rows = {name: numbers for block in lanes.others for name, numbers in block.rows()}
        assert rows["slots{a}"] == [0]
        assert rows["arriero_retries_total{}"] == [5]
        assert len(lanes.others) == 1
    finally:
        kill(successor)


def caller(**limits: object) -> Caller:
    key = Key("team", (), datetime(2026, 1, 1, tzinfo=UTC), **limits)  # type: ignore[arg-type]
    return Caller(key, frozenset(), Usage())


@pytest.mark.parametrize(
    ("limits", "row", "words"),
    [
        ({"concurrency": 3}, ["open{team} 2"], "have 3 requests open"),
        ({"requests_a_minute": 3}, [f"usage{{team}} {int(NOW // 60)} 2 0 0 0 0 0 0"], "ask 3 times a minute"),
        ({"tokens_a_minute": 30}, [f"usage{{team}} 0 0 0 {int(NOW // 60)} 29 0 0 0"], "use 30 tokens a minute"),
        ({"spend_a_day": 1.0}, [f"usage{{team}} 0 0 0 0 0 0 0.99 {int(NOW // 86400)}"], "spend 1 a day"),
    ],
)
def test_limits_of_a_key_count_what_neighbours_counted(limits: dict[str, object], row: list[str], words: str) -> None:
    lanes = Lanes()
    other = neighbour(lanes, *row)
    try:
        guard, who = SharedGuard(lanes), caller(**limits)
        assert guard.admit(who, None, NOW) is None
        record = Record("1", "POST", "/api/chat")
        record.caller, record.tokens_in = who, 5
        if "concurrency" not in limits:
            guard.finished(record, NOW)
            who.usage.spend(0.02, NOW)
        again = Caller(who.key, frozenset(), who.usage)
        refusal = guard.admit(again, None, NOW)
        assert isinstance(refusal, Refusal)
        assert words in refusal.message
    finally:
        kill(other)


def test_what_a_neighbour_holds_back_is_refused_here_too_until_one_is_answered() -> None:
    mark = mark_of("/api/chat", b"deadly")
    words = " ".join(str(int.from_bytes(mark[start : start + 6])) for start in (0, 6, 12))
    lanes = Lanes()
    other = neighbour(lanes, f"quarantine{{{mark[0]}}} {words} 90 2 90 300", "quarantines{} 900")
    try:
        quarantine = SharedQuarantine(lanes)
        assert quarantine.hold("/api/chat", b"deadly", 100.0) == Hold(200.0, True)
        assert quarantine.hold("/api/chat", b"harmless", 100.0) is None
        assert quarantine.is_last_try("/api/chat", b"deadly")
        quarantine.died("/api/chat", b"deadly", 95.0, 120.0)
        assert quarantine.hold("/api/chat", b"deadly", 120.0) == Hold(20.0, True)
        assert dict(lanes.own.rows())[f"quarantine{{{mark[0]}}}"][3:] == [120.0, 3.0, 120.0, 140.0]
        quarantine.answered("/api/chat", b"deadly", 130.0)
        assert quarantine.hold("/api/chat", b"deadly", 131.0) is None
        quarantine.died("/api/chat", b"deadly", 131.0, 132.0)
        quarantine.died("/api/chat", b"deadly", 132.0, 133.0)
        assert quarantine.hold("/api/chat", b"deadly", 133.0) == Hold(10.0, True)
    finally:
        kill(other)


def test_usage_of_all_is_the_sum_in_the_form_that_one_process_tells() -> None:
    lanes = Lanes()
    minute, day = int(NOW // 60), int(NOW // 86400)
    others = [neighbour(lanes, f"usage{{team}} {minute} 2 1 {minute} 30 0 0.5 {day}") for _ in range(2)]
    try:
        assert usage_of_all(lanes, NOW) == {"team": [minute, 4, 2, minute, 60, 0, 1.0, day]}
    finally:
        for other in others:
            kill(other)


def test_all_processes_can_be_alone_in_turn() -> None:
    lanes = Lanes()
    count = """
import sys
from arriero.gateway.telling.lanes import Lanes
lanes = Lanes(int(sys.argv[1]), int(sys.argv[2]))
shared = memoryview(__import__("mmap").mmap(int(sys.argv[3]), 4096)).cast("Q")
for _ in range(20000):
    with lanes.alone():
        shared[0] = shared[0] + 1
"""
    shared = os.memfd_create("count")
    os.ftruncate(shared, 4096)
    command = [sys.executable, "-c", count, *map(str, (lanes.memory, lanes.lock, shared))]
    started = [subprocess.Popen(command, pass_fds=(lanes.memory, lanes.lock, shared)) for _ in range(3)]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    assert int.from_bytes(os.pread(shared, 8, 0), "little") == 60_000
    os.close(shared)
