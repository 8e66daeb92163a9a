"""The loop that changes roles: sees which sites answer the gateway, asks `failover.py`, and has the order written.

Reads the newest order from the ledger every half minute, and before it changes anything; that it does in a turn of the
deployers' lease, and only where nobody ordered anything since. What it learns is lost with it, and learnt again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from arriero.clock import Clock
from arriero.control.client import GatewayError
from arriero.control.messages import GatewayStatus
from arriero.errors import ArrieroError
from arriero.events import Event, Json, Listener, ignore
from arriero.plan import roles
from arriero.plan.roles import RoleOrder, TrafficOrder
from arriero.releases import roles as written
from arriero.releases.lease import Lease
from arriero.releases.ledger import Ledger
from arriero.scale.failover import Health, Past, Policy, View, decide
from arriero.spec.failover import Pair
from arriero.spec.model import Role, Spec

LOOK_SECONDS = 2.0
READ_SECONDS = 30.0


class Edge(Protocol):
    def status(self) -> GatewayStatus:
        """Raises GatewayError."""


class Rights(Protocol):
    """See `releases.turns.Moments`."""

    def turn(self, verb: str) -> AbstractContextManager[tuple[Ledger, Lease]]: ...


class Book(Protocol):
    """What is known of orders: `read` asks the ledger (None: it can't be read), `here` is what this machine keeps."""

    def read(self) -> RoleOrder | None: ...

    def here(self) -> TrafficOrder | None: ...

    def keep(self, known: TrafficOrder) -> None: ...


@dataclass
class Standby:
    """`spec` is as it was written; `tell` is called with each newest order that is another one than before."""

    spec: Spec
    book: Book
    rights: Rights
    clock: Clock
    who: str
    pasts: dict[tuple[str, ...], Past] = field(default_factory=dict)
    asleep: Callable[[datetime], Collection[str]] = lambda _: ()
    listener: Listener = ignore
    tell: Callable[[RoleOrder], None] = lambda _: None
    known: TrafficOrder = field(default_factory=lambda: TrafficOrder(RoleOrder(), 0))
    _read_at: float = float("-inf")
    _said: str = ""

    def look(self, edge: Edge | None) -> None:
        """One round. Raises GatewayError where the gateway can't be asked; without one only orders are read."""
        self._learn()
        if edge is None or not self.spec.failover.automatic:
            return
        status, said = edge.status(), []
        for pair in self.spec.failover.pairs:
            view = self._view(pair, status)
            decision = decide(self.clock.monotonic(), self.pasts.get(pair.sites, Past()), view, self._policy())
            self.pasts[pair.sites] = decision.past
            if decision.roles:
                said.append(self._change(view, decision.roles, decision.why))
            else:
                said.append(decision.why)
        self._say("; ".join(filter(None, said)))

    def _learn(self) -> None:
        """The newest order, of the ledger where its time has come."""
        is_due = self.clock.monotonic() - self._read_at >= READ_SECONDS
        read = self.book.read() if is_due else None
        if is_due:
            self._read_at = self.clock.monotonic()
        here = self.book.here()
        self._take(roles.newest(read, here or self.known), is_new=read is not None)

    def _take(self, found: TrafficOrder, *, is_new: bool) -> None:
        if is_new and found != self.book.here():
            self.book.keep(found)
        is_other = found.order != self.known.order
        self.known = found
        if is_other:
            self.tell(found.order)

    def _change(self, view: View, wanted: Mapping[str, Role], why: str) -> str:
        """Has the order written; returns what kept it from that, or nothing."""
        try:
            with self.rights.turn("failover") as (ledger, lease):
                fresh = written.read(Ledger(ledger.authority))
                if fresh is None or fresh.turn != view.turn:
                    self._read_at = float("-inf")
                    return f"{why}; roles were ordered by somebody else meanwhile"
                at = self.clock.now().isoformat(timespec="seconds")
                order = roles.ordered(self.spec, fresh, wanted, lease.epoch, self.who, why, at)
                lagging = written.write(ledger, lease, order)
        except ArrieroError as error:  # NotNow among them
            return f"{why}; {error}"
        self._event("roles.changed", text=f"{why}: {words(wanted)}", turn=order.turn, lagging=lagging)
        self._take(TrafficOrder(order, order.turn), is_new=True)
        return ""

    def _view(self, pair: Pair, status: GatewayStatus) -> View:
        now = roles.applied(self.spec, self.known.order)
        asleep = self.asleep(self.clock.now())
        first, second = pair.sites
        return View(
            sites=(first, second),
            roles={name: now.sites[name].role for name in pair.sites},
            written={name: self.spec.sites[name].role for name in pair.sites},
            health={name: _health(status, name, self.spec.site(name).min, name in asleep) for name in pair.sites},
            turn=self.known.order.turn,
        )

    def _policy(self) -> Policy:
        wanted = self.spec.failover
        back = None if wanted.back_after is None else float(wanted.back_after)
        return Policy(float(wanted.after), float(wanted.quiet), back)

    def _say(self, said: str) -> None:
        """What is waited for, each time that it is something else but for the seconds in it."""
        without = "".join(letter for letter in said if not letter.isdigit())
        if without != self._said:
            self._said = without
            if said:
                self._event("roles.waits", text=said)

    def _event(self, kind: str, **fields: Json) -> None:
        self.listener(Event(kind, self.clock.now(), "", dict(fields)))


def words(wanted: Mapping[str, Role]) -> str:
    return ", ".join(f"{site} is {role}" for site, role in wanted.items())


def run(standby: Standby, edge: Callable[[], Edge | None], is_ended: Callable[[], bool]) -> None:
    """Looks every two seconds until `is_ended`. A gateway that can't be asked is asked again in the next round."""
    said = ""
    while not is_ended():
        trouble = _round(standby, edge)
        if trouble and trouble != said:
            standby.listener(Event("roles.failed", standby.clock.now(), fields={"text": trouble}))
        said = trouble
        standby.clock.sleep(LOOK_SECONDS)


def _round(standby: Standby, edge: Callable[[], Edge | None]) -> str:
    try:
        standby.look(edge())
    except (GatewayError, ArrieroError) as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - a fault in one round must not end the loop
        return f"a fault of arriero's own: {error!r}"
    return ""


def _health(status: GatewayStatus, site: str, least: int, is_off: bool) -> Health:
    mine = [target for target in status.targets if target.site == site]
    return Health(sum(target.state == "up" for target in mine), len(mine), least, is_off)
