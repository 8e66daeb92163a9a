"""The questions in KQL that the emulated Log Analytics answers: those that Arriero writes, and no others. Pure.

A table, then one operator a line: https://learn.microsoft.com/kusto/query/. `startswith` and `contains` know no case,
`==` does. What is not understood is refused, in words that are the stage's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from arriero.rehearse.azure.answers import ArmError, Document

TABLE = "ContainerInstanceLog_CL"
COLUMNS: Mapping[str, str] = {
    "TimeGenerated": "datetime",
    "ContainerGroup_s": "string",
    "ContainerName_s": "string",
    "ContainerImage_s": "string",
    "Location_s": "string",
    "OSType_s": "string",
    "Message": "string",
}
_WHERE_TIME = re.compile(r"where TimeGenerated (>=|>|<|<=) datetime\(([^)]+)\)")
_WHERE_TEXT = re.compile(r'where (\w+) (==|startswith|contains) "((?:[^"\\]|\\.)*)"')
_ORDER = re.compile(r"order by TimeGenerated (asc|desc)")
_TAKE = re.compile(r"take (\d+)")
_PROJECT = re.compile(r"project (\w+(?:, \w+)*)")
_TIMES: Mapping[str, Callable[[datetime, datetime], bool]] = {
    ">=": lambda one, other: one >= other,
    ">": lambda one, other: one > other,
    "<=": lambda one, other: one <= other,
    "<": lambda one, other: one < other,
}
_TEXTS: Mapping[str, Callable[[str, str], bool]] = {
    "==": lambda one, other: one == other,
    "startswith": lambda one, other: one.lower().startswith(other.lower()),
    "contains": lambda one, other: other.lower() in one.lower(),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a container: when it was written, and its columns beside that."""

    at: datetime
    values: Mapping[str, str]

    def column(self, name: str) -> str:
        return self.at.isoformat().replace("+00:00", "Z") if name == "TimeGenerated" else self.values.get(name, "")


def answer(query: str, rows: Sequence[Row]) -> Document:
    """What `POST /v1/workspaces/…/query` answers. Raises ArmError for a table that no line has come to yet, and for
    what is not understood.
    """
    columns, left = _answered(query, rows)
    if not rows:
        raise ArmError(
            400, "BadArgumentError", f"'where' operator: Failed to resolve table or column expression named '{TABLE}'"
        )
    shown = [{"name": name, "type": COLUMNS[name]} for name in columns]
    values = [[row.column(name) for name in columns] for row in left]
    return {"tables": [{"name": "PrimaryResult", "columns": shown, "rows": values}]}


def found(query: str, rows: Sequence[Row]) -> list[Row]:
    """The lines that it leaves, none where there is no table yet. Raises ArmError for what is not understood."""
    return _answered(query, rows)[1]


def _answered(query: str, rows: Sequence[Row]) -> tuple[tuple[str, ...], list[Row]]:
    table, *operators = [part.strip() for part in re.split(r"\n\s*\|", query.strip())]
    if table != TABLE:
        raise _unknown(table)
    columns, left = tuple(COLUMNS), list(rows)
    for operator in operators:
        columns, left = _applied(operator, columns, left)
    return columns, left


def _applied(operator: str, columns: tuple[str, ...], rows: list[Row]) -> tuple[tuple[str, ...], list[Row]]:
    if match := _WHERE_TIME.fullmatch(operator):
        moment = _moment(match[2])
        return columns, [row for row in rows if _TIMES[match[1]](row.at, moment)]
    if (match := _WHERE_TEXT.fullmatch(operator)) and match[1] in columns:
        told = re.sub(r"\\(.)", r"\1", match[3])
        name, is_so = match[1], _TEXTS[match[2]]
        return columns, [row for row in rows if is_so(row.column(name), told)]
    if match := _ORDER.fullmatch(operator):
        return columns, sorted(rows, key=lambda row: row.at, reverse=match[1] == "desc")
    if match := _TAKE.fullmatch(operator):
        return columns, rows[: int(match[1])]
    if (match := _PROJECT.fullmatch(operator)) and set(wanted := tuple(match[1].split(", "))) <= set(columns):
        return wanted, rows
    raise _unknown(operator)


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise _unknown(f"datetime({text})") from error


def _unknown(what: str) -> ArmError:
    return ArmError(400, "BadArgumentError", f"The stage's Log Analytics does not understand '{what[:120]}'.")
