"""Changes single values in the text of a spec, and leaves every other character as it was: comments, order, layout.

A value that is there is replaced where it stands. One that isn't is put before the first key of its section, in the
section's own layout; sections that aren't there are made. Pure: text to text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML

from arriero.spec.document import KeyPath

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/-]*")


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where a value stands in the text; of a section also its first key's beginning, or its end if it has none."""

    start: int
    end: int
    is_section: bool = False
    is_flow: bool = False
    inside: int = 0
    is_empty: bool = True


def edited(text: str, changes: Mapping[KeyPath, str | int]) -> str:
    """The text with those values. Raises ValueError where a section to write into is no section."""
    for path, value in changes.items():
        text = _set(text, path, _written(value))
    return text


def _set(text: str, path: KeyPath, value: str) -> str:
    spots = dict(_spots(text))
    if found := spots.get(path):
        if found.is_section:
            raise ValueError(f"{path[-1]} is a section")
        return text[: found.start] + value + text[found.end :]
    parent, key = path[:-1], path[-1]
    section = spots.get(parent)
    if section is None:
        if not parent:
            raise ValueError("is empty")
        return _set(text, parent, f"{{{key}: {value}}}")
    if not section.is_section:
        raise ValueError(f"{parent[-1]} is no section")
    return _added(text, section, f"{key}: {value}")


def _added(text: str, section: _Spot, entry: str) -> str:
    """In a section of one line at its end; else in a line of its own, before the first key."""
    if section.is_flow:
        end = section.end - 1
        before = text[:end].rstrip()
        return f"{before}{'' if section.is_empty else ', '}{entry}{text[end:]}"
    at = section.inside
    indent = at - (text.rfind("\n", 0, at) + 1)
    return f"{text[:at]}{entry}\n{' ' * indent}{text[at:]}"


def _written(value: str | int) -> str:
    return str(value) if isinstance(value, int) or _PLAIN.fullmatch(value) else "'" + value.replace("'", "''") + "'"


def _spots(text: str) -> Iterator[tuple[KeyPath, _Spot]]:
    """Of every value but those in lists, which are not edited."""
    stack: list[_Open] = []
    for event in YAML(typ="safe", pure=True).parse(text):
        kind = type(event).__name__
        if kind in ("MappingStartEvent", "SequenceStartEvent"):
            path = stack[-1].take() if stack else ()
            stack.append(_Open(path, kind == "MappingStartEvent", bool(event.flow_style), event.start_mark.index))
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            done = stack.pop()
            if done.path is not None and done.is_mapping:
                end = event.end_mark.index
                yield done.path, _Spot(done.start, end, True, done.is_flow, done.inside or end, done.inside is None)
        elif kind == "ScalarEvent" and stack and stack[-1].is_key_next:
            stack[-1].begin(event)
        elif kind == "ScalarEvent" and stack:
            path = stack[-1].take()
            if path is not None:
                yield path, _Spot(event.start_mark.index, event.end_mark.index)


@dataclass(slots=True)
class _Open:
    """A mapping or list that is being read; `path` is None in lists."""

    path: KeyPath | None
    is_mapping: bool
    is_flow: bool
    start: int
    key: str | None = None
    inside: int | None = None

    @property
    def is_key_next(self) -> bool:
        return self.is_mapping and self.key is None

    def begin(self, event: Any) -> None:
        self.key = event.value
        if self.inside is None:
            self.inside = event.start_mark.index

    def take(self) -> KeyPath | None:
        """The path of the value that comes now."""
        key, self.key = self.key, None
        if self.path is None or key is None:
            return None
        return (*self.path, key)
