"""Keeps the gateway's list of targets true: reads all sites side by side, and tells the gateway what changed.

A site that can't be read keeps the targets it had: a cloud API's outage must not take traffic away. What it had is
known from the last round or, after a restart, from the gateway itself. Each site is read in a thread of its own; a read
that hangs holds up no other site and is not begun a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from arriero.catalog.prices import BUILT_IN, Prices
from arriero.clock import Clock, SystemClock
from arriero.clouds.read import facts_of, refs
from arriero.control.client import GatewayError
from arriero.control.messages import TargetEntry, Targets
from arriero.cost.ranking import hourly_by_site
from arriero.errors import CloudError
from arriero.events import Event, Listener, ignore
from arriero.plan.model import SiteRef, TargetFacts
from arriero.spec.model import Spec

INTERVAL_SECONDS = 2.0
PATIENCE_SECONDS = 10.0

Read = Callable[[], Sequence[TargetFacts]]


class Edge(Protocol):
    """What discovery needs of a gateway's client; both raise GatewayError."""

    def targets(self) -> Targets: ...

    def set_targets(self, targets: Targets) -> None: ...


@dataclass(frozen=True, slots=True)
class SiteReader:
    """One site: how to read its targets (raises CloudError), and what the spec says of each of them."""

    site: str
    read: Read
    role: Literal["active", "standby"] = "active"
    slots: int = 4
    cost: float = 0.0
    is_writable: bool = False


@dataclass
class Discovery:
    """One loop's memory. `look` is one round; it waits `patience_seconds` at most for the slowest site. `wakes` tells
    for which models targets are started when a request waits.
    """

    readers: Sequence[SiteReader]
    clock: Clock
    listener: Listener = ignore
    patience_seconds: float = PATIENCE_SECONDS
    wakes: Callable[[], Sequence[str]] = lambda: ()
    _known: dict[str, tuple[TargetEntry, ...]] = field(default_factory=dict)
    _pending: dict[str, Future[Sequence[TargetFacts]]] = field(default_factory=dict)
    _unread: set[str] = field(default_factory=set)
    _threads: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self._threads = ThreadPoolExecutor(max(1, len(self.readers)), thread_name_prefix="read targets")

    def look(self, edge: Edge) -> bool:
        """Reads every site and sends the gateway the list if it has another one; True if it was sent.

        Raises GatewayError when the gateway can't be reached.
        """
        has = edge.targets()
        self._read_all()
        entries = tuple(entry for reader in self.readers for entry in self._entries(reader, has))
        wanted = Targets(entries, tuple(sorted(self.wakes())))
        if wanted.wakes == has.wakes and _by_id(wanted) == _by_id(has):
            return False
        edge.set_targets(wanted)
        self._tell("targets.changed", text=", ".join(entry.id for entry in wanted.entries) or "none")
        return True

    def close(self) -> None:
        """Lets reads that are under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _read_all(self) -> None:
        for reader in self.readers:
            if reader.site not in self._pending:
                self._pending[reader.site] = self._threads.submit(reader.read)
        done = wait(self._pending.values(), self.patience_seconds).done
        for reader in self.readers:
            if self._pending[reader.site] in done:
                self._take(reader, self._pending.pop(reader.site))

    def _take(self, reader: SiteReader, reading: Future[Sequence[TargetFacts]]) -> None:
        try:
            targets = reading.result()
        except CloudError as error:
            if reader.site not in self._unread:
                self._unread.add(reader.site)
                self._tell("site.unread", reader.site, text=f"{error}; its targets stay in use as they were")
            return
        self._unread.discard(reader.site)
        self._known[reader.site] = entries(reader, targets)

    def _entries(self, reader: SiteReader, has: Targets) -> tuple[TargetEntry, ...]:
        """Those that were read, or that the gateway has of the site: roles may have changed since it was told them."""
        known = self._known.get(reader.site)
        if known is not None:
            return known
        return tuple(replace(entry, role=reader.role) for entry in has.entries if entry.site == reader.site)

    def _tell(self, kind: str, site: str = "", **fields: str) -> None:
        self.listener(Event(kind, self.clock.now(), site, dict(fields)))


def _by_id(targets: Targets) -> list[TargetEntry]:
    return sorted(targets.entries, key=lambda entry: entry.id)


def entries(reader: SiteReader, targets: Sequence[TargetFacts]) -> tuple[TargetEntry, ...]:
    """The entries for a site's targets: those that have an address and have not stopped, by id.

    Whether one that starts answers already is for the gateway's own probes to find out.
    """
    return tuple(
        TargetEntry(
            id=target.id,
            site=target.site,
            address=target.address,
            role=reader.role,
            release=target.release,
            weight=0 if target.state == "draining" else 100,
            slots=reader.slots,
            cost=reader.cost,
            is_writable=reader.is_writable,
        )
        for target in sorted(targets, key=lambda target: target.id)
        if target.address and target.state != "stopped"
    )


def readers(spec: Spec, prices: Prices = BUILT_IN) -> tuple[SiteReader, ...]:
    """A reader for every site of the spec, through its cloud's SDK."""
    costs = hourly_by_site(spec, prices)
    return tuple(_reader(spec, ref, costs[ref.site]) for ref in refs(spec))


def run(
    spec: Spec,
    edge: Callable[[], Edge | None],
    clock: Clock | None = None,
    listener: Listener = ignore,
    is_ended: Callable[[], bool] = lambda: False,
    prices: Prices = BUILT_IN,
    wakes: Callable[[], Sequence[str]] = lambda: (),
) -> None:
    """Looks every two seconds until `is_ended`. `edge` gives the gateway's client, or None while none is running."""
    clock = clock or SystemClock()
    discovery = Discovery(readers(spec, prices), clock, listener, wakes=wakes)
    try:
        keep(discovery, edge, clock, is_ended)
    finally:
        discovery.close()


def keep(discovery: Discovery, edge: Callable[[], Edge | None], clock: Clock, is_ended: Callable[[], bool]) -> None:
    """The loop of `run`, over any readers. A gateway that can't be reached now is asked again in the next round."""
    was_silent = False
    while not is_ended():
        try:
            gateway = edge()
            if gateway is not None:
                discovery.look(gateway)
            was_silent = False
        except GatewayError as error:
            if not was_silent:
                discovery.listener(Event("edge.silent", clock.now(), fields={"text": str(error)}))
            was_silent = True
        clock.sleep(INTERVAL_SECONDS)


def _reader(spec: Spec, ref: SiteRef, cost: float) -> SiteReader:
    site = spec.site(ref.site)
    return SiteReader(
        ref.site,
        lambda: facts_of(ref.cloud).read_targets(ref),
        site.role,
        site.ollama.num_parallel,
        cost,
        spec.sites[ref.site].writable_models,
    )
