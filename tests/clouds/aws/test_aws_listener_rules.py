"""How the rules of a listener are read, also those that somebody made by hand, and in words that are not ours."""

from __future__ import annotations

from typing import Any

import pytest

from arriero.clouds.aws import balancing

ID = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
FORWARD = {"Type": "forward", "TargetGroupArn": "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/llm/0a"}


def header(name: str, **told: list[str]) -> dict[str, Any]:
    return {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": name, **told}}


def path(**told: list[str]) -> dict[str, Any]:
    return {"Field": "path-pattern", "PathPatternConfig": told}


@pytest.mark.parametrize(
    ("conditions", "said", "door"),
    [
        ([header("X-Azure-FDID", Values=[ID])], f"X-Azure-FDID is {ID}", ID),
        ([header("X-Azure-FDID", Values=["not a door"])], "X-Azure-FDID is not a door", ""),
        ([header("X-Azure-FDID", RegexValues=[".*"])], "X-Azure-FDID matches .*", ""),
        ([path(Values=["/a", "/b"]), header("A", Values=["1"])], "A is 1 and the path is /a or /b", ""),
        ([path(RegexValues=["/.*"])], "the path matches /.*", ""),
        ([{"Field": "path-pattern", "Values": ["/readyz"]}], "the path is /readyz", ""),
    ],
)
def test_a_rule_is_told_by_its_conditions(conditions: list[dict[str, Any]], said: str, door: str) -> None:
    rule = {"Actions": [FORWARD], "Conditions": conditions}
    assert balancing._rule(rule) == f"forward to llm if {said}"
    assert balancing._front_door([rule]) == door


HTTPS = {"ListenerArn": "https", "Protocol": "HTTPS", "Port": 443}
HTTP = {"ListenerArn": "http", "Protocol": "HTTP", "Port": 80, "DefaultActions": [{"Type": "redirect"}]}
REFUSAL, REDIRECT = {"Type": "fixed-response"}, {"Type": "redirect"}
SIGN_IN = {"Type": "authenticate-oidc"}


class Balancers:
    """What ELBv2 says of a listener's rules; it remembers whose it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def describe_rules(self, **about: str) -> dict[str, Any]:
        self.asked.append(about["ListenerArn"])
        own = {"Priority": "1", "IsDefault": False, "Actions": [FORWARD], "Conditions": [path(Values=["/a"])]}
        return {"Rules": [{"Priority": "default", "IsDefault": True}, own]}


@pytest.mark.parametrize(
    ("actions", "asked"),
    [
        ([FORWARD], []),
        ([SIGN_IN, FORWARD], []),
        ([REFUSAL], ["https", "http"]),
        ([REDIRECT], ["https", "http"]),
    ],
)
def test_rules_are_asked_for_where_https_does_not_forward_all(actions: list[dict[str, Any]], asked: list[str]) -> None:
    elbv2 = Balancers()
    found = balancing._all_rules(elbv2, [{**HTTPS, "DefaultActions": actions}, HTTP])
    assert elbv2.asked == asked
    assert {name: [balancing._rule(each) for each in rules] for name, rules in found.items()} == {
        name: ["forward to llm if the path is /a"] for name in asked
    }
