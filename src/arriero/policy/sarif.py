"""Findings as SARIF 2.1.0, which code hosts and editors show at the lines of the spec.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from arriero.errors import Problem
from arriero.events import Json
from arriero.policy.rule import Finding, Rule

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def document(
    found: Sequence[Finding], known: Iterable[Rule], placed: Callable[[Problem], Problem], version: str
) -> dict[str, Json]:
    """`placed` puts the file and line of its key into a problem. A waived finding is there, suppressed."""
    rules = {each.id: each for each in (*known, *(finding.rule for finding in found))}
    driver: dict[str, Json] = {"name": "arriero", "version": version, "rules": [_rule(each) for each in rules.values()]}
    order = list(rules)
    results: list[Json] = [_result(each, order.index(each.rule.id), placed) for each in found]
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _rule(each: Rule) -> Json:
    return {
        "id": each.id,
        "shortDescription": {"text": each.id.replace("-", " ")},
        "fullDescription": {"text": each.reason},
        "help": {"text": each.remedy},
        "defaultConfiguration": {"level": each.severity},
    }


def _result(finding: Finding, index: int, placed: Callable[[Problem], Problem]) -> Json:
    result: dict[str, Json] = {
        "ruleId": finding.rule.id,
        "ruleIndex": index,
        "level": finding.severity,
        "message": {"text": f"{finding.key}: {finding.what}; {finding.remedy}"},
        "locations": [_location(placed(Problem(finding.what, key=finding.key)), finding.key)],
        "partialFingerprints": {"arriero/v1": f"{finding.rule.id}:{finding.key}"},
    }
    if finding.waiver:
        until = f"{finding.waiver.reason} (until {finding.waiver.until})"
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": until}]
    return result


def _location(problem: Problem, key: str) -> Json:
    where: dict[str, Json] = {"logicalLocations": [{"fullyQualifiedName": key}]}
    if problem.file:
        region: dict[str, Json] = {"region": {"startLine": problem.line}} if problem.line else {}
        uri = Path(problem.file).as_posix()
        where["physicalLocation"] = {"artifactLocation": {"uri": uri}, **region}
    return where
