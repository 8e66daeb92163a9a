"""The ledger: reads and writes records in the authority store, and copies them to the replica.

    ledger = Ledger(authority, replica)          # stores; `opening.py` makes them from a spec
    ledger.newest()                              # (head, Release | None); releases() and release(7): with notes
    number = ledger.begin(lease, draft)          # takes a number; ledger.end(lease, note) says how it ended
    ledger.add_figures(7, {"first_token_ms": …}) # needs no lease: figures change nothing that stands

Keys: `head.json`; `releases/<number>-<epoch>.json`; `notes/<number>/…`; `journal/<epoch>/<n>.json`;
`parts/<digest>.json`, the list of what is in a release's image, the same for all that have the image;
`authority/<epoch>-<store>-<known>`, one for each time the authority was moved. All but the head are made once and never
changed. The replica gets a copy after the authority has taken it: it never knows more, but for what one that had the
authority before has of its own, which counts no more (`merging.py`). When one store is gone, the other is read; only
the authority is ever written first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar
from uuid import uuid4

from arriero.errors import ArrieroError, Problem, Refused
from arriero.events import Json
from arriero.releases import head as heads
from arriero.releases import merging
from arriero.releases import record as records
from arriero.releases.head import Head
from arriero.releases.lease import Lease, lost, read_head
from arriero.releases.merging import MOVED, NOTES, RECORDS
from arriero.releases.record import Note, Record, Release
from arriero.releases.store import Absent, Conflict, Store, StoreError

T = TypeVar("T")


@dataclass
class Ledger:
    """`authority` is None where no store could be opened for it; `unread` says why, by store."""

    authority: Store | None
    replica: Store | None = None
    unread: dict[str, str] = field(default_factory=dict)

    def head(self) -> Head:
        """The head as the authority has it, or, when that is gone, as it was last copied."""
        return self._first(lambda store: read_head(store)[0])

    def newest(self) -> tuple[Head, Release | None]:
        """The head and the newest release, without notes: two calls. Raises ArrieroError where no store can be read."""
        return self._first(_newest)

    def release(self, number: int) -> Release | None:
        return next((found for found in self.releases([number])), None)

    def releases(self, numbers: Sequence[int] | None = None) -> tuple[Release, ...]:
        """All releases (or those asked for) with their notes, oldest first, each with the stores that hold it."""
        store, keys, head = self._first(lambda store: (store, merging.counted(_listed(store)), read_head(store)[0]))
        others = {other.name: _listed_or_nothing(other) for other in self.stores if other is not store}
        committed = _committed(keys, head.last)
        wanted = {n: key for n, key in committed.items() if numbers is None or n in numbers}
        notes = [key for key in keys if key.startswith(NOTES) and int(key.split("/")[1]) in wanted]
        with ThreadPoolExecutor(8, thread_name_prefix="ledger") as pool:
            found = list(pool.map(lambda key: _get(store, key, records.record_from), wanted.values()))
            added = list(pool.map(lambda key: _get(store, key, records.note_from), notes))
        return tuple(
            records.release_of(
                record,
                [note for note in added if note.number == record.number],
                (store.name, *(name for name, held in others.items() if record.key in held)),
            )
            for record in found
        )

    def begin(self, lease: Lease, draft: Record) -> Record:
        """Takes the number after the newest for `draft` and has the head say so. Raises Lost, ArrieroError.

        `draft.number` is the least that it may be: what stands in the clouds may know of more releases than a ledger
        whose authority was moved. A record that was written and never came into the head (its writer died) is in
        nobody's way: it carries the epoch of its time.
        """
        authority = self._writable()
        record = replace(
            draft, number=max(lease.head.last + 1, draft.number), epoch=lease.epoch, token=uuid4().hex[:12]
        )
        lease.require()
        self._make(authority, record.key, records.encoded(record))
        lease.update(lambda head: head.released(record.number, record.key, record.who, record.at))
        return record

    def begin_again(self, lease: Lease, number: int, who: str, at: str) -> None:
        """Begins another deployment of a release that is there."""
        lease.update(lambda head: head.released(number, head.last_key, who, at))

    def end(self, lease: Lease, note: Note) -> None:
        """Says how the deployment ended, and that none is open any more. Raises Lost, ArrieroError."""
        lease.require()
        self._make(self._writable(), note.key, records.encoded(note))
        lease.update(lambda head: replace(head, open=None))

    def add_figures(self, number: int, figures: Mapping[str, Json], who: str, at: datetime) -> None:
        """Adds what a validation measured to a release. Raises Refused where there is no such release."""
        release = self.release(number)
        if release is None:
            raise Refused(Problem(f"there is no release {number}", "see: arriero history"))
        note = Note(number, release.epoch, stamp(at), who, "figures", figures, uuid4().hex[:12])
        self._make(self._writable(), note.key, records.encoded(note))
        self.copy()

    def promote(self, lease: Lease, number: int, who: str, at: datetime) -> None:
        """Makes `number` the stable release. Raises Refused where there is no such release."""
        if self.release(number) is None:
            raise Refused(Problem(f"there is no release {number}", "see: arriero history"))
        note = Note(number, lease.epoch, stamp(at), who, "promoted", {}, uuid4().hex[:12])
        lease.require()
        self._make(self._writable(), note.key, records.encoded(note))
        lease.update(lambda head: replace(head, stable=number))

    def keep_parts(self, digest: str, data: bytes) -> bool:
        """Keeps the list of what is in an image, by the image's digest; the first one stays. Returns whether this is
        it. Needs no lease, for it changes nothing that stands. Raises ArrieroError.
        """
        store = self._writable()
        try:
            store.create(_parts_key(digest), data)
        except Conflict:
            return False
        except StoreError as error:
            raise ArrieroError(unwritten(store.name, str(error))) from error
        return True

    def parts(self, digest: str) -> bytes | None:
        """That list, None where it was never kept. Raises ArrieroError where no store can be read."""
        found = self._first(lambda store: store.read(_parts_key(digest))) if digest else None
        return found.data if found else None

    def write_entry(self, lease: Lease, key: str, data: bytes) -> None:
        """Adds a journal's entry at the authority; `copy` takes it to the replica. Raises Lost, StoreError."""
        lease.require()
        store = self._writable()
        try:
            store.create(key, data)
        except Conflict:
            found = store.read(key)
            if found is None or found.data != data:
                raise lost(lease.head) from None

    def copy(self) -> str:
        """Brings the replica up to date; returns why that failed, or nothing. It never fails a deployment."""
        if self.authority is None or self.replica is None:
            return "; ".join(f"{name}: {why}" for name, why in self.unread.items())
        try:
            self._copy(self.authority, self.replica)
        except (StoreError, Conflict) as error:
            return f"{self.replica.name}: {error}"
        return ""

    @property
    def stores(self) -> tuple[Store, ...]:
        return tuple(store for store in (self.authority, self.replica) if store is not None)

    def _copy(self, source: Store, target: Store) -> None:
        """Everything that is missing there, then the head: whoever reads it finds all that it speaks of."""
        head, found = read_head(source)
        missing = sorted(set(_listed(source)) - set(_listed(target)) - {heads.KEY})
        if any(key.startswith(MOVED) for key in missing):
            _end_lease(target)
        with ThreadPoolExecutor(8, thread_name_prefix="ledger") as pool:
            list(pool.map(lambda key: _copy_one(source, target, key), missing))
        if found is not None:
            target.overwrite(heads.KEY, heads.encoded(replace(head, holder=None)))

    def _make(self, store: Store, key: str, data: bytes) -> None:
        """Writes an object under a key that holds a random word or our epoch: whatever is there must be ours."""
        trouble: Exception | None = None
        for _ in range(3):
            try:
                store.create(key, data)
                return
            except (Conflict, StoreError) as error:
                trouble = error
            try:
                found = store.read(key)
            except StoreError as error:
                trouble, found = error, None
            if found is not None and found.data == data:
                return
            if found is not None:
                # Under a key of our own epoch only we write: a former try of this very process, so the number stays.
                key_taken = Problem(f"{store.name}: {key} is there with another content", "run arriero up again")
                raise ArrieroError(key_taken)
        raise ArrieroError(unwritten(store.name, str(trouble)))

    def _writable(self) -> Store:
        if self.authority is None:
            raise Refused(unreadable(self.unread))
        return self.authority

    def _first(self, read: Callable[[Store], T]) -> T:
        """What the first store answers that can be read. Raises ArrieroError where none can."""
        why = dict(self.unread)
        for store in self.stores:
            try:
                return read(store)
            except StoreError as error:
                why[store.name] = str(error)
        raise ArrieroError(unreadable(why))


