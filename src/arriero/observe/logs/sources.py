"""Where lines come from: a cloud's store, a sidecar that is asked, the file of this machine's gateway."""

from __future__ import annotations

import contextlib
import http.client
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from arriero.errors import CloudError
from arriero.observe.logs.entry import Entry, entry_of, gateway_entry, sidecar_entry
from arriero.plan.model import Cloud, LogLine, SiteRef, TargetFacts

KEPT, FOLLOWED = "/arriero/lines", "/arriero/lines/follow"
CONNECT_SECONDS = 2.0
# Five times what a sidecar lets pass without a word.
SILENCE_SECONDS = 10.0
READ_BYTES = 4 * 2**20


class LogsModule(Protocol):
    """What each cloud's `logs.py` offers."""

    def read(self, ref: SiteRef, since: datetime) -> Sequence[LogLine]: ...


class NoLines(Exception):
    """A target answers, and has no lines to tell: no sidecar, or one that tells them to others only."""


def stored(ref: SiteRef, since: datetime) -> list[Entry]:
    """What the site's cloud has kept since then. Raises CloudError."""
    lines = cast(LogsModule, _module(ref.cloud)).read(ref, since)
    alike: Counter[LogLine] = Counter()
    entries = []
    for line in lines:
        entries.append(entry_of(line, alike[line]))
        alike[line] += 1
    return entries


def _module(cloud: Cloud) -> object:
    return import_module(f"arriero.clouds.{cloud}.logs")


def kept(target: TargetFacts) -> list[Entry]:
    """What the target's sidecar still knows; nothing where it can't be asked, as its store has the same lines."""
    with contextlib.suppress(OSError, http.client.HTTPException, NoLines):
        return [entry for entry in _told(target, KEPT) if entry is not None]
    return []


def followed(target: TargetFacts) -> Iterator[Entry | None]:
    """What the target's sidecar knows and what it tells from now on; None for a sign of life.

    Endless, until the sidecar ends it. Raises OSError or HTTPException when it can't be heard (any more), NoLines when
    it has nothing to tell.
    """
    return _told(target, FOLLOWED)


def _told(target: TargetFacts, path: str) -> Iterator[Entry | None]:
    host, _, port = target.address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=CONNECT_SECONDS)
    try:
        connection.connect()
        connection.sock.settimeout(SILENCE_SECONDS)
        connection.request("GET", path, headers={"Host": "localhost"})
        response = connection.getresponse()
        if response.status != 200 or response.headers.get_content_type() != "application/x-ndjson":
            raise NoLines
        for raw in response:
            text = raw.decode("utf-8", "replace").rstrip("\n")
            yield sidecar_entry(target.site, target.id, text) if text else None
    finally:
        connection.close()


class GatewayFile:
    """A gateway's log as it grows. It is read from its end backwards no further than READ_BYTES."""

    def __init__(self, path: Path) -> None:
        self._path, self._inode, self._offset, self._rest = path, 0, 0, b""
        self._is_begun = False

    def fresh(self) -> list[Entry]:
        """What was written since the last time; all of it at first, and when the file is another one."""
        try:
            with self._path.open("rb") as file:
                return self._read(file.fileno(), file.seek(0, 2))
        except FileNotFoundError:
            return []

    def _read(self, descriptor: int, size: int) -> list[Entry]:
        inode = os.fstat(descriptor).st_ino
        if inode != self._inode or size < self._offset:
            is_first, self._inode, self._rest = not self._is_begun, inode, b""
            self._offset = max(0, size - READ_BYTES) if is_first else 0
        self._is_begun = True
        data = os.pread(descriptor, size - self._offset, self._offset)
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        entries = (gateway_entry(line.decode("utf-8", "replace")) for line in lines)
        return [entry for entry in entries if entry is not None]


def failure(ref: SiteRef, error: CloudError, at: datetime) -> Entry:
    """Said in a line of its own, so that it hides no other site's lines."""
    return Entry(at, ref.site, "", f"! {error.problems[0]}")
