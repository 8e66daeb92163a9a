"""Which models of a storage no release needs any more, decided."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import pytest

from arriero.plan.cleaning import Named, decide
from arriero.spec.model import Model


def models(names: str) -> tuple[Model, ...]:
    return tuple(Model.model_validate({"name": f"{name}:1b", "from": "storage"}) for name in names.split())


def plain(names: Iterable[str]) -> set[str]:
    return {name.removesuffix(":1b") for name in names}


def named(text: str) -> list[Named]:
    """`1 a b` is release 1 with a and b; with a bang after the number it failed there."""
    rows = (row.strip().partition(" ") for row in text.split(","))
    return [Named(int(n.rstrip("!")), models(names), not n.endswith("!")) for n, _, names in rows]


CASES = {
    "of three releases the first one's goes": ("1 a, 2 b, 3 c", {3}, (), "c", 1, "a"),
    "what a kept release shares stays": ("1 a s, 2 b s, 3 c", {3}, (), "c", 1, "a"),
    "of two none": ("1 a, 2 b", {2}, (), "b", 1, ""),
    "more are kept": ("1 a, 2 b, 3 c", {3}, (), "c", 2, ""),
    "a release that failed is none to go back to": ("1 a, 2! b, 3 c", {3}, (), "c", 1, ""),
    "what failed between those that are kept stays": ("1 a, 2 b, 3! x, 4 c", {4}, (), "c", 1, "a"),
    "what failed before goes": ("1! x, 2 b, 3 c", {3}, (), "c", 1, "x"),
    "the stable one's stays, and what the storage says it has": ("1 a, 2 b, 3 c, 4 d", {4}, {1}, "d", 1, "b"),
    "after a way back the newer ones stay": ("1 a, 2 b, 3 c, 4 d", {3}, (), "d", 1, "a"),
    "while an older one still runs it needs its own": ("1 a, 2 b, 3 c", {2, 3}, (), "c", 1, ""),
    "the spec needs what it names before it is up": ("1 a, 2 b, 3 c", {3}, (), "c a", 1, ""),
    "a release without any has none": ("1 a, 2, 3", {3}, (), "", 1, "a"),
}


@pytest.mark.parametrize(("releases", "running", "besides", "now", "keep", "gone"), CASES.values(), ids=CASES)
def test_it_is_decided(
    releases: str, running: set[int], besides: Collection[int], now: str, keep: int, gone: str
) -> None:
    found = decide(named(releases), running, besides, models(now), keep)
    assert plain(found.gone) == set(gone.split())
    everything = {model.name for each in named(releases) for model in each.models}
    assert set(found.kept) | set(found.gone) == everything
    assert not set(found.kept) & set(found.gone)


def test_each_model_has_the_last_release_that_named_it() -> None:
    found = decide(named("1 a s, 2 a, 3 b, 4 c s"), {4}, (), models("c d"), 1)
    assert found.gone == {"a:1b": 2}
    assert found.kept == {"b:1b": 3, "c:1b": 4, "s:1b": 4, "d:1b": 0}
    assert found.releases == (3, 4)


def test_a_model_of_another_name_lies_there_under_both() -> None:
    pulled = Model.model_validate({"name": "ours:1b", "pull": "models.example.com/acme/llm:1", "from": "storage"})
    found = decide([Named(1, (pulled,)), *named("2 b, 3 c")], {3}, (), models("c"), 1)
    assert set(found.gone) == {"ours:1b", "models.example.com/acme/llm:1"}
