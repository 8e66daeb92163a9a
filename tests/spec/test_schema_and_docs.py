"""The schema that editors use, the reference pages and the first file all agree with the loader."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from arriero.errors import Refused
from arriero.spec import docs, starter
from arriero.spec.load import load
from arriero.spec.model import Spec
from arriero.spec.schema import schema

ROOT = Path(__file__).parents[2]
BAD = ROOT / "tests" / "cases" / "spec" / "bad"
VALIDATOR = jsonschema.Draft202012Validator(schema())
# Bad specs whose fault an editor can see while it is written.
SEEN_BY_EDITORS = [
    "unknown-key",
    "unknown-key-of-a-site",
    "unknown-key-of-a-section",
    "unknown-key-of-a-model",
    "memory-with-a-wrong-unit",
    "memory-without-a-unit",
    "cpu-with-a-wrong-unit",
    "number-in-quotes",
    "section-is-a-text",
    "sites-is-a-list",
    "sites-is-empty",
    "models-is-empty",
    "region-of-the-other-cloud",
    "region-unknown",
    "region-missing",
    "cloud-unknown",
    "cloud-missing",
    "role-mistyped",
    "gpu-of-a-local-site",
    "secret-in-the-file",
    "secret-with-a-bad-name",
    "negative-min",
    "hosts-missing",
    "image-with-a-scheme",
    "image-in-upper-case",
    "model-with-a-space",
    "gateway-port-out-of-range",
    "name-too-long",
    "name-in-upper-case",
    "site-name-with-a-dot",
    "site-name-too-long",
    "account-without-quotes",
    "variable-with-a-bad-name",
    "rehearse-mistyped",
]


def test_the_schema_is_a_schema_with_a_word_on_every_key() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    silent = [f"{name}.{key}" for name, d in schema()["$defs"].items() for key in _undescribed(d)]
    assert silent + _undescribed(schema()) == []


@pytest.mark.parametrize("page", docs.sections())
def test_a_reference_page_is_a_valid_spec(page: str, tmp_path: Path) -> None:
    path = tmp_path / "arriero.yaml"
    path.write_text(docs.section(page))
    assert page in load(path, None, {"HF_TOKEN": "x"}).spec.model_fields_set
    assert not list(VALIDATOR.iter_errors(_yaml(docs.section(page))))


def test_every_key_of_the_spec_has_a_page() -> None:
    assert set(docs.sections()) == set(Spec.model_fields)


def test_a_page_that_is_not_there_is_refused_with_the_one_meant() -> None:
    with pytest.raises(Refused, match=r"there is no section 'scal'; did you mean scale\?"):
        docs.section("scal")
    with pytest.raises(Refused, match="there is no section"):
        docs.section("../model")


@pytest.mark.parametrize("case", SEEN_BY_EDITORS)
def test_an_editor_sees_the_fault(case: str) -> None:
    text = (BAD / f"{case}.case").read_text().partition("=====\n")[0]
    assert list(VALIDATOR.iter_errors(_yaml(text)))


@pytest.mark.parametrize("example", sorted(ROOT.glob("examples/*/arriero.yaml")), ids=lambda path: path.parent.name)
def test_an_example_is_valid_to_an_editor(example: Path) -> None:
    assert not list(VALIDATOR.iter_errors(_yaml(example.read_text())))


def test_the_schema_beside_the_examples_is_this_one() -> None:
    # Made anew with: arriero schema > examples/arriero.schema.json
    assert json.loads((ROOT / "examples" / "arriero.schema.json").read_text()) == schema()


def test_the_first_file_is_a_valid_spec_of_the_name_given(tmp_path: Path) -> None:
    path = tmp_path / "arriero.yaml"
    path.write_text(starter.text("chat"))
    assert load(path, None, {}).spec.name == "chat"
    with pytest.raises(Refused, match="'Chat Bot' is not a name"):
        starter.text("Chat Bot")


def _undescribed(section: dict[str, object]) -> list[str]:
    properties = section.get("properties", {})
    assert isinstance(properties, dict)
    return [key for key, rule in properties.items() if "description" not in rule]


def _yaml(text: str) -> object:
    return YAML(typ="safe", pure=True).load(text)
