"""Values written into a spec's text: nothing else moves, and the loader reads what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arriero.spec.edit import edited
from arriero.spec.load import load

BLOCK = """\
# What we run.
name: llm
image: acme/llm:1   # ours
models: [llama2]
sites:
  # the first
  aws-east:
    cloud: aws       # ECS
    region: us-east-1
    size:
      memory: 16GiB  # the model needs 11

  azure-east: {cloud: azure, region: eastus, scale: {min: 2}}  # bursts
"""


def site(*keys: str) -> tuple[str, ...]:
    return ("sites", *keys)


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        (site("aws-east", "size", "memory"), "11GiB", "memory: 16GiB  #", "memory: 11GiB  #"),
        (site("aws-east", "size", "cpu"), "2 vCPU", "      memory: 16", "      cpu: 2 vCPU\n      memory: 16"),
        (site("aws-east", "scale", "max"), 6, "    cloud: aws ", "    scale: {max: 6}\n    cloud: aws "),
        (site("azure-east", "scale", "min"), 3, "{min: 2}", "{min: 3}"),
        (site("azure-east", "scale", "max"), 5, "{min: 2}", "{min: 2, max: 5}"),
        (site("azure-east", "size", "cpu"), "0.5 vCPU", "{min: 2}}", "{min: 2}, size: {cpu: 0.5 vCPU}}"),
        (("budget", "monthly"), "500 USD", "name: llm", "budget: {monthly: 500 USD}\nname: llm"),
        (("image",), "acme/llm: 2 #'x", "acme/llm:1 ", "'acme/llm: 2 #''x' "),
    ],
)
def test_one_value_changes_and_nothing_else(path: tuple[str, ...], value: str | int, old: str, new: str) -> None:
    assert BLOCK.count(old) == 1
    assert edited(BLOCK, {path: value}) == BLOCK.replace(old, new)


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    changes = {site("aws-east", "size", "cpu"): "2 vCPU", site("aws-east", "size", "memory"): "8GiB"}
    more: dict[tuple[str, ...], str | int] = {
        site("aws-east", "scale", "min"): 1,
        site("azure-east", "size", "memory"): "12GiB",
    }
    (tmp_path / "arriero.yaml").write_text(edited(BLOCK, {**changes, **more}))
    spec = load(tmp_path / "arriero.yaml", None, {}).spec
    assert (str(spec.site("aws-east").size.cpu), str(spec.site("aws-east").size.memory)) == ("2 vCPU", "8GiB")
    assert (spec.site("aws-east").min, str(spec.site("azure-east").size.memory)) == (1, "12GiB")


@pytest.mark.parametrize(
    ("text", "path", "new"),
    [
        ("sites: {a: {}}", site("a", "x"), "sites: {a: {x: 1}}"),
        ("sites: {a: {b: 1 } }", site("a", "x"), "sites: {a: {b: 1, x: 1} }"),
        ("sites:\r\n  a:\r\n    b: 1\r\n", site("a", "b"), "sites:\r\n  a:\r\n    b: 1\r\n"),
        ('"sites":\n  \'a\':\n    b: "2"', site("a", "b"), "\"sites\":\n  'a':\n    b: 1"),
        ("l: [{a: 1}, b]\nm: 2", ("m",), "l: [{a: 1}, b]\nm: 1"),
        ("ü: ä\nm: 2", ("m",), "ü: ä\nm: 1"),
    ],
)
def test_other_layouts_are_kept(text: str, path: tuple[str, ...], new: str) -> None:
    assert edited(text, {path: 1}) == new


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("", ("a",), "is empty"),
        ("# nothing\n", ("a", "b"), "is empty"),
        ("a: 1", ("a", "b"), "a is no section"),
        ("a: {b: 1}", ("a",), "a is a section"),
    ],
)
def test_where_nothing_can_be_written_that_is_said(text: str, path: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        edited(text, {path: 1})


@given(st.lists(st.sampled_from(["size.cpu", "size.memory", "scale.min", "scale.max", "role"]), unique=True))
def test_in_whatever_order_each_comment_stays(keys: list[str]) -> None:
    text = edited(BLOCK, {site(name, *key.split(".")): 1 for key in keys for name in ("aws-east", "azure-east")})
    comments = [line.partition("#")[2] for line in BLOCK.splitlines() if "#" in line]
    assert [line.partition("#")[2] for line in text.splitlines() if "#" in line] == comments
