"""What Ansible says becomes what a person reads; each case is a file: the messages, a line of =====, the outcome."""

from __future__ import annotations

from pathlib import Path

import pytest

from arriero.deploy.failure import explain
from arriero.deploy.watch import problem

CASES = sorted((Path(__file__).parents[1] / "cases/ansible_failures").glob("*.txt"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_failure_reads_like_a_sentence(case: Path) -> None:
    said, _, wanted = case.read_text().partition("=====\n")
    assert "\n".join(explain(said.rstrip("\n").split("-----\n"))) == wanted.rstrip("\n")


def test_a_long_message_is_cut_between_words() -> None:
    (text,) = explain(["word " * 500])
    assert len(text) < 610
    assert text.endswith("word …")


def test_a_roles_own_sentence_carries_its_remedy_behind_a_bar() -> None:
    said = problem("aws-east", "Say why", ["2 tasks stopped: no such image | push the image"])
    assert str(said) == "sites.aws-east: 2 tasks stopped: no such image; push the image"


def test_a_modules_words_come_with_the_task_that_failed() -> None:
    said = problem("aws-east", "Create the cluster", ["AccessDenied"])
    assert str(said) == "sites.aws-east: 'Create the cluster' failed: AccessDenied; mend that and run arriero up again"
