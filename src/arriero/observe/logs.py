"""The log lines of all sites, merged by time.

Each site is read by its cloud's `logs.py` (`read(ref, since, clock) -> lines since then`); a site that can't be read
says so in a line of its own and hides no other's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Protocol, cast

from arriero.clock import Clock, SystemClock
from arriero.errors import ArrieroError, CloudError, Problem
from arriero.plan.model import Cloud, LogLine, SiteRef
from arriero.spec.units import Duration

FOLLOW_SECONDS = 2.0
LATE = timedelta(seconds=30)  # clouds store lines late: each look goes back this far, and what was shown is left out


class LogsModule(Protocol):
    """What each cloud's `logs.py` offers."""

    def read(self, ref: SiteRef, since: datetime) -> Sequence[LogLine]: ...


def since(text: str, clock: Clock | None = None) -> datetime:
    """The moment that lies `text` (like `10m`) back; raises ArrieroError on other texts."""
    try:
        return (clock or SystemClock()).now() - timedelta(seconds=float(Duration.parse(text)))
    except ValueError as error:
        what, _, remedy = str(error).partition("; ")
        raise ArrieroError(Problem(what, remedy, key="--since")) from None


def lines(
    refs: Sequence[SiteRef], start: datetime, follow: bool, grep: str = "", clock: Clock | None = None
) -> Iterator[LogLine]:
    """All lines from `start` on, in the order of their times within each look; endless with `follow`."""
    clock, shown = clock or SystemClock(), set[LogLine]()
    while True:
        found = [line for line in look(refs, start, clock) if line not in shown]
        shown = {line for line in shown if line.at >= start} | set(found)
        yield from (line for line in found if grep in line.text)
        if not follow:
            return
        start = max(start, clock.now().astimezone(UTC) - LATE)
        clock.sleep(FOLLOW_SECONDS)


def look(refs: Sequence[SiteRef], start: datetime, clock: Clock) -> list[LogLine]:
    """One look at every site, side by side."""
    with ThreadPoolExecutor(max_workers=max(1, len(refs)), thread_name_prefix="logs") as pool:
        parts = list(pool.map(lambda ref: _read_one(ref, start, clock), refs))
    return sorted((line for part in parts for line in part), key=lambda line: (line.at, line.site, line.target))


def _read_one(ref: SiteRef, start: datetime, clock: Clock) -> Sequence[LogLine]:
    try:
        return _module(ref.cloud).read(ref, start)
    except CloudError as error:
        return [LogLine(clock.now(), ref.site, "", f"! {error.problems[0]}")]


def _module(cloud: Cloud) -> LogsModule:
    return cast(LogsModule, import_module(f"arriero.clouds.{cloud}.logs"))


def as_json(line: LogLine) -> Mapping[str, object]:
    return {"schema": 1, "at": line.at.isoformat(), "site": line.site, "target": line.target, "text": line.text}
