"""Recorded traffic: when each request came, and how many tokens it brought and got."""

from __future__ import annotations

import csv
import gzip
import io
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from pathlib import Path

from arriero.errors import ArrieroError, Problem

COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
PROBLEMS_SHOWN = 10
SHIPPED = ("azure-2023-code", "azure-2023-conversation")


@dataclass(frozen=True, slots=True)
class Trace:
    """Requests in order: seconds since the first, tokens of the question, tokens of the answer."""

    name: str
    at: array[float]
    prompt: array[int]
    answer: array[int]

    @property
    def seconds(self) -> float:
        """From the first request to one mean gap after the last, so that it can be played again at once."""
        return self.at[-1] * len(self.at) / (len(self.at) - 1)

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.at) / self.seconds


def read(name: str, folder: Path) -> Trace:
    """One of `SHIPPED`, or a CSV file with the columns `COLUMNS`, gzipped or not; raises ArrieroError."""
    if name in SHIPPED:
        return _shipped(name)
    path = folder / name
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        remedy = f"name a CSV file, or one of {', '.join(SHIPPED)}"
        raise ArrieroError(Problem(f"the trace can't be read: {error}", remedy, file=str(path))) from None
    return parse(text, str(path))


def parse(text: str, name: str) -> Trace:
    """Raises ArrieroError with the first lines that are wrong."""
    rows = csv.DictReader(io.StringIO(text))
    missing = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
    if missing:
        remedy = f"its first line has to be {','.join(COLUMNS)}"
        raise ArrieroError(Problem(f"the trace has no column {', '.join(missing)}", remedy, file=name, line=1))
    found: list[tuple[float, int, int]] = []
    problems: list[Problem] = []
    for line, row in enumerate(rows, 2):
        try:
            found.append(_request(row))
        except (ValueError, TypeError) as error:
            problems.append(Problem(f"is not a request of a trace: {error}", "correct or remove it", "", name, line))
    if not problems and len(found) < 2:
        problems.append(Problem("the trace has fewer than two requests", "name a longer one", file=name))
    if problems:
        raise ArrieroError(problems[:PROBLEMS_SHOWN])
    return _sorted(name, found)


@cache
def _shipped(name: str) -> Trace:
    raw = resources.files("arriero.simulate").joinpath(f"data/{name}.csv.gz").read_bytes()
    return parse(gzip.decompress(raw).decode(), name)


def _request(row: dict[str, str]) -> tuple[float, int, int]:
    # Seven digits of a second are one more than datetime reads.
    at = datetime.fromisoformat(row["TIMESTAMP"][:26]).timestamp()
    prompt, answer = int(row["ContextTokens"]), int(row["GeneratedTokens"])
    if prompt < 0 or answer < 0:
        raise ValueError("tokens below zero")
    return at, prompt, answer


def _sorted(name: str, found: Iterable[tuple[float, int, int]]) -> Trace:
    rows = sorted(found)
    first = rows[0][0]
    if rows[-1][0] == first:
        raise ArrieroError(Problem("all requests of the trace came at once", "name a longer one", file=name))
    at, prompt, answer = zip(*rows, strict=True)
    return Trace(name, array("d", (each - first for each in at)), array("l", prompt), array("l", answer))
