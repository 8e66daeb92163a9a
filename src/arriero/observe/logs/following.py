"""Looks once, or follows: all sources side by side, one stream of lines out.

Who runs while lines are followed: a thread a site, which reads its store every STORE_SECONDS and looks which targets
there are; a thread a target, which hears its sidecar; one that reads the gateway's file. They put lines into one
bounded queue, and wait when it is full; the caller's thread takes them out, merges and yields. A site or a target that
is lost ends nothing: its thread tries again, and what it could not tell is in the store. All are daemons: they end with
the process, or when what the caller handed in says that it is over.
"""

from __future__ import annotations

import contextlib
import http.client
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from arriero.clock import Clock, SystemClock
from arriero.clouds.read import facts_of
from arriero.errors import ArrieroError, CloudError, Problem
from arriero.observe.logs import sources
from arriero.observe.logs.entry import NO_SITE, Entry, Shown
from arriero.observe.logs.merging import Merger, Seen
from arriero.observe.logs.requests import Requests
from arriero.plan.model import SiteRef, TargetFacts
from arriero.spec.units import Duration

STORE_SECONDS = 2.0
# A store's line is seen at its next look: so long others wait for it.
HOLD = timedelta(seconds=2.5)
# Clouds store lines late: each look goes back this far behind the one before it.
BACK = timedelta(seconds=60)
FILE_SECONDS = 0.2
AGAIN_SECONDS = 1.0
PLAIN_SECONDS = 15.0
SHOW_SECONDS = 0.1
# Whether it is over is looked at so often.
LOOK_SECONDS = 0.2
QUEUE_LIMIT = 50_000


def since(text: str, clock: Clock | None = None) -> datetime:
    """The moment that lies `text` (like `10m`) back; raises ArrieroError on other texts."""
    try:
        return (clock or SystemClock()).now() - timedelta(seconds=float(Duration.parse(text)))
    except ValueError as error:
        what, _, remedy = str(error).partition("; ")
        raise ArrieroError(Problem(what, remedy, key="--since")) from None


def lines(
    refs: Sequence[SiteRef],
    start: datetime,
    follow: bool,
    grep: str = "",
    gateway: Path | None = None,
    is_whole: bool = True,
) -> Iterator[Shown]:
    """All lines of these sites from `start` on that hold `grep`, or whose request's id does; endless with `follow`.

    `gateway` is the log of this machine's gateway. Its lines belong to the sites that answered; those that belong to
    none are left out where the sites are not the whole service.
    """
    found = _followed(refs, start, gateway, never, Seen()) if follow else _looked(refs, start, gateway)
    for shown in _of_sites(found, refs, start, is_whole):
        if grep in shown.entry.text or grep in shown.entry.request:
            yield shown


def followed(
    refs: Sequence[SiteRef], start: datetime, gateway: Path | None, seen: Seen, is_over: Callable[[], bool]
) -> Iterator[Shown]:
    """All lines of the service from `start` on, but for those that were `seen`, until `is_over`.

    Once it ends, no cloud is read any more.
    """
    yield from _of_sites(_followed(refs, start, gateway, is_over, seen), refs, start, is_whole=True)


def never() -> bool:
    return False


def _of_sites(found: Iterator[Shown], refs: Sequence[SiteRef], start: datetime, is_whole: bool) -> Iterator[Shown]:
    sites = {ref.site for ref in refs} | ({NO_SITE} if is_whole else set())
    return (shown for shown in found if shown.entry.site in sites and shown.entry.at >= start)


def _looked(refs: Sequence[SiteRef], start: datetime, gateway: Path | None) -> Iterator[Shown]:
    now = SystemClock().now()
    with ThreadPoolExecutor(max_workers=max(1, len(refs)), thread_name_prefix="logs") as pool:
        parts = list(pool.map(lambda ref: _look(ref, start, now), refs))
    found = (*(sources.GatewayFile(gateway).fresh() if gateway else ()), *(one for part in parts for one in part))
    # All lines wait for the last one here, so that no id may be forgotten before.
    seen, merger = Seen(), Merger(HOLD, Requests(len(found)))
    for entry in found:
        if seen.is_new(entry):
            merger.put(entry, max(now, entry.at))
    yield from merger.rest()


def _look(ref: SiteRef, start: datetime, now: datetime) -> list[Entry]:
    """A site's store and its sidecars."""
    try:
        found = sources.stored(ref, start)
        targets = facts_of(ref.cloud).read_targets(ref)
    except CloudError as error:
        return [sources.failure(ref, error, now)]
    addressed = [target for target in targets if target.address]
    with ThreadPoolExecutor(max_workers=max(1, min(16, len(addressed)))) as pool:
        return found + [entry for part in pool.map(sources.kept, addressed) for entry in part]


