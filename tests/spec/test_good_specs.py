"""What a good file means: defaults, overlays, sites' own sections, units, and where each value comes from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from arriero.spec import origin
from arriero.spec.load import Loaded, load
from arriero.spec.model import Spec

Write = Callable[..., Loaded]
EXAMPLES = Path(__file__).parents[2] / "examples"
SHORT = "name: llm\nimage: acme/ollama\nmodels: [llama2]\nsites:\n  aws-east: {cloud: aws, region: us-east-1}\n"
WITH_STANDBY = SHORT + "  azure-eu: {cloud: azure, region: westeurope, role: standby}\n"


def test_defaults_are_right_for_production(loaded: Write) -> None:
    spec = loaded(WITH_STANDBY).spec
    active, standby = spec.site("aws-east"), spec.site("azure-eu")
    assert (active.min, active.max, standby.min) == (2, 4, 1)
    assert (str(active.size.cpu), str(active.size.memory), str(active.size.storage)) == ("4 vCPU", "16GiB", "20GiB")
    assert spec.rehearse == "on-request"
    assert active.server_environment["OLLAMA_KEEP_ALIVE"] == "-1"


def test_a_model_without_a_tag_is_the_latest(loaded: Write) -> None:
    here = SHORT.replace("aws-east: {cloud: aws, region: us-east-1}", "desk: {cloud: local, hosts: [127.0.0.1]}")
    text = here.replace("[llama2]", "[llama2, 'qwen:7b', hf.co/acme/x, {name: phi, from: storage}]")
    models = loaded(text).spec.models
    assert [model.name for model in models] == ["llama2:latest", "qwen:7b", "hf.co/acme/x:latest", "phi:latest"]
    assert [model.source for model in models] == ["baked", "baked", "baked", "storage"]


def test_an_overlay_goes_over_the_file_key_by_key(loaded: Write) -> None:
    base = WITH_STANDBY + "scale: {min: 3, max: 9}\nenvironment: {A: one, B: two}\n"
    over = "scale: {min: 1}\nenvironment: {A: null, C: three}\nsites: {azure-eu: null}\nmodels: [phi]\n"
    spec = loaded(base, over).spec
    assert (spec.scale.min, spec.scale.max) == (1, 9)
    assert spec.environment == {"B": "two", "C": "three"}
    assert list(spec.sites) == ["aws-east"]
    assert [model.name for model in spec.models] == ["phi:latest"]


def test_a_site_says_only_what_differs(loaded: Write) -> None:
    text = WITH_STANDBY.replace("role: standby}", "role: standby, size: {memory: 24GiB}, environment: {B: site}}")
    spec = loaded(text + "size: {cpu: 8 vCPU, memory: 32GiB}\nenvironment: {A: all, B: all}\n").spec
    site = spec.site("azure-eu")
    assert (str(site.size.cpu), str(site.size.memory)) == ("8 vCPU", "24GiB")
    assert site.environment == {"A": "all", "B": "site"}


def test_every_value_knows_where_it_is_from(loaded: Write) -> None:
    rows = origin.rows(loaded(WITH_STANDBY + "scale:\n  max: 9\n", "scale:\n  min: 3\n"))
    origins = {key: (value, source) for key, value, source in rows}
    assert origins["sites.azure-eu.role"] == ("standby", "arriero.yaml:6")
    assert origins["scale.max"] == ("9", "arriero.yaml:8")
    assert origins["scale.min"] == ("3", "arriero.staging.yaml:2 (overlay)")
    assert origins["models[0].name"] == ("llama2:latest", "arriero.yaml:3")
    assert origins["models[0].from"] == ("baked", "default")
    assert origins["size.cpu"] == ("4 vCPU", "default")


def test_a_secret_is_read_from_the_environment_and_never_shown(loaded: Write) -> None:
    result = loaded(SHORT + "secrets: {hf_token: '${HF_TOKEN}'}\n", None, HF_TOKEN="hf_verysecret")
    assert result.spec.secrets["hf_token"].reveal() == "hf_verysecret"
    shown = [origin.dump(result.spec), str(origin.rows(result)), repr(result), result.spec.model_dump_json()]
    assert not [text for text in shown if "verysecret" in text]
    assert ("secrets.hf_token", "•••", "arriero.yaml:6") in origin.rows(result)


@pytest.mark.parametrize(
    "more", ["", "size: {cpu: 8 vCPU, memory: 32GiB}\nscale: {min: 3}\n", "ollama: {keep_alive: 90s}\n"]
)
def test_what_is_written_out_means_the_same_again(more: str, loaded: Write) -> None:
    text = WITH_STANDBY.replace("role: standby}", "role: standby, scale: {max: 6}}") + more
    first = loaded(text).spec
    again = loaded(origin.dump(first)).spec
    assert [again.site(name) for name in again.sites] == [first.site(name) for name in first.sites]


def test_words_that_yaml_once_took_for_truths_are_text(loaded: Write) -> None:
    assert loaded(SHORT + "environment: {A: on, B: no, C: 'true'}\n").spec.environment == {
        "A": "on",
        "B": "no",
        "C": "true",
    }


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*/arriero.yaml")), ids=lambda path: path.parent.name)
def test_an_example_loads_and_is_short_and_stays_on_the_stage(example: Path) -> None:
    spec = load(example, None, {}).spec
    lines = example.read_text().splitlines()
    assert len(lines) < 30
    assert lines[0] == "# yaml-language-server: $schema=../arriero.schema.json"
    assert spec.rehearse == "always"


def test_who_scales_is_the_controller_in_the_clouds_and_nobody_on_this_machine_where_it_is_not_said() -> None:
    sites = {
        "east": {"cloud": "aws", "region": "us-east-1"},
        "desk": {"cloud": "local", "hosts": ["127.0.0.1"]},
        "rack": {"cloud": "local", "hosts": ["127.0.0.1"], "scale": {"by": "load"}},
    }
    spec = Spec.model_validate({"name": "llm", "image": "acme/llm", "models": ["llama2"], "sites": sites})
    assert {name: spec.site(name).scale_by for name in sites} == {"east": "load", "desk": "hand", "rack": "load"}
