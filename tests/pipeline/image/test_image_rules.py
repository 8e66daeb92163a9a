"""Names, refusals and forecasts of an image: pure rules, with their words and figures."""

from __future__ import annotations

from typing import Any

import pytest

from arriero.pipeline.image import build, forecast, refusal, tags
from arriero.pipeline.image.engine import Built
from arriero.pipeline.image.push import repositories
from arriero.spec.model import Spec

GB = 10**9


def spec(image: Any = "registry.example.com/acme/llm:1", models: Any = ("llama2",), **more: Any) -> Spec:
    sites = {
        "east": {"cloud": "aws", "region": "us-east-1"},
        "west": {"cloud": "azure", "region": "eastus"},
        "here": {"cloud": "local", "hosts": ["127.0.0.1"]},
    }
    return Spec.model_validate({"name": "llm", "image": image, "models": models, "sites": sites, **more})


def test_each_cloud_pulls_from_its_own_registry_with_the_same_tag() -> None:
    places = {"aws": "1.dkr.ecr.us-east-1.amazonaws.com/llm", "azure": "acme.azurecr.io:443/llm"}
    wanted = spec({"name": "registry.example.com:5000/acme/llm:1.2", "registries": places})
    assert wanted.site("east").image == "1.dkr.ecr.us-east-1.amazonaws.com/llm:1.2"
    assert wanted.site("west").image == "acme.azurecr.io:443/llm:1.2"
    assert wanted.site("here").image == "registry.example.com:5000/acme/llm:1.2"
    assert repositories(wanted) == ("1.dkr.ecr.us-east-1.amazonaws.com/llm", "acme.azurecr.io:443/llm")
    assert repositories(spec("registry.example.com:5000/acme/llm")) == ("registry.example.com:5000/acme/llm",)


def test_stable_comes_last_and_takes_the_next_number() -> None:
    assert tags.next_stable(["stable", "stable-v2", "stable-v10", "stable-v01", "r4"]) == 11
    assert tags.wanted("git-abc", 4, 11).all == ("git-abc", "r4", "stable-v11", "stable")
    assert tags.wanted("git-abc", None, None).all == ("git-abc",)


def test_no_name_of_one_variant_is_one_of_the_others() -> None:
    cpu, cuda = tags.wanted("git-abc", 4, 2), tags.wanted("git-abc", 4, 2, "cuda")
    assert cuda.all == ("cuda-git-abc", "cuda-r4", "cuda-stable-v2", "cuda-stable")
    assert not set(cpu.all) & set(cuda.all)
    both = [*cpu.all, *cuda.all, "stable-v7"]
    assert (tags.next_stable(both), tags.next_stable(both, "cuda")) == (8, 3)


@pytest.mark.parametrize(
    ("built", "wished", "is_refused"),
    [
        ("cpu", "cpu", False),
        ("cuda", "cuda", False),
        ("cpu", "cuda", True),
        ("cuda", "cpu", True),
        (None, "cuda", False),
    ],
)
def test_what_was_built_of_one_variant_gets_no_name_of_the_other(
    built: str | None, wished: str, is_refused: bool
) -> None:
    labels = {"io.arriero.variant": built} if built else {}
    wanted = spec({"name": "acme/llm", "variant": wished})
    problem = build.other_variant(wanted, Built("sha256:1", 1, (), labels))
    assert bool(problem) == is_refused
    if problem:
        assert problem.what == f"the variant {built} was built here last, and this spec has {wished}"
    assert build.local_name(wanted) == ("arriero/llm:cuda-built" if wished == "cuda" else "arriero/llm:built")


def test_a_fixed_tag_that_is_another_image_is_a_conflict() -> None:
    wanted = tags.wanted("git-abc", 4, 1)
    (problem,) = tags.conflicts(wanted, {"a/llm": {"r4": False, "stable": False}, "b/llm": {"r4": True}})
    assert str(problem).startswith("image push: a/llm:r4 is another image already; a release's tag never moves")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "#9 0.3 arriero: model x:latest: its digest is a, and b was asked for",
            "model x:latest: its digest is a, and b",
        ),
        (
            "#9 1.2 arriero: model x:latest: pull model manifest: file does not exist",
            "model x:latest: its registry has no",
        ),
        ("#7 ERROR: failed to copy: write /data: no space left on device", "the engine's disk is full; free some"),
        ("#9 0.1 arriero: the base image has no Python 3.11", "the base image has no Python 3.11"),
        ("ERROR: No matching distribution found for uvloop==0.23.0", "a package of the sidecar is not in image.wheels"),
        ("#2 something that nobody knows", "#2 something that nobody knows; the log above says more"),
    ],
)
def test_a_failed_build_says_what_went_wrong(line: str, said: str) -> None:
    assert f"image build: {said}" in str(refusal.of_build(["#1 [internal] load build definition", line]))


def test_a_registry_whose_tags_never_move_is_told_apart_from_one_that_refuses() -> None:
    words = "tag invalid: The image tag 'r4' already exists in the 'llm' repository and cannot be overwritten"
    assert "lets no tag move" in str(refusal.of_push("a/llm:r4", [words]))
    assert "docker login with an account" in str(refusal.of_push("a/llm:r4", ["denied: requested access is denied"]))


def test_a_baked_gigabyte_is_pulled_in_a_minute_and_a_mounted_one_read_in_seconds() -> None:
    sizes = forecast.Sizes(900_000_000, {"llama2:latest": 4 * GB})
    baked, mounted, west, _ = forecast.forecast(spec(), sizes)
    assert (baked.image, round(baked.pull_seconds or 0), round(baked.cold_seconds or 0)) == (4_900_000_000, 381, 381)
    assert (mounted.image, round(mounted.pull_seconds or 0), round(mounted.cold_seconds or 0)) == (900_000_000, 70, 81)
    assert (str(baked.monthly), str(mounted.monthly)) == ("$0.49", "$1.29")
    assert (west.pull_seconds, west.monthly) == (None, None), "nobody said how fast or dear Azure is: unknown"


def test_an_image_that_container_instances_does_not_take_is_told() -> None:
    sizes = forecast.Sizes(None, {"llama2:latest": 40 * GB})
    rows = {(row.site, row.way): row for row in forecast.forecast(spec(), sizes)}
    assert rows["west", "baked"].image is None
    assert rows["west", "baked"].warnings[0].startswith("the image has 37.3 GiB, and Container Instances takes 15 GiB")
    assert "write a larger size.storage" in rows["east", "baked"].warnings[0]
    assert not rows["west", "mounted"].warnings
