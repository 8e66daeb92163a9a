"""The right to deploy, held in the head of the authority store.

Who runs: the deployer's own thread, and one that beats: it replaces the head every quarter of the lease. Whoever waits
looks at the head's tag only. While the tag changes, the holder lives; once it has not changed for a whole lease *by the
waiting one's own monotonic clock*, the holder is dead, and the next epoch begins. No two clocks are ever compared.

The holder counts from the moment before its last beat was sent, and only three quarters of the lease: so it has given
up before anybody may follow it, however its wall clock runs. `deadline` is that moment, for whoever must end with it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

from arriero.clock import Clock
from arriero.errors import ArrieroError, Problem, Refused
from arriero.releases import head as heads
from arriero.releases.head import Head, Holder
from arriero.releases.store import Conflict, Found, Store, StoreError

BEATS = 4
HELD_SHARE = 0.75
TRIES = 3
_LOOK_SECONDS = 1.0

Told = Callable[[str], None]


class Held(Refused):
    """Somebody else holds the lease, and lives."""


class Lost(ArrieroError):
    """The lease is no longer ours: nothing more may be written or begun."""


def read_head(store: Store) -> tuple[Head, Found | None]:
    """The head and the object it is in; an empty head where there is none yet. Raises StoreError."""
    found = store.read(heads.KEY)
    if found is None:
        return Head(), None
    try:
        return heads.head_from(found.data), found
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"its {heads.KEY} can't be read: {error}") from error


def write_head(store: Store, head: Head, before: Found | None) -> tuple[Head, Found]:
    """Replaces the head that was read by `head`. Raises Conflict where somebody else has, StoreError where that can't
    be found out. A store that wrote and then failed, or wrote and says that it did not, is found out by the nonce.
    """
    head = replace(head, nonce=uuid4().hex)
    data = heads.encoded(head)
    trouble: Exception = StoreError("no try was made")
    for _ in range(TRIES):
        try:
            tag = store.create(heads.KEY, data) if before is None else store.replace(heads.KEY, data, before.tag)
            return head, Found(data, tag)
        except (Conflict, StoreError) as error:
            trouble = error
        now, found = _seen(store)
        if found is not None and now.nonce == head.nonce:
            return head, found
        if isinstance(trouble, Conflict) and _differs(found, before):
            raise Conflict(heads.KEY)
    raise StoreError(f"the store contradicts itself: {trouble}")


def _seen(store: Store) -> tuple[Head, Found | None]:
    try:
        return read_head(store)
    except StoreError:
        return Head(), None


def _differs(found: Found | None, before: Found | None) -> bool:
    return found is not None and (before is None or found.tag != before.tag)


class Lease:
    """A lease that is held. `update` changes the head under it; `release` gives it back."""

    def __init__(self, store: Store, head: Head, found: Found, began: float, clock: Clock) -> None:
        self._store, self._head, self._found, self._clock = store, head, found, clock
        self._lock, self._over = threading.Lock(), threading.Event()
        self._deadline = began + HELD_SHARE * head.lease_seconds
        self._thread: threading.Thread | None = None
        self.on_beat: Callable[[float], None] = lambda _: None

    @property
    def epoch(self) -> int:
        return self._head.epoch

    @property
    def head(self) -> Head:
        return self._head

    @property
    def deadline(self) -> float:
        """In monotonic seconds: from then on it is not held, unless a beat comes through before."""
        return self._deadline

    @property
    def is_held(self) -> bool:
        return not self._over.is_set() and self._clock.monotonic() < self._deadline

    def require(self, seconds: float = 0.0) -> None:
        """Raises Lost where less than so many seconds of the lease are left."""
        if self._over.is_set() or self._clock.monotonic() + seconds >= self._deadline:
            raise lost(self._head)

    def update(self, change: Callable[[Head], Head]) -> Head:
        """Writes the changed head. Raises Lost where the lease is another's by now, or nobody knows."""
        with self._lock:
            self.require()
            began = self._clock.monotonic()
            try:
                self._head, self._found = write_head(self._store, change(self._head), self._found)
            except Conflict:
                self._over.set()
                raise lost(self._head) from None
            self._deadline = began + HELD_SHARE * self._head.lease_seconds
        self.on_beat(self._deadline)
        return self._head

    def beat(self) -> None:
        """One sign of life; one that doesn't come through is followed by another, until the lease has run out."""
        try:
            self.update(lambda head: head)
        except StoreError:
            return

    def keep(self) -> None:
        """Begins to beat, in a thread of its own."""
        self._thread = threading.Thread(target=self._beat_on, name="lease", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Gives it back. Where that fails nobody is told: the lease then ends by itself."""
        try:
            if self.is_held:
                self.update(Head.freed)
        except (ArrieroError, StoreError):
            pass
        self._over.set()
        if self._thread:
            self._thread.join()

    def _beat_on(self) -> None:
        while not self._over.wait(self._head.lease_seconds / BEATS):
            try:
                self.beat()
            except Lost:
                self._over.set()


def acquire(
    store: Store, holder: Holder, lease_seconds: float, clock: Clock, *, patience_seconds: float = 0.0, told: Told
) -> Lease:
    """Takes the lease. A dead holder is waited out; a living one for `patience_seconds`, then Held is raised.

    `told` hears, once, whom it waits for. Raises StoreError where the store can't be read or written.
    """
    watch = Watch(clock)
    end = clock.monotonic() + patience_seconds
    is_told = False
    while True:
        taken = attempt(store, holder, lease_seconds, clock, watch)
        if isinstance(taken, Lease):
            return taken
        if watch.is_alive and clock.monotonic() >= end:
            raise Held(held(taken))
        if not is_told:
            told(f"waiting for the lease: {taken.sentence}")
            is_told = True
        clock.sleep(min(_LOOK_SECONDS, lease_seconds / (2 * BEATS)))


def attempt(store: Store, holder: Holder, lease_seconds: float, clock: Clock, watch: Watch) -> Lease | Holder:
    """Takes the lease at once, or says who has it: a dead holder is one that `watch`, which is shown the head each
    time, saw do nothing for a whole lease. Raises StoreError where the store can't be read or written.
    """
    while True:
        head, found = read_head(store)
        began = clock.monotonic()
        if head.holder is not None and not watch.is_dead(head, found):
            return head.holder
        try:
            taken, written = write_head(store, head.taken(holder, lease_seconds), found)
        except Conflict:
            continue
        return Lease(store, taken, written, began, clock)


class Watch:
    """What one that waits has seen of the holder."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tag, self._since, self._changes = "", 0.0, 0

    @property
    def is_alive(self) -> bool:
        """Whether a sign of life was seen."""
        return self._changes > 0

    def is_dead(self, head: Head, found: Found | None) -> bool:
        tag, now = found.tag if found else "", self._clock.monotonic()
        if tag != self._tag:
            self._changes += bool(self._tag)
            self._tag, self._since = tag, now
        return now - self._since >= head.lease_seconds


def held(holder: Holder) -> Problem:
    return Problem(
        f"another deployment is under way: {holder.sentence}",
        "wait until it has ended (`arriero up --wait 10m` does that); `arriero lock status` shows it",
        key="lease",
    )


def lost(head: Head) -> Lost:
    return Lost(
        Problem(
            f"the lease of epoch {head.epoch} is lost: the authority store did not hear from here in time, or another "
            "deployment has taken it",
            "see who holds it: arriero lock status; then run arriero up again",
            key="lease",
        )
    )
