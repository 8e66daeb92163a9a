"""Real playbooks through ansible-runner: outcomes, events, log, time-out, Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from listening import Heard
from running import START, processes_with, wait_for

from arriero.clock import ManualClock, SystemClock
from arriero.deploy import journal, runner
from arriero.deploy.workspace import Workspace
from arriero.events import Event

SITES = ["here", "there"]
Play = Callable[[str], str]


@pytest.fixture
def mark() -> Iterator[str]:
    """A word for a command line; whatever still runs with it after the test is ended."""
    word = f"300.{uuid4().int % 10**12}"
    yield word
    for pid in processes_with(word):
        os.kill(pid, signal.SIGKILL)


def test_each_site_has_its_own_outcome(workspace: Workspace, play: Play, heard: Heard) -> None:
    playbook = play("""\
        - name: Change something
          ansible.builtin.set_fact: {a: 1}
          changed_when: true
        - name: Try, and recover
          block:
            - name: Fail once
              ansible.builtin.fail: {msg: the network is not ready}
          rescue:
            - name: Say what it means
              ansible.builtin.fail: {msg: the network never came up | see its log}
              when: inventory_hostname == 'there'
        """)
    outcome = runner.run(workspace, playbook, dict(os.environ), SITES, heard, SystemClock())
    assert (outcome.ok, outcome.changed, outcome.code) == ({"here"}, {"here"}, 2)
    assert [str(problem) for problem in outcome.problems] == ["sites.there: the network never came up; see its log"]
    assert heard.of("here") == [
        "step.started",
        *["step.progress"] * 2,
        "step.skipped",
        "step.finished",
        "site.finished",
    ]
    assert heard.of("there") == ["step.started", *["step.progress"] * 2, "step.failed", "site.failed"]
    assert [entry["site"] for entry in journal.read(workspace.journal)] == [e.site for e in heard.events]  # type: ignore[index, call-overload]


def test_a_loop_and_a_retry_are_told_and_all_of_ansibles_words_go_to_the_log_alone(
    workspace: Workspace, play: Play, heard: Heard, capfd: pytest.CaptureFixture[str]
) -> None:
    playbook = play("""\
        - name: Ask again and again
          ansible.builtin.command: "false"
          retries: 1
          delay: 0
          register: answer
          until: answer.rc == 0
          ignore_errors: true
        - name: Look at each
          ansible.builtin.assert: {that: item == 1, fail_msg: "{{ item }} is no good"}
          loop: [1, 2, 3]
        """)
    outcome = runner.run(workspace, playbook, dict(os.environ), SITES, heard, SystemClock())
    assert "2 is no good; 3 is no good" in str(outcome.failed["here"])
    attempts = [event.fields["attempt"] for event in heard.events if "attempt" in event.fields]
    assert attempts == [1, 1]
    assert capfd.readouterr() == ("", "")
    assert "here: Look at each: failed" in workspace.log.read_text()
    assert {path.name for path in workspace.folder.iterdir()} == {
        "ansible.cfg",
        "ansible.log",
        "inventory",
        "journal.jsonl",
        "lock",
    }


def test_a_playbook_that_is_not_there_is_every_sites_problem(workspace: Workspace, heard: Heard) -> None:
    outcome = runner.run(workspace, "no-such.yml", dict(os.environ), SITES, heard, SystemClock())
    assert outcome.ending == "broken"
    assert set(outcome.failed) == set(SITES)
    assert "could not be found" in str(outcome.failed["here"])


def test_a_run_that_takes_too_long_is_ended_with_its_children(
    workspace: Workspace, play: Play, heard: Heard, mark: str
) -> None:
    clock = ManualClock()

    def listen(event: Event) -> None:
        heard(event)
        if event.kind == "step.started" and event.site == "there":
            wait_for(lambda: len(processes_with(mark)) >= 2)
            clock.sleep(61)

    playbook = play(f"- name: Sleep\n  ansible.builtin.command: sleep {mark}\n")
    outcome = runner.run(workspace, playbook, dict(os.environ), SITES, listen, clock, timeout_seconds=60)
    assert outcome.ending == "timed out"
    assert "not done in time at 'Sleep'" in str(outcome.failed["here"])
    assert processes_with(mark) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_everything_and_says_so(workspace: Workspace, play: Play, mark: str, number: int) -> None:
    playbook = play(f"- name: Sleep\n  ansible.builtin.command: sleep {mark}\n")
    command = [sys.executable, START, str(workspace.folder), playbook]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        wait_for(lambda: len(processes_with(mark)) >= 2)
        process.send_signal(number)
        said, _ = process.communicate(timeout=20)
    assert said.splitlines() == ["interrupted: here, there"]
    assert processes_with(mark) == []
    assert not workspace.artifacts.exists()


def test_a_hard_kill_of_the_runner_takes_ansible_along(workspace: Workspace, play: Play, mark: str) -> None:
    playbook = play(f"- name: Sleep\n  ansible.builtin.command: sleep {mark}\n")
    command = [sys.executable, START, str(workspace.folder), playbook]
    with subprocess.Popen(command) as process:
        wait_for(lambda: len(processes_with(mark)) >= 2)
        process.kill()
        process.wait()
    wait_for(lambda: not processes_with(mark) and not processes_with(str(workspace.inventory)))
    kinds = [entry["event"] for entry in journal.read(workspace.journal)]  # type: ignore[index, call-overload]
    assert kinds == ["step.started", "step.started"]


def test_the_users_own_ansible_settings_change_nothing(
    workspace: Workspace, play: Play, heard: Heard, tmp_path: Path
) -> None:
    config = tmp_path / "ansible.cfg"
    config.write_text(f"[defaults]\nlog_path = {tmp_path}/leak.log\nstdout_callback = minimal\n")
    environment = {**os.environ, "ANSIBLE_CONFIG": str(config), "ANSIBLE_LOG_PATH": str(tmp_path / "leak.log")}
    playbook = play("- name: Say hello\n  ansible.builtin.debug: {msg: hello}\n")
    outcome = runner.run(workspace, playbook, environment, SITES, heard, SystemClock())
    assert outcome.ok == set(SITES)
    assert not (tmp_path / "leak.log").exists()
