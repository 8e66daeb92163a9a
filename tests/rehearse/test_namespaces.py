"""When a stage may put its targets into network namespaces; that they hold is a story's to show (`stories/`)."""

from __future__ import annotations

import os

import pytest

from arriero.errors import Refused
from arriero.rehearse.namespaces import SETTING, Rule, is_asked_for


@pytest.mark.parametrize("environment", [{}, {SETTING: "0"}])
def test_nobody_is_apart_who_does_not_ask_for_it(environment: dict[str, str]) -> None:
    assert is_asked_for(environment) is False


def test_all_that_is_in_the_way_is_told_at_once() -> None:
    with pytest.raises(Refused) as caught:
        is_asked_for({SETTING: "yes", "PATH": "/nowhere"})
    told = [(problem.what, problem.remedy) for problem in caught.value.problems]
    assert told[:4] == [
        ("neither 1 nor 0", "say 1 for namespaces"),
        ("there is no program ip", "install iproute2"),
        ("there is no program nft", "install nftables"),
        ("there is no program nsenter", "install util-linux"),
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may")
def test_who_is_not_root_is_refused() -> None:
    with pytest.raises(Refused, match="only root can make network namespaces"):
        is_asked_for({**os.environ, SETTING: "1"})


def test_a_rule_as_nftables_reads_it() -> None:
    assert str(Rule("10.8.0.0/24", (11434, 11434))) == "ip saddr 10.8.0.0/24 tcp dport 11434-11434 accept"
    assert str(Rule("0.0.0.0/0", lets=False)) == "ip saddr 0.0.0.0/0 tcp dport 0-65535 drop"
