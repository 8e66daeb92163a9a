"""YAML text to a tree in which every value knows its line; only mappings, lists and plain values of YAML are read.

ruamel.yaml's parser gives a stream of events (no recursion), and the tree is built here with a stack of our own, so
that neither depth nor aliases can blow up. Values are resolved as in YAML 1.2's core schema: `on` and `yes` are text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from arriero.errors import Problem, SpecError

MAX_BYTES = 64 * 1024
MAX_DEPTH = 16

Origin = Literal["default", "file", "overlay"]
KeyPath = tuple[str | int, ...]

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_INT = re.compile(r"[-+]?[0-9]{1,18}|0o[0-7]{1,18}|0x[0-9a-fA-F]{1,15}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,18}|[0-9]{1,18}(\.[0-9]{0,18})?)([eE][-+]?[0-9]{1,3})?")
_WORDS: dict[str, bool | None] = dict.fromkeys(["", "~", "null", "Null", "NULL"])
_WORDS |= dict.fromkeys(["true", "True", "TRUE"], True) | dict.fromkeys(["false", "False", "FALSE"], False)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written."""

    file: str
    line: int
    source: Origin


@dataclass(frozen=True, slots=True)
class Scalar:
    place: Place
    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Items:
    place: Place
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping; an entry's place is its key's line."""

    place: Place
    entries: dict[str, Node]


Node = Scalar | Items | Table


def dotted(path: KeyPath) -> str:
    """`('sites', 'office', 'hosts', 0)` as people read it: `sites.office.hosts[0]`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")


def read(path: Path, file: str, source: Origin, problems: list[Problem]) -> Table:
    """The file's tree. Adds what can be read past to `problems`; raises SpecError for what can't."""
    text = _text(path, file)
    builder = _Builder(file, source, problems)
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            builder.take(event)
    except YAMLError as error:
        raise SpecError([*problems, _syntax_problem(error, text, file)]) from None
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        # ruamel's scanner has been seen to fail so on garbage; for the user that is a syntax error like any other.
        problem = Problem("is not valid YAML", "look for a stray character", file=file, line=builder.line)
        raise SpecError([*problems, problem]) from error
    return builder.table()


def _text(path: Path, file: str) -> str:
    """The text of a file that can be a spec at all."""
    try:
        data = _bytes(path)
    except IsADirectoryError:
        raise SpecError(Problem("is a folder", "name the file in it: arriero.yaml", file=file)) from None
    except FileNotFoundError:
        raise SpecError(Problem("there is no such file", "make one with: arriero init", file=file)) from None
    except OSError as error:
        what = f"can't be read: {error.strerror or error}"
        raise SpecError(Problem(what, "check its permissions", file=file)) from None
    if len(data) > MAX_BYTES:
        raise SpecError(Problem(f"is larger than {MAX_BYTES // 1024} KiB", "a spec is one short file", file=file))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"is not UTF-8: the byte 0x{data[error.start]:02x}"
        raise SpecError(Problem(what, "save the file as UTF-8", file=file, line=line)) from None
    if control := _CONTROL.search(text):
        line = text.count("\n", 0, control.start()) + 1
        what = f"holds the character U+{ord(control[0]):04X}, which no text has"
        raise SpecError(Problem(what, "remove it", file=file, line=line))
    return text


def _bytes(path: Path) -> bytes:
    # One byte more than allowed is read, so that a device or a huge file is noticed and not swallowed.
    with path.open("rb") as stream:
        return stream.read(MAX_BYTES + 1)


def _syntax_problem(error: YAMLError, text: str, file: str) -> Problem:
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        return Problem("is not valid YAML", "look for a stray character", file=file)
    lines = text.splitlines() or [""]
    line = min(error.problem_mark.line + 1, len(lines))
    if re.match(r" *\t", lines[line - 1]):
        return Problem("the line is indented with a tab", "indent with spaces", file=file, line=line)
    what = " ".join(str(error.problem or "").split())[:160]
    remedy = "check indentation, quotes and brackets here and above"
    return Problem(f"is not valid YAML: {what}", remedy, file=file, line=line)


@dataclass(slots=True)
class _Frame:
    """A mapping or a list that isn't finished. `key` is what the next value of a mapping belongs to."""

    path: KeyPath
    place: Place
    is_table: bool
    entries: dict[str, Node] = field(default_factory=dict)
    items: list[Node] = field(default_factory=list)
    key: str | None = None
    key_place: Place | None = None
    is_duplicate: bool = False

    def finished(self) -> Node:
        return Table(self.place, self.entries) if self.is_table else Items(self.place, tuple(self.items))


