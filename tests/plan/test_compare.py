"""Differences come with their reason, in words."""

from __future__ import annotations

from arriero.plan.compare import compare
from arriero.plan.model import Resource
from arriero.plan.order import steps

WISH = Resource("x.box", "llm", {"cpu": 4, "rules": ("a",), "environment": {"A": "1"}})


def reasons(found: Resource) -> list[tuple[str, str]]:
    return [(c.action, c.reason) for c in compare("site", [WISH], [found], {})]


def test_what_is_missing_is_created() -> None:
    assert [(c.action, c.reason) for c in compare("site", [WISH], [], {})] == [("create", "it is not there")]


def test_each_difference_is_named_with_both_values() -> None:
    found = Resource("x.box", "llm", {"cpu": 2, "rules": ("a", "b"), "environment": {"A": "2"}})
    assert reasons(found) == [
        ("update", "cpu: is 2, should be 4; rules: is [a, b], should be [a]; environment.A: is 2, should be 1")
    ]


def test_a_key_added_by_hand_inside_a_mapping_is_drift() -> None:
    found = Resource("x.box", "llm", {"cpu": 4, "rules": ("a",), "environment": {"A": "1", "DEBUG": "1"}})
    assert reasons(found) == [("update", "environment.DEBUG: is 1, should be not set")]


def test_what_only_the_cloud_knows_is_left_alone() -> None:
    found = Resource("x.box", "llm", {**WISH.properties, "created": "today"}, id="i-1")
    assert reasons(found) == []


def test_an_immutable_property_means_replace() -> None:
    found = Resource("x.box", "llm", {**WISH.properties, "cpu": 2})
    assert [c.action for c in compare("site", [WISH], [found], {"x.box": ("cpu",)})] == ["replace"]
    assert [c.action for c in compare("site", [WISH], [found], {"x.box": ("rules",)})] == ["update"]
    assert [c.action for c in compare("site", [WISH], [found], {"x.box": ("*",)})] == ["replace"]


def test_leftovers_are_removed_in_the_last_step() -> None:
    old = Resource("x.box", "old", {})
    changes = compare("site", [WISH], [old], {})
    assert [(step.name, [c.name for c in step.changes]) for step in steps("site", changes, {"x.box": "boxes"})] == [
        ("boxes", ["llm"]),
        ("retire", ["old"]),
    ]
