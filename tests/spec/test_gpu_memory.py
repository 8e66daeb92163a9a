"""Which models have room in which GPUs: each case has its own arithmetic, each model a source of what it takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from arriero.catalog import model_memory
from arriero.spec.check_gpu import gpu_problems
from arriero.spec.model import Spec

CASES = json.loads((Path(__file__).parents[1] / "cases" / "gpu_memory.json").read_text())


def problems(case: dict[str, Any]) -> list[str]:
    gpu = {"type": case["gpu"], "count": case["count"]}
    site = {"cloud": "aws", "region": "us-east-1", "gpu": gpu, "size": {"memory": "15GiB"}}
    ollama = {"num_parallel": case["parallel"], "context_length": case["context"]}
    given = {"name": "llm", "image": "acme/llm:1", "models": [case["model"]], "ollama": ollama, "sites": {"east": site}}
    spec = Spec.model_validate(given)
    return [each.what for each in gpu_problems(spec, "east", spec.sites["east"])]


@pytest.mark.parametrize(
    "case", CASES, ids=lambda c: f"{c['model']} {c['parallel']}x{c['context']} in {c['count']} {c['gpu']}"
)
def test_a_model_has_room_or_it_is_said_how_much_it_takes(case: dict[str, Any]) -> None:
    name = case["model"] if ":" in case["model"] else f"{case['model']}:latest"
    size = model_memory.size_of(name)
    assert size
    assert size.source.page.startswith("https://")
    assert size.source.read
    asked = f"{case['parallel']} x {case['context']} tokens of context"
    has = f"{case['count']} x {case['gpu']} has room for {case['room_gb']} GB"
    too_much = f"{name} with {asked} take {case['gb']} GB, and {has}"
    assert problems(case) == ([] if case["fits"] else [too_much])


def test_of_a_model_that_no_source_tells_of_nothing_is_refused() -> None:
    assert model_memory.size_of("acme/own:1") is None
    assert problems({"model": "acme/own:1", "context": 131072, "parallel": 64, "gpu": "T4", "count": 1}) == []
