"""Firewall lines are read back into what they let through."""

from __future__ import annotations

import pytest

from arriero.plan.firewall import ALL_PORTS, Rule, group_rule, is_open_range, nsg_rule


@pytest.mark.parametrize(
    ("line", "protocol", "ports", "peer"),
    [
        ("tcp 11434 10.64.0.0/16", "tcp", (11434, 11434), "10.64.0.0/16"),
        ("udp 1-99 2001:db8::/32", "udp", (1, 99), "2001:db8::/32"),
        ("all sg-0123", "*", ALL_PORTS, "sg-0123"),
    ],
)
def test_a_line_of_a_security_group(line: str, protocol: str, ports: tuple[int, int], peer: str) -> None:
    assert group_rule(line, is_inbound=True) == Rule(True, True, protocol, (ports,), (peer,))


def test_a_line_of_an_nsg_in_both_directions() -> None:
    inbound = nsg_rule("100 inbound allow tcp from 10.64.0.0/16,198.51.100.0/24 to *:11434,80-90")
    assert inbound == Rule(
        True, True, "tcp", ((11434, 11434), (80, 90)), ("10.64.0.0/16", "198.51.100.0/24"), ("*",), 100
    )
    outbound = nsg_rule("4096 outbound deny * from * to Internet:*")
    assert outbound == Rule(False, False, "*", (ALL_PORTS,), ("Internet",), ("*",), 4096)


@pytest.mark.parametrize("line", ["", "tcp", "tcp 1 2 3", "100 inbound allow tcp"])
def test_what_is_no_rule_is_no_rule(line: str) -> None:
    with pytest.raises(ValueError, match=r"is no rule|invalid literal"):
        group_rule(line, is_inbound=True)
    with pytest.raises(ValueError, match="is no rule"):
        nsg_rule(line)


@pytest.mark.parametrize(
    ("peer", "is_open"),
    [
        ("0.0.0.0/0", True),
        ("*", True),
        ("Internet", True),
        ("0.0.0.0/1", True),
        ("::/0", True),
        ("2000::/3", True),
        ("10.0.0.0/8", False),
        ("198.51.100.0/24", False),
        ("2001:db8::/32", False),
        ("sg-0123", False),
    ],
)
def test_who_is_everybody(peer: str, is_open: bool) -> None:
    assert is_open_range(peer) is is_open


def test_a_rule_says_which_ports_it_covers_and_whether_it_is_open() -> None:
    rule = group_rule("tcp 11000-12000 0.0.0.0/0", is_inbound=True)
    assert (rule.covers(11434), rule.covers(22), rule.is_open) == (True, False, True)
    assert not nsg_rule("1 inbound deny * from * to *:*").is_open