def _followed(
    refs: Sequence[SiteRef], start: datetime, gateway: Path | None, is_over: Callable[[], bool], seen: Seen
) -> Iterator[Shown]:
    inbox: queue.Queue[Entry] = queue.Queue(QUEUE_LIMIT)
    clock = SystemClock()
    readers = [SiteReader(ref, start, inbox, clock, is_over) for ref in refs]
    running = [_run(f"store of {reader.ref.site}", reader.run) for reader in readers]
    if gateway is not None:
        _run("gateway's log", lambda: _read_file(sources.GatewayFile(gateway), inbox, clock, is_over))
    yield from merged(inbox, clock, is_over, seen)
    for thread in running:
        thread.join()


def merged(
    inbox: queue.Queue[Entry], clock: Clock, is_over: Callable[[], bool] = never, seen: Seen | None = None
) -> Iterator[Shown]:
    """What comes out of the queue, in order, each line once and none that was `seen`; until `is_over` and the queue is
    empty.
    """
    seen, merger = Seen() if seen is None else seen, Merger(HOLD)
    forget_at = clock.now() + BACK
    while True:
        is_last = is_over()
        for entry in _taken(inbox):
            if seen.is_new(entry):
                merger.put(entry, clock.now())
        now = clock.now()
        yield from merger.rest() if is_last else merger.ready(now)
        if is_last:
            return
        if now >= forget_at:
            seen.forget(now - 3 * BACK)
            forget_at = now + BACK


def _taken(inbox: queue.Queue[Entry]) -> Iterator[Entry]:
    """What is there now, at most a queue full; waits a moment when there is nothing."""
    try:
        yield inbox.get(timeout=SHOW_SECONDS)
        for _ in range(QUEUE_LIMIT):
            yield inbox.get_nowait()
    except queue.Empty:
        return


def _read_file(file: sources.GatewayFile, inbox: queue.Queue[Entry], clock: Clock, is_over: Callable[[], bool]) -> None:
    while not is_over():
        for entry in file.fresh():
            _put(inbox, entry, is_over)
        clock.sleep(FILE_SECONDS)


def _put(inbox: queue.Queue[Entry], entry: Entry, is_over: Callable[[], bool]) -> None:
    """Waits while the queue is full; not when it is over, as nobody takes anything out any more."""
    while not is_over():
        with contextlib.suppress(queue.Full):
            inbox.put(entry, timeout=LOOK_SECONDS)
            return


@dataclass
class SiteReader:
    """One site's thread, and those of its targets."""

    ref: SiteRef
    start: datetime
    inbox: queue.Queue[Entry]
    clock: Clock
    is_over: Callable[[], bool] = never
    _heard: dict[str, TargetFacts] = field(default_factory=dict)
    _is_lost: bool = False

    def run(self) -> None:
        """Until it is over. That the site can't be read is said once, until it can be again."""
        while not self.is_over():
            now = self.clock.now().astimezone(UTC)
            try:
                self.hear(facts_of(self.ref.cloud).read_targets(self.ref))
                for entry in sources.stored(self.ref, self.start):
                    _put(self.inbox, entry, self.is_over)
                self._is_lost, self.start = False, max(self.start, now - BACK)
            except CloudError as error:
                if not self._is_lost:
                    self._is_lost = True
                    _put(self.inbox, sources.failure(self.ref, error, now), self.is_over)
            self._pause(STORE_SECONDS)

    def hear(self, targets: Sequence[TargetFacts]) -> None:
        """A thread for each target that is new, or has another address."""
        known, self._heard = self._heard, {target.id: target for target in targets if target.address}
        for name, target in self._heard.items():
            if name not in known or known[name].address != target.address:
                _run(f"lines of {name}", partial(self._follow, target))

    def _follow(self, target: TargetFacts) -> None:
        """Until the site has this target no more."""
        while not self.is_over() and (now := self._heard.get(target.id)) and now.address == target.address:
            wait = AGAIN_SECONDS
            try:
                for entry in sources.followed(target):
                    if entry is not None:
                        _put(self.inbox, entry, self.is_over)
                    if self.is_over():
                        return
            except sources.NoLines:
                wait = PLAIN_SECONDS
            except (OSError, http.client.HTTPException):
                pass  # Its store has what it says meanwhile.
            self._pause(wait)

    def _pause(self, seconds: float) -> None:
        end = self.clock.monotonic() + seconds
        while not self.is_over() and (left := end - self.clock.monotonic()) > 0:
            self.clock.sleep(min(left, LOOK_SECONDS))


def _run(name: str, work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread
