"""The lines of gateways' logs in a time, one after another: a month may be gigabytes, so none are kept."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, cast

from arriero.errors import ArrieroError, Problem

# Every line of a gateway begins so, in UTC: what is too old is left out before it is understood.
_START = b'{"at": "'
_MOMENT_LENGTH = len("2026-01-01T00:00:00")


@dataclass(frozen=True, slots=True)
class Event:
    """One line: `at` in seconds since 1970, `kind` is its `event`."""

    at: float
    kind: str
    data: Mapping[str, Any]


def read(paths: Sequence[Path], start: datetime, end: datetime) -> Iterator[Event]:
    """In the order of the files and their lines. A file ending in `.gz` is unpacked; a line that is none of a gateway's
    is left out. Raises ArrieroError where a file can't be read.
    """
    for path in paths:
        try:
            with _opened(path) as file:
                yield from _events(file, start, end)
        except (OSError, EOFError) as error:
            problem = Problem(f"cannot be read: {error}", "name another file with --log", file=str(path))
            raise ArrieroError(problem) from None


def _opened(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _events(file: IO[bytes], start: datetime, end: datetime) -> Iterator[Event]:
    first, last = (moment.astimezone(UTC).isoformat()[:_MOMENT_LENGTH].encode() for moment in (start, end))
    low, high = start.timestamp(), end.timestamp()
    at = slice(len(_START), len(_START) + _MOMENT_LENGTH)
    for line in file:
        if not line.startswith(_START) or not first <= line[at] <= last:
            continue
        event = _event(line)
        if event is not None and low <= event.at <= high:
            yield event


def _event(line: bytes) -> Event | None:
    try:
        data = json.loads(line)
        return Event(datetime.fromisoformat(data["at"]).timestamp(), str(data["event"]), data)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
