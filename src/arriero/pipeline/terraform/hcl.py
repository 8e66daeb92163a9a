"""Terraform's language, laid out as `terraform fmt` does it: two spaces, and the `=` of neighbouring lines in a column.

Only what a module of resources needs is here. A library that writes HCL (python-hcl2) was tried: it keeps neither the
columns nor comments (`docs/decisions/0009-terraform-is-written-from-the-plan.md`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

WIDTH = 110
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Raw:
    """An expression as it stands: `aws_vpc.east.id`."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function of one value: `jsonencode([…])`."""

    function: str
    value: Expression


@dataclass(frozen=True, slots=True)
class Blocks:
    """Nested blocks of one name: one for each body."""

    bodies: tuple[Body, ...]


Expression = str | int | float | bool | Raw | Call | Sequence["Expression"] | Mapping[str, "Expression"]
Body = Mapping[str, Expression | Blocks]


@dataclass(frozen=True, slots=True)
class Block:
    """A block at the top of a file, with what is said about it: `resource "aws_vpc" "east" { … }`."""

    kind: str
    labels: tuple[str, ...] = ()
    body: Body = field(default_factory=dict)
    comment: str = ""


def text(blocks: Iterable[Block | str]) -> str:
    """A whole file; a text among the blocks becomes a comment by itself."""
    return "\n".join(f"{_comment(each)}" if isinstance(each, str) else _block(each) for each in blocks)


def identifier(name: str) -> str:
    """A name of ours, which begins with a letter, as Terraform takes it: `aws-east` -> `aws_east`."""
    return re.sub(r"[^A-Za-z0-9_]", "_", name)


def quoted(value: str) -> str:
    """As JSON, which HCL's quoting contains, with what begins a template escaped."""
    return json.dumps(value, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")


def _block(block: Block) -> str:
    head = " ".join([block.kind, *map(quoted, block.labels)])
    lines = _body(block.body)
    inside = "\n".join(_indented(lines))
    return f"{_comment(block.comment)}{head} {{\n{inside}\n}}\n" if lines else f"{_comment(block.comment)}{head} {{}}\n"


def _comment(said: str) -> str:
    return "".join(f"# {line}".rstrip() + "\n" for line in said.splitlines())


def _body(body: Body) -> list[str]:
    """Arguments first, nested blocks after an empty line each."""
    lines = _aligned({name: value for name, value in body.items() if not isinstance(value, Blocks)})
    for name, value in body.items():
        for inner in value.bodies if isinstance(value, Blocks) else ():
            lines += [""] if lines else []
            content = _body(inner)
            lines += [f"{name} {{", *_indented(content), "}"] if content else [f"{name} {{}}"]
    return lines


def _aligned(values: Mapping[str, Expression], quote_keys: bool = False) -> list[str]:
    """`key = value` lines. A value of several lines stands for itself: the column begins anew after it."""
    lines: list[str] = []
    column: list[tuple[str, str]] = []
    for name, value in values.items():
        key, written = quoted(name) if quote_keys and not _IDENTIFIER.fullmatch(name) else name, _expression(value)
        if len(written) == 1:
            column.append((key, written[0]))
            continue
        lines += [*_column(column), f"{key} = {written[0]}", *written[1:]]
        column = []
    return [*lines, *_column(column)]


def _column(rows: Sequence[tuple[str, str]]) -> list[str]:
    width = max((len(key) for key, _ in rows), default=0)
    return [f"{key:<{width}} = {value}" for key, value in rows]


def _expression(value: Expression) -> list[str]:
    if isinstance(value, Raw):
        return [value.text]
    if isinstance(value, Call):
        first, *rest = _expression(value.value)
        return [f"{value.function}({first}", *rest[:-1], f"{rest[-1]})"] if rest else [f"{value.function}({first})"]
    if isinstance(value, str):
        return [quoted(value)]
    if isinstance(value, bool | int | float):
        return [json.dumps(value)]
    return _object(value) if isinstance(value, Mapping) else _list(value)


def _object(value: Mapping[str, Expression]) -> list[str]:
    return ["{", *_indented(_aligned(value, quote_keys=True)), "}"] if value else ["{}"]


def _list(values: Sequence[Expression]) -> list[str]:
    """On one line where it is short and plain, else an item a line."""
    items = [_expression(value) for value in values]
    flat = "[" + ", ".join(item[0] for item in items) + "]"
    if all(len(item) == 1 for item in items) and len(flat) <= WIDTH:
        return [flat]
    lines = [line for item in items for line in (*item[:-1], f"{item[-1]},")]
    return ["[", *_indented(lines), "]"]


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" if line else "" for line in lines]
