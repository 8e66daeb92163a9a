"""Wires roles: the spec as it is to be taken now, and the loop that changes roles when a site is lost."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from arriero.cli.here import Here
from arriero.cli.scaling import ORDERS_SECONDS, log
from arriero.clock import SystemClock
from arriero.clouds import read
from arriero.control.client import Gateway
from arriero.deploy import releasing, traffic
from arriero.events import Event
from arriero.plan import roles
from arriero.plan.roles import RoleOrder, TrafficOrder
from arriero.plan.sleep import Orders, sleeps
from arriero.releases import opening, orders
from arriero.releases import roles as written
from arriero.releases.ledger import Ledger
from arriero.releases.opening import Opened
from arriero.releases.turns import OPENED_SECONDS, Moments
from arriero.scale import standby
from arriero.scale.failover import Past
from arriero.scale.standby import Standby
from arriero.spec.model import Spec


def order_of(here: Here, books: Opened | None) -> TrafficOrder:
    """What counts now: the ledger's newest order, or what this machine knows of it."""
    if not here.spec.failover.pairs:
        return TrafficOrder(RoleOrder(), 0)
    return roles.newest(books.roles if books else None, traffic.known(here.project))


def books_for_roles(here: Here) -> Opened | None:
    """The ledger, where the spec pairs sites at all."""
    if not here.spec.failover.pairs:
        return None
    return opening.read(here.spec, read.check_accounts(here.spec, here.endpoints))


def with_roles(here: Here, books: Opened | None) -> Here:
    """With the roles of now in its spec."""
    spec = roles.applied(here.spec, order_of(here, books).order)
    return here if spec is here.spec else replace(here, loaded=replace(here.loaded, spec=spec))


@dataclass
class Book:
    """The orders, by the ledger of this project's spec, which is opened anew every five minutes, and after a fault."""

    here_of: Here
    _ledger: Ledger | None = None
    _opened_at: float = float("-inf")
    _orders: Orders = field(default_factory=Orders)
    _orders_at: float = float("-inf")

    def opened(self) -> Ledger:
        spec = self.here_of.spec
        found = opening.read(spec, read.check_accounts(spec, self.here_of.endpoints))
        self._ledger, self._opened_at = found.ledger, SystemClock().monotonic()
        return found.ledger

    def read(self) -> RoleOrder | None:
        is_old = SystemClock().monotonic() - self._opened_at >= OPENED_SECONDS
        ledger = self.opened() if is_old or self._ledger is None else self._ledger
        found = written.read(ledger)
        if found is None:
            self._ledger = None
        return found

    def asleep(self, now: datetime) -> frozenset[str]:
        """Sites that are off, by their hours and by the orders that were read last."""
        spec = self.here_of.spec
        sites = [site for name in spec.sites if (site := spec.site(name)).off]
        if sites and self._ledger and now.timestamp() - self._orders_at >= ORDERS_SECONDS:
            self._orders, self._orders_at = orders.read(self._ledger), now.timestamp()
        return frozenset(site.name for site in sites if sleeps(site, self._orders, now))

    def here(self) -> TrafficOrder | None:
        return traffic.known(self.here_of.project)

    def keep(self, known: TrafficOrder) -> None:
        traffic.keep(self.here_of.project, known)


@dataclass
class Roles:
    """The loop in a thread of its own. `spec` is the one to go by now; `changed` is set when roles are other ones."""

    here: Here
    pasts: dict[tuple[str, ...], Past]
    changed: threading.Event = field(default_factory=threading.Event)
    _ended: threading.Event = field(default_factory=threading.Event)
    _loop: Standby | None = None

    def spec(self) -> Spec:
        """With the roles that are known here; read from no cloud."""
        self.changed.clear()
        known = traffic.known(self.here.project) if self.here.spec.failover.pairs else None
        return roles.applied(self.here.spec, known.order) if known else self.here.spec

    def start(self, edge: Callable[[], Gateway | None]) -> None:
        spec = self.here.spec
        if not spec.failover.pairs:
            return
        book, clock = Book(self.here), SystemClock()
        rights = Moments(book.opened, releasing.who(), float(spec.ledger.lease), clock)
        loop = Standby(
            spec, book, rights, clock, releasing.who(), self.pasts, book.asleep, log, self._told,
            traffic.known(self.here.project) or TrafficOrder(RoleOrder(), 0),
        )  # fmt: skip
        self._loop = loop
        threading.Thread(target=standby.run, args=(loop, edge, self._ended.is_set), name="roles", daemon=True).start()

    def stop(self) -> None:
        self._ended.set()

    def _told(self, order: RoleOrder) -> None:
        """Who is active now and keeps no target is started, by a deployment of that site alone."""
        self.changed.set()
        for site, role in roles.standing(self.here.spec, order).items():
            if role == "active" and not roles.is_warm(self.here.spec, site) and order.by == releasing.who():
                threading.Thread(target=bring_up, args=(self.here, site), name="start a cold site", daemon=True).start()


def bring_up(here: Here, site: str) -> None:
    """Has `arriero up` start what a cold site lacks. Nothing where the file was changed since it was deployed: that is
    for people to release.
    """
    base = [sys.executable, "-m", "arriero"]
    overlay = ["--env", here.project.overlay] if here.project.overlay else []
    where = ["--file", str(here.project.spec), *overlay, "--site", site]
    planned = subprocess.run([*base, "plan", "--json", *where], capture_output=True, text=True, check=False)
    if not _is_as_deployed(here, planned.stdout):
        told = "the spec is not the one that was deployed, so nothing is started by itself: arriero up"
    else:
        ended = subprocess.run(
            [*base, "up", "--yes", "--no-gateway", *where], capture_output=True, text=True, check=False
        )
        told = (
            f"arriero up --site {site} ended with {ended.returncode}: {(ended.stderr or ended.stdout)[-300:].strip()}"
        )
    log(Event("roles.started", SystemClock().now(), site, {"text": told}))


def _is_as_deployed(here: Here, planned: str) -> bool:
    """Whether that plan makes no new release."""
    last = opening.read(here.spec, read.check_accounts(here.spec, here.endpoints)).last
    try:
        return last is not None and bool(json.loads(planned)["release"] == last.number)
    except (ValueError, KeyError, TypeError):
        return False
