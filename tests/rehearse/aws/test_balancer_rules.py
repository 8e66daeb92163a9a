"""Which action of a listener a request gets on the stage."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from arriero.rehearse.aws import balancer_rules
from arriero.rehearse.forwarding import Head

ID = "11111111-2222-3333-4444-555555555555"


def action(name: str) -> Any:
    return SimpleNamespace(type=name, data={})


def rule(priority: int, name: str, *conditions: dict[str, Any]) -> Any:
    return SimpleNamespace(priority=priority, actions=[action(name)], conditions=list(conditions), is_default=False)


def header(name: str, *values: str) -> dict[str, Any]:
    return {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": name, "Values": list(values)}}


PATH = {"Field": "path-pattern", "Values": ["/readyz"]}
DEFAULT = SimpleNamespace(priority="default", actions=[action("default")], conditions=[], is_default=True)
RULES = {
    "b": rule(2, "probe", header("X-FD-HealthProbe", "1"), PATH),
    "a": rule(1, "door", header("X-Azure-FDID", ID)),
    "c": rule(3, "unknown", {"Field": "source-ip", "SourceIpConfig": {"Values": ["0.0.0.0/0"]}}),
    "e": rule(
        4, "expression", {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "A", "RegexValues": [".*"]}}
    ),
    "f": rule(5, "expression", {"Field": "path-pattern", "PathPatternConfig": {"RegexValues": [".*"]}}),
    "d": DEFAULT,
}
LISTENER = SimpleNamespace(rules=RULES, default_actions=[action("default")])


def got(path: str = "/", **headers: str) -> str:
    said = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return str(balancer_rules.action_for(LISTENER, Head("GET", path, said, "127.0.0.1")).type)


@pytest.mark.parametrize(
    ("path", "headers", "name"),
    [
        ("/", {}, "default"),
        ("/", {"x_azure_fdid": ID.upper()}, "door"),
        ("/", {"X_Azure_FDID": "another"}, "default"),
        ("/", {"A": "anything"}, "default"),
        ("/readyz?now", {"X_FD_HealthProbe": "1"}, "probe"),
        ("/api/tags", {"X_FD_HealthProbe": "1"}, "default"),
        ("/readyz", {}, "default"),
        ("/readyz", {"X_FD_HealthProbe": "1", "X_Azure_FDID": ID}, "door"),
    ],
)
def test_the_first_rule_counts_whose_conditions_all_hold(path: str, headers: dict[str, str], name: str) -> None:
    assert got(path, **headers) == name


def test_a_listener_tells_all_that_it_may_do() -> None:
    assert [each.type for each in balancer_rules.actions(LISTENER)] == [
        "default",
        "probe",
        "door",
        "unknown",
        *["expression"] * 2,
    ]


def test_an_answer_of_its_own_is_said_as_it_is() -> None:
    told = {"FixedResponseConfig": {"StatusCode": "403", "MessageBody": "no"}}
    said = balancer_rules.fixed(SimpleNamespace(type="fixed-response", data=told))
    assert (said.status, said.body) == (403, "no\n")