def unreadable(why: Mapping[str, str]) -> Problem:
    """What to tell where no store answers."""
    said = "; ".join(f"{name}: {text}" for name, text in why.items()) or "the spec names no cloud that has one"
    return Problem(f"no ledger can be read: {said}", "see that one of its stores can be reached", key="ledger")


def unwritten(store: str, why: str) -> Problem:
    return Problem(
        f"the ledger's authority store ({store}) does not take what is to be recorded: {why}",
        "nothing was changed; run arriero up again when it does, or move the authority: arriero lock move",
        key="ledger",
    )


def _parts_key(digest: str) -> str:
    return f"parts/{digest.replace(':', '-')}.json"


def _newest(store: Store) -> tuple[Head, Release | None]:
    head, _ = read_head(store)
    if not head.last:
        return head, None
    return head, records.release_of(_get(store, head.last_key, records.record_from), (), (store.name,))


def _committed(keys: Iterable[str], last: int) -> dict[int, str]:
    """The record's key of every number up to `last`: of several epochs that wrote one, the newest was let through."""
    found = sorted(key for key in keys if key.startswith(RECORDS))
    return {number: key for key in found if (number := int(key[len(RECORDS) :].split("-")[0])) <= last}


def _get(store: Store, key: str, read: Callable[[bytes], T]) -> T:
    found = store.read(key)
    if found is None:
        raise StoreError(f"{key} is missing")
    try:
        return read(found.data)
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{key} can't be read: {error!r}") from error


def _listed(store: Store) -> Sequence[str]:
    """All keys; none where the folder, bucket or container is not there yet."""
    try:
        return store.names()
    except Absent:
        return ()


def _listed_or_nothing(store: Store) -> Sequence[str]:
    try:
        return _listed(store)
    except StoreError:
        return ()


def _end_lease(store: Store) -> None:
    """Of a store that has the authority no more, and maybe a holder that could not know it: its next beat is refused,
    for the tag that it knows is an old one.
    """
    head, found = read_head(store)
    if found is not None:
        store.overwrite(heads.KEY, heads.encoded(replace(head, holder=None, nonce=uuid4().hex)))


def _copy_one(source: Store, target: Store, key: str) -> None:
    found = source.read(key)
    if found is None:
        return
    try:
        target.create(key, found.data)
    except Conflict:
        there = target.read(key)
        if there is None or there.data != found.data:
            raise StoreError(f"{key} is there with another content") from None


def stamp(at: datetime) -> str:
    """A time as keys hold it: `20260102T030405.678901Z`."""
    return at.strftime("%Y%m%dT%H%M%S.%fZ")
