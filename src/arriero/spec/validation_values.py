"""What the single values of the section `validation` may look like. Each raises ValueError with `what; remedy`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import AfterValidator

from arriero.spec.units import Percent
from arriero.spec.values import kind, shown


def words(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be text, not {kind(value)}; put it in quotes")
    if not value.strip():
        raise ValueError("is empty; write what is meant, or remove the line")
    return value


def pattern(value: object) -> str:
    """A regular expression in Python's dialect."""
    text = words(value)
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{shown(text)} is not a regular expression: {error}; write it in Python's dialect") from None
    return text


def answer_schema(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not value:
        raise ValueError(f"must be a JSON Schema, not {kind(value)}; write it like {{type: object}}")
    return value


def _up_to_whole(value: Percent) -> Percent:
    if not 0 < value <= 1:
        raise ValueError(f"is {value}; it must be more than 0% and at most 100%")
    return value


up_to_whole = AfterValidator(_up_to_whole)
