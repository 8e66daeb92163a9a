"""The record of one run: an event a line, on the disk before anybody else hears of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from arriero.events import Event, Json, Listener


@contextmanager
def opened(path: Path, listener: Listener) -> Iterator[Listener]:
    """A listener that writes each event to `path` and then hands it on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(event: Event) -> None:
        os.write(descriptor, json.dumps(event.as_json()).encode() + b"\n")
        os.fsync(descriptor)
        listener(event)

    try:
        yield note
    finally:
        os.close(descriptor)


def read(path: Path) -> list[Json]:
    """The entries of a journal; a last line that a crash cut short is left out."""
    whole = path.read_bytes().rpartition(b"\n")[0]
    return [json.loads(line) for line in whole.splitlines()]
