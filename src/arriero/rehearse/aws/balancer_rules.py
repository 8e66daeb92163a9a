"""Which action of a listener a request gets: that of the first rule whose conditions all hold, else its own.

A condition that is not known here, as by regular expressions, holds for nothing: what it lets in on AWS is not let in
on the stage.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from arriero.rehearse.forwarding import Head, Said


def action_for(listener: Any, head: Head) -> Any:
    rules = [rule for rule in list(listener.rules.values()) if not rule.is_default]
    for rule in sorted(rules, key=lambda each: int(each.priority)):
        if all(_holds(condition, head) for condition in rule.conditions):
            return rule.actions[0]
    return listener.default_actions[0]


def actions(listener: Any) -> Iterator[Any]:
    """All that it may do, the first of each list."""
    yield from listener.default_actions[:1]
    for rule in list(listener.rules.values()):
        if not rule.is_default:
            yield from rule.actions[:1]


def fixed(action: Any) -> Said:
    told = action.data["FixedResponseConfig"]
    return Said(int(told["StatusCode"]), f"{told.get('MessageBody', '')}\n")


def _holds(condition: Any, head: Head) -> bool:
    """Values may have `*` and `?`; a header's are compared without their case, a path's with it."""
    if condition["Field"] == "http-header":
        told = condition["HttpHeaderConfig"]
        name = told["HttpHeaderName"].lower()
        said = [value.lower() for key, value in head.headers if key.lower() == name]
        return any(fnmatchcase(value, pattern.lower()) for value in said for pattern in told.get("Values", ()))
    if condition["Field"] == "path-pattern":
        patterns = (condition.get("PathPatternConfig") or condition).get("Values", ())
        return any(fnmatchcase(head.target.partition("?")[0], pattern) for pattern in patterns)
    return False
