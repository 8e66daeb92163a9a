"""Right sizes for services of each kind, as a table: shape, size, counts and saving."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rightsizing import made

from arriero.catalog import catalog
from arriero.scale.rightsize import Advice, Rates, Shape, Size, Used, leak_per_day, percentile, rightsize

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "cases" / "scale" / "rightsize.json").read_text()
)
FARGATE = [Size(pair.cpu, pair.memory_gib) for pair in catalog.fargate_pairs()]


def advice(case: dict[str, Any]) -> Advice:
    (cpu, *cpu_range), (memory, *memory_range) = case["cpu"], case["memory"]
    used = Used(
        made(cpu, case["days"], *cpu_range, seed=case["seed"]),
        made(memory, case["days"], *memory_range, seed=case["seed"] + 100),
        case["days"],
        case["count"],
        case["waiting"],
    )
    return rightsize(used, Size(*case["size"]), FARGATE, Rates(0.04048, 0.004445))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_advice_is_that_of_the_table(case: dict[str, Any]) -> None:
    found, expected = advice(case), case["expect"]
    assert found.shape is Shape[expected["shape"]]
    assert [found.size.cpu, found.size.memory_gib] == expected["size"]
    assert [found.min, found.max] == expected["counts"]
    assert found.saving == pytest.approx(expected["saving"], abs=0.002)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_what_was_used_still_fits(case: dict[str, Any]) -> None:
    found = advice(case)
    memory = made(case["memory"][0], case["days"], *case["memory"][1:], seed=case["seed"] + 100)
    assert found.size.memory_gib >= case["size"][1] * max(memory) / 100
    assert found.size in FARGATE


def test_the_table_has_thirty_cases_of_every_kind() -> None:
    assert len(CASES) >= 30
    assert {case["expect"]["shape"] for case in CASES} == {shape.name for shape in Shape}


def test_a_percentile_is_a_value_that_was_seen() -> None:
    assert [percentile(range(1, 101), percent) for percent in (0, 50, 99, 100)] == [1, 50, 99, 100]


def test_growth_between_restarts_is_a_leak_and_a_load_is_none() -> None:
    grows = [20 + (hour % 120) / 2 for hour in range(336)]
    assert leak_per_day(grows, 14) == pytest.approx(12.0, rel=0.05)
    assert leak_per_day([20.0] * 168 + [60.0] * 168, 14) == 0.0
