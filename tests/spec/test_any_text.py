"""Whatever stands in the file, the answer is a Spec or a SpecError, and soon."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from arriero.errors import SpecError
from arriero.spec.load import load

QUICK = settings(max_examples=150, deadline=3000, suppress_health_check=[HealthCheck.too_slow])
WORDS = st.sampled_from(
    [
        "name",
        "image",
        "models",
        "sites",
        "size",
        "scale",
        "ollama",
        "environment",
        "network",
        "gateway",
        "logs",
        "deploy",
        "accounts",
        "rehearse",
        "secrets",
        "cloud",
        "region",
        "role",
        "hosts",
        "gpu",
        "cpu",
        "memory",
        "min",
        "max",
        "from",
        "aws",
        "azure",
        "local",
        "us-east-1",
        "eastus",
        "16GiB",
        "${A}",
        "127.0.0.1",
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4), max_leaves=12
)
SPECS = st.dictionaries(WORDS, VALUES, max_size=8)
YAMLISH = st.text(alphabet="ab:-,[]{}&*!|>'\"%@`#?~<=. \t\n0\\", max_size=80)


@QUICK
@given(st.binary(max_size=200))
def test_any_bytes_are_answered(data: bytes) -> None:
    _load(data)


@QUICK
@given(st.text(max_size=100) | YAMLISH)
def test_any_text_is_answered(text: str) -> None:
    _load(text.encode("utf-8", "replace"))


@QUICK
@given(SPECS)
def test_any_yaml_is_answered(spec: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "arriero.yaml"
        with path.open("w", encoding="utf-8", errors="replace") as stream:
            YAML(typ="safe", pure=True).dump(spec, stream)
        _answer(path)


def _load(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "arriero.yaml"
        path.write_bytes(data)
        _answer(path)


def _answer(path: Path) -> None:
    try:
        problems = load(path, None, {"A": "x"}) and ()
    except SpecError as error:
        problems = error.problems or ("a refusal without a problem",)
    assert all(getattr(problem, "what", "") for problem in problems)
