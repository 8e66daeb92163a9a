"""One server: streams share it, are cut with what they have written, and models load one after another."""

from __future__ import annotations

import pytest

from arriero.simulate.machine import Job, Machine, Pace

PACE = Pace(0.0, 100.0, 10.0, 20.0)


def played(machine: Machine, until: float = 1e9) -> list[tuple[float, str, bool]]:
    found = []
    while (at := machine.next_at()) is not None and at <= until:
        while step := machine.step(at):
            found.append((round(at, 3), step[0].model, step[1]))
    return found


def machine() -> Machine:
    return Machine(1, 0, False, PACE, 1, 0.0)


def test_a_stream_alone_reads_and_writes_at_its_own_pace() -> None:
    one = machine()
    one.begin(Job(0.0, "a", 200, 31), 0.0)
    assert played(one) == [(2.0, "a", True), (5.0, "a", False)]
    assert one.busy_until(9.0) == pytest.approx(5.0)


def test_two_prompts_at_once_take_twice_as_long_and_two_answers_do_not() -> None:
    one = machine()
    one.begin(Job(0.0, "a", 100, 11), 0.0)
    one.begin(Job(0.0, "b", 100, 11), 0.0)
    assert played(one) == [(2.0, "a", True), (2.0, "b", True), (3.0, "a", False), (3.0, "b", False)]


def test_a_prompt_slows_an_answer_down() -> None:
    one = machine()
    one.begin(Job(0.0, "a", 0, 11), 0.0)
    played(one, 0.0)
    one.begin(Job(0.0, "b", 100, 1), 0.0)
    # Together they want one and a half machines until the prompt is read.
    assert sorted(played(one)[:2]) == [(1.5, "a", False), (1.5, "b", True)]


def test_streams_that_do_not_share_have_all_their_own_pace() -> None:
    one = Machine(1, 0, False, Pace(0.5, 0.0, 10.0, 0.0, prompt_load=0.0), 1, 0.0)
    for name in "abc":
        one.begin(Job(0.0, name, 1000, 10), 0.0)
    assert {at for at, _, is_first in played(one) if is_first} == {0.5}


def test_what_is_killed_keeps_what_is_not_written_yet() -> None:
    one = machine()
    job, reading = Job(0.0, "a", 100, 31), Job(0.0, "b", 500, 7)
    one.begin(job, 0.0)
    played(one, 1.0)
    one.begin(reading, 2.0)
    assert set(one.kill(2.0)) == {(job, True), (reading, False)}
    assert (job.prompt, job.tokens) == (111, 20)
    assert (reading.prompt, reading.tokens) == (500, 7)
    assert one.next_at() is None