class _Builder:
    """Takes the parser's events one by one and builds the tree."""

    def __init__(self, file: str, source: Origin, problems: list[Problem]) -> None:
        self.line = 1
        self._file, self._source, self._problems = file, source, problems
        self._stack: list[_Frame] = []
        self._root: Node | None = None
        self._documents = 0

    def take(self, event: Any) -> None:
        self.line = event.start_mark.line + 1
        name = type(event).__name__
        if name == "DocumentStartEvent":
            self._begin_document(event)
        elif name in ("MappingStartEvent", "SequenceStartEvent"):
            self._open(event, is_table=name == "MappingStartEvent")
        elif name in ("MappingEndEvent", "SequenceEndEvent"):
            frame = self._stack.pop()
            self._add(frame.finished())
        elif name == "ScalarEvent":
            self._scalar(event)
        elif name == "AliasEvent":
            self._refuse(f"*{event.anchor} is a YAML alias", "write the value out")
            self._add(None)

    def table(self) -> Table:
        """The whole tree; raises SpecError if it is no mapping."""
        if isinstance(self._root, Table):
            return self._root
        if self._root is None or (isinstance(self._root, Scalar) and self._root.value is None):
            problem = Problem("is empty", "begin with: arriero init", file=self._file)
        else:
            what = "is a list" if isinstance(self._root, Items) else "is a single value"
            problem = Problem(what, "begin with keys, like name: llm", file=self._file, line=self._root.place.line)
        raise SpecError([*self._problems, problem])

    def _begin_document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            self._stop("another document begins here", "keep one document, without ---")
        if event.version or event.tags:
            self._refuse("is a YAML directive", "remove the line that begins with %", path=())

    def _open(self, event: Any, *, is_table: bool) -> None:
        self._check_decorations(event)
        if len(self._stack) >= MAX_DEPTH:
            self._stop(f"is nested deeper than {MAX_DEPTH} levels", "a spec needs no more than five")
        self._stack.append(_Frame(self._here(), self._place(), is_table))

    def _scalar(self, event: Any) -> None:
        frame = self._stack[-1] if self._stack else None
        if frame and frame.is_table and frame.key is None:
            self._begin_entry(frame, event)
            return
        self._check_decorations(event)
        value = _resolved(event.value) if event.style is None else event.value
        if isinstance(value, str) and (control := _CONTROL.search(value)):
            self._refuse(f"holds the character U+{ord(control[0]):04X}", "remove it")
            self._add(None)
            return
        self._add(Scalar(self._place(), value))

    def _begin_entry(self, frame: _Frame, event: Any) -> None:
        key = event.value
        if not key or _CONTROL.search(key):
            self._stop("a key is empty or not text", "write a key before the colon")
        frame.key, frame.key_place = key, self._place()
        frame.is_duplicate = key in frame.entries
        self._check_decorations(event)
        if frame.is_duplicate:
            first = frame.entries[key].place.line
            self._refuse(f"is here twice, first in line {first}", "keep one of them")

    def _add(self, node: Node | None) -> None:
        """Puts a finished value where it belongs; None leaves a hole for what was refused."""
        if not self._stack:
            self._root = node
            return
        frame = self._stack[-1]
        if not frame.is_table:
            frame.items.extend([node] if node else [])
            return
        if frame.key is None:
            self._stop("a key is a list or a section", "keys are text")
        elif node and not frame.is_duplicate:
            frame.entries[frame.key] = _placed(node, frame.key_place or node.place)
        frame.key = None

    def _check_decorations(self, event: Any) -> None:
        if event.anchor:
            self._refuse(f"&{event.anchor} is a YAML anchor", "remove it and write values out where they are needed")
        if event.tag:
            self._refuse("has a YAML tag, beginning with !", "remove the tag")

    def _refuse(self, what: str, remedy: str, path: KeyPath | None = None) -> None:
        key = dotted(self._here() if path is None else path)
        self._problems.append(Problem(what, remedy, key, self._file, self.line))

    def _stop(self, what: str, remedy: str) -> NoReturn:
        self._refuse(what, remedy)
        raise SpecError(self._problems)

    def _here(self) -> KeyPath:
        if not self._stack:
            return ()
        frame = self._stack[-1]
        if not frame.is_table:
            return (*frame.path, len(frame.items))
        return frame.path if frame.key is None else (*frame.path, frame.key)

    def _place(self) -> Place:
        return Place(self._file, self.line, self._source)


def walk(node: Node, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Node]]:
    """Every node below and including this one, with its path; no deeper than MAX_DEPTH."""
    yield path, node
    if isinstance(node, Table):
        for key, child in node.entries.items():
            yield from walk(child, (*path, key))
    elif isinstance(node, Items):
        for index, child in enumerate(node.items):
            yield from walk(child, (*path, index))


def _placed(node: Node, place: Place) -> Node:
    if isinstance(node, Table):
        return Table(place, node.entries)
    return Items(place, node.items) if isinstance(node, Items) else Scalar(place, node.value)


def _resolved(text: str) -> str | int | float | bool | None:
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
