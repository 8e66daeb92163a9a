"""Who scales, and when: a lease of the controllers' own beside the ledger's, and short turns of the deployers' lease.

The controllers' lease lies in the authority store under `controller/`: whoever holds it decides how many targets run,
the others look on. What changes a count is done in a turn: the deployers' own lease, taken for the seconds that it
needs. So nobody deploys meanwhile, and a deployment that read the world before plans anew, as the epoch has grown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from arriero.clock import Clock
from arriero.errors import ArrieroError, Problem
from arriero.releases.head import Head, Holder
from arriero.releases.lease import Lease, Watch, attempt, read_head
from arriero.releases.ledger import Ledger
from arriero.releases.store import Found, Store, StoreError

PREFIX = "controller/"
# The ledger is opened anew after this: its authority may have moved.
OPENED_SECONDS = 300.0


class NotNow(ArrieroError):
    """Somebody else may act now, not this controller; nothing was done."""


@dataclass(frozen=True, slots=True)
class Under:
    """The part of a store below a prefix, as a store."""

    store: Store
    prefix: str

    @property
    def name(self) -> str:
        return self.store.name

    def read(self, key: str) -> Found | None:
        return self.store.read(self.prefix + key)

    def create(self, key: str, data: bytes) -> str:
        return self.store.create(self.prefix + key, data)

    def replace(self, key: str, data: bytes, tag: str) -> str:
        return self.store.replace(self.prefix + key, data, tag)

    def overwrite(self, key: str, data: bytes) -> None:
        self.store.overwrite(self.prefix + key, data)

    def names(self, prefix: str = "") -> Sequence[str]:
        return [name.removeprefix(self.prefix) for name in self.store.names(self.prefix + prefix)]


class Turns:
    """One controller's rights. `opened` opens the ledger; `who` and `lease_seconds` are as a deployer's."""

    def __init__(self, opened: Callable[[], Ledger], who: str, lease_seconds: float, clock: Clock) -> None:
        self._opened, self._who, self._seconds, self._clock = opened, who, lease_seconds, clock
        self._ledger, self._opened_at = Ledger(None, None, {}), float("-inf")
        self._lead: Lease | None = None
        self._others, self._deployers = Watch(clock), Watch(clock)

    def objection(self) -> str:
        """Why this controller may change nothing now; empty where it may. Takes the controllers' lease where it is
        free, or its holder dead.
        """
        try:
            store = self._store()
            if other := self._led_by(store):
                return f"another controller decides: {other.sentence}"
            head, found = read_head(store)
            is_held = head.holder is not None and not self._deployers.is_dead(head, found)
        except (StoreError, ArrieroError) as error:
            self._opened_at = float("-inf")
            return f"the ledger's authority store can't be reached: {error}"
        return _under_way(head, is_held)

    @contextmanager
    def turn(self) -> Iterator[Lease]:
        """The deployers' lease, for something short. Raises NotNow where it can't be had at once, Lost where the
        controllers' lease is another's by now.
        """
        if self._lead is None:
            raise NotNow(Problem("this controller does not hold the controllers' lease"))
        self._lead.require()
        try:
            self._opened_at = float("-inf")
            store = self._store()
            lease = attempt(store, self._holder("scale"), self._seconds, self._clock, self._deployers)
        except (StoreError, ArrieroError) as error:
            raise NotNow(Problem(f"the ledger's authority store can't be reached: {error}")) from error
        if isinstance(lease, Holder):
            raise NotNow(Problem(f"a deployment is under way: {lease.sentence}"))
        try:
            if lease.head.open:
                raise NotNow(Problem(_under_way(lease.head, False)))
            lease.keep()  # a server on this machine may take longer to start than a lease lasts
            yield lease
        finally:
            lease.release()

    def rest(self) -> None:
        """Gives the controllers' lease back, so that another one need not wait for its end."""
        if self._lead is not None:
            self._lead.release()
            self._lead = None

    def _led_by(self, store: Store) -> Holder | None:
        """The other controller that holds the lease; None where it is ours now."""
        if self._lead is not None and self._lead.is_held:
            return None
        self.rest()
        found = attempt(Under(store, PREFIX), self._holder("controller run"), self._seconds, self._clock, self._others)
        if isinstance(found, Holder):
            return found
        self._lead = found
        self._lead.keep()
        return None

    def _holder(self, verb: str) -> Holder:
        return Holder(self._who, verb, self._clock.now().isoformat(timespec="seconds"))

    def _store(self) -> Store:
        if self._clock.monotonic() - self._opened_at >= OPENED_SECONDS:
            former = self._ledger.authority
            self._ledger, self._opened_at = self._opened(), self._clock.monotonic()
            if former and self._ledger.authority and former.name != self._ledger.authority.name:
                self.rest()
        if self._ledger.authority is None:
            raise StoreError("; ".join(self._ledger.unread.values()) or "it is not there")
        return self._ledger.authority


class Moments:
    """The deployers' lease for the seconds of one write, without the controllers': for orders about roles.

    A deployment that began and did not end keeps nobody from it, as long as whoever began it is dead: it may have died
    of the very loss that roles are changed for.
    """

    def __init__(self, opened: Callable[[], Ledger], who: str, lease_seconds: float, clock: Clock) -> None:
        self._opened, self._who, self._seconds, self._clock = opened, who, lease_seconds, clock
        self._deployers = Watch(clock)

    @contextmanager
    def turn(self, verb: str) -> Iterator[tuple[Ledger, Lease]]:
        """Raises NotNow where the lease can't be had at once."""
        try:
            ledger = self._opened()
            if ledger.authority is None:
                raise StoreError("; ".join(ledger.unread.values()) or "it is not there")
            holder = Holder(self._who, verb, self._clock.now().isoformat(timespec="seconds"))
            lease = attempt(ledger.authority, holder, self._seconds, self._clock, self._deployers)
        except (StoreError, ArrieroError) as error:
            raise NotNow(Problem(f"the ledger's authority store can't be reached: {error}")) from error
        if isinstance(lease, Holder):
            raise NotNow(Problem(f"a deployment is under way: {lease.sentence}"))
        try:
            yield ledger, lease
        finally:
            lease.release()


def _under_way(head: Head, is_held: bool) -> str:
    if is_held and head.holder:
        return f"a deployment is under way: {head.holder.sentence}"
    if head.open:
        return f"{head.open.who} began release {head.open.release} and did not end it: arriero up resumes it"
    return ""
