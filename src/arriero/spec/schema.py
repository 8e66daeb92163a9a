"""The JSON Schema of arriero.yaml, for editors: they complete keys, values and regions, and show what each key means.

The schema describes what is written; what depends on several values or on secrets is the loader's.
"""

from __future__ import annotations

from typing import Any

from arriero.catalog import catalog
from arriero.spec.model import Spec

ID = "arriero.schema.json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """The whole schema (draft 2020-12), with each cloud's regions as they are in the catalog."""
    whole = Spec.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
    definitions = whole.pop("$defs")
    model = definitions["Model"]
    definitions["Model"] = {
        "description": model["description"],
        "anyOf": [model["properties"]["name"], {**model, "description": "A model with its source."}],
    }
    steps = definitions["Strategy"]
    definitions["Strategy"] = {
        "description": steps["description"],
        "anyOf": [{"const": "rolling"}, {**steps, "description": "A canary.", "required": ["canary"]}],
    }
    image = definitions["Image"]
    definitions["Image"] = {
        "description": image["description"],
        "anyOf": [image["properties"]["name"], {**image, "description": "The image, how it is built and where kept."}],
    }
    gpu = definitions["Gpu"]
    definitions["Gpu"] = {
        "description": gpu["description"],
        "anyOf": [gpu["properties"]["type"], {**gpu, "description": "The GPU, and how many."}],
    }
    network = definitions["Network"]
    definitions["Network"] = {
        "description": network["description"],
        "anyOf": [{"enum": ["private", "public"]}, {**network, "description": "The network, key by key."}],
    }
    definitions["Site"]["allOf"] = [_site_rule(cloud) for cloud in ("aws", "azure", "local")]
    tidied: dict[str, Any] = _tidied(
        {"$schema": DIALECT, "$id": ID, **whole, "title": "arriero.yaml", "$defs": definitions}
    )
    return tidied


def _site_rule(cloud: str) -> dict[str, Any]:
    """What a site of that cloud must say, and may not."""
    rule: dict[str, Any] = {"required": ["region"], "properties": {"region": {"enum": list(catalog.regions(cloud))}}}
    if cloud == "local":
        some = [{"required": ["hosts"]}, {"required": ["adopt"]}]
        rule = {"anyOf": some, "properties": {"region": False, "gpu": False, "hosts": {"minItems": 1}}}
    else:
        rule["properties"] |= {"hosts": False, "adopt": False}
    return {"if": {"properties": {"cloud": {"const": cloud}}, "required": ["cloud"]}, "then": rule}


def _tidied(node: Any) -> Any:
    """Without the titles that pydantic gives every key (its own name), and strict about names with a pattern."""
    if isinstance(node, list):
        return [_tidied(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: value for key, value in node.items() if key != "title" or "$id" in node or isinstance(value, dict)}
    if "patternProperties" in kept:
        kept["additionalProperties"] = False
    return {key: _tidied(value) for key, value in kept.items()}
