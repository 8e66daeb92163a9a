"""Request bodies judged by Microsoft's own schemas (folder `schemas/`, its README names source and licence)."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft4Validator, ValidationError
from jsonschema.validators import extend
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

from arriero.rehearse.azure.answers import ArmError, Document

_COMMON = "https://schema.management.azure.com/schemas/common/definitions.json"
_FOLDER = files("arriero.rehearse.azure") / "schemas"
_LONGEST = 200
# By the reference the words of these are examples, and were to be taken out; which sizes there are, a region tells.
_OPEN = {"Microsoft.Compute.2024-03-01.json": (("HardwareProfile", "vmSize"),)}


def known_types() -> Mapping[str, str]:
    """Every resource type that has a schema: lower case -> as it is spelt."""
    return {key: entry["type"] for key, entry in _index().items()}


def versions(resource_type: str) -> tuple[str, ...]:
    """The API versions for which there is a schema, newest first."""
    return tuple(sorted(_index().get(resource_type.lower(), {}).get("versions", ()), reverse=True))


def judging_version(resource_type: str, api_version: str) -> str | None:
    """The version whose schema judges: that one, else the next newer, else the newest; None if the type has none."""
    known = versions(resource_type)
    newer = [version for version in reversed(known) if version >= api_version]
    return newer[0] if newer else (known[0] if known else None)


def check(resource_type: str, api_version: str, names: tuple[str, ...], body: Document) -> None:
    """Raises InvalidRequestContent naming the first wrong member; a type without a schema passes unjudged."""
    version = judging_version(resource_type, api_version)
    if version is None:
        return
    validator, spelt = _validator(resource_type.lower(), version)
    # The SDKs leave out properties that hold nothing; the schemas, made for templates, require them.
    whole = {"properties": {}, **body, "name": _judged(validator, names), "type": spelt, "apiVersion": version}
    problems = sorted(validator.iter_errors(whole), key=lambda problem: (len(problem.absolute_path), problem.message))
    if problems:
        raise ArmError(400, "InvalidRequestContent", f"The request content was invalid: {_worded(problems[0])}.")


def _judged(validator: Draft4Validator, names: tuple[str, ...]) -> str:
    """A child's whole name, `registry/westus`; its own alone where the schema's pattern knows no slash."""
    schema: Any = validator.schema
    pattern = schema["properties"].get("name", {}).get("pattern", "/")
    return "/".join(names) if "/" in pattern else names[-1]


def _worded(problem: ValidationError) -> str:
    deepest = problem
    while deepest.context:
        deepest = max(deepest.context, key=lambda inner: len(inner.absolute_path))
    path = deepest.json_path.removeprefix("$").removeprefix(".") or "the body"
    message = deepest.message
    return f"{path}: {message if len(message) <= _LONGEST else message[:_LONGEST] + '…'}"


@cache
def _index() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((_FOLDER / "index.json").read_text())
    return found


@cache
def _file(name: str) -> dict[str, Any]:
    own = _FOLDER / name
    text = own.read_bytes() if own.is_file() else gzip.decompress((_FOLDER / f"{name}.gz").read_bytes())
    found: dict[str, Any] = json.loads(text)
    return found


@cache
def _registry() -> Registry[Any]:
    common: Resource[Any] = DRAFT4.create_resource(_file("common.definitions.json"))
    empty: Registry[Any] = Registry()
    whole: Registry[Any] = empty.with_resource(_COMMON, common)
    return whole


@cache
def _rest_schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = _without_expressions(_file(name))
    for definition, member in _OPEN.get(name, ()):
        found["definitions"][definition]["properties"][member] = {"type": "string"}
    return found


@cache
def _validator(key: str, version: str) -> tuple[Draft4Validator, str]:
    entry = _index()[key]
    name, section, definition = entry["versions"][version]
    schema = _rest_schema(name)
    root = {**schema, **schema[section][definition]}
    del root["id"]  # else references would be looked up on the network
    return _Folded(root, registry=_registry()), entry["type"]


def _without_expressions(schema: Any) -> Any:
    """Drops the alternative "[template expression]", which has no place in a REST call, and each choice of one."""
    if isinstance(schema, list):
        return [_without_expressions(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "oneOf" in schema and isinstance(schema.get("additionalProperties"), dict):
        # Made for what no alternative names; in a schema of its own it would judge what they name, too.
        schema = {key: value for key, value in schema.items() if key != "additionalProperties"}
    if isinstance(parts := schema.get("allOf"), list) and any("oneOf" in part for part in parts):
        # The common part of several kinds was closed, and would judge what only one of them has.
        opened = [{k: v for k, v in part.items() if k != "additionalProperties"} for part in parts]
        schema = {**schema, "allOf": opened}
    if isinstance(choices := schema.get("oneOf"), list):
        left = [choice for choice in choices if "definitions/expression" not in choice.get("$ref", "")]
        if len(left) == 1 and len(choices) > 1:
            rest = {key: value for key, value in schema.items() if key not in ("oneOf", "description")}
            schema = {**rest, **left[0]}
        else:
            schema = {**schema, "oneOf": left}
    return {key: _without_expressions(value) for key, value in schema.items()}


def _folded_enum(_: Any, values: list[Any], found: Any, __: Any) -> Iterator[ValidationError]:
    """Resource Manager does not mind the case of enumerated values."""
    if str(found).lower() not in [str(value).lower() for value in values]:
        yield ValidationError(f"{found!r} is not one of {values}")


def _is_number(_: Any, found: Any) -> bool:
    """The schemas were made with "integer" where the API takes a fraction (cpu: 0.5); which is which, they lost."""
    return isinstance(found, int | float) and not isinstance(found, bool)


_Folded: type[Draft4Validator] = extend(  # type: ignore[no-untyped-call]
    Draft4Validator,
    {"enum": _folded_enum},
    type_checker=Draft4Validator.TYPE_CHECKER.redefine("integer", _is_number),
)
