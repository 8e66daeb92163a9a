"""How the rules of a listener are read, also those that somebody made by hand, and in words that are not ours."""

from __future__ import annotations

from typing import Any

import pytest

from arriero.clouds.aws import balancing
from arriero.plan.wanted import aws_alb

FORWARD = {"Type": "forward", "TargetGroupArn": "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/llm/0a"}


def header(name: str, **told: list[str]) -> dict[str, Any]:
    return {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": name, **told}}


def path(**told: list[str]) -> dict[str, Any]:
    return {"Field": "path-pattern", "PathPatternConfig": told}


@pytest.mark.parametrize(
    ("conditions", "said", "door"),
    [
        ([header("X-Azure-FDID", Values=["one"])], "X-Azure-FDID is one", "one"),
        ([header("X-Azure-FDID", Values=[aws_alb.UNKNOWN])], f"X-Azure-FDID is {aws_alb.UNKNOWN}", ""),
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
