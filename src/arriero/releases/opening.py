"""Opens the ledger of a spec: reads what its stores are, and which of them decides."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from importlib import import_module

from arriero.clouds.local import ledger as local_ledger
from arriero.errors import ArrieroError, CloudError, Problem
from arriero.plan import stores
from arriero.plan.model import Cloud, LastRelease, StoreFacts
from arriero.plan.roles import RoleOrder
from arriero.plan.sleep import Orders
from arriero.releases import merging, objects, orders
from arriero.releases import roles as ordered_roles
from arriero.releases.folder import Folder
from arriero.releases.head import Head
from arriero.releases.ledger import Ledger
from arriero.releases.store import Absent, Store, StoreError
from arriero.spec.model import Spec


@dataclass(frozen=True, slots=True)
class Opened:
    """The ledger, what was read of its stores, its head, and its newest release, if any could be read.

    `authority` is the cloud whose store decides, whether it can be reached or not. `roles` is the newest order about
    them, None where the spec pairs no sites or nobody knows.
    """

    ledger: Ledger
    authority: Cloud
    stores: Mapping[Cloud, StoreFacts]
    head: Head
    last: LastRelease | None
    orders: Orders = field(default_factory=Orders)
    roles: RoleOrder | None = None

    @property
    def epoch(self) -> int:
        return self.head.epoch


def read(spec: Spec, accounts: Mapping[str, str]) -> Opened:
    """Reads all stores side by side. A store that can't be read is in `unread` of the ledger, and raises nothing."""
    objects.refuse_without()
    clouds = stores.clouds(spec)
    with ThreadPoolExecutor(len(clouds), thread_name_prefix="stores") as pool:
        found = dict(zip(clouds, pool.map(lambda cloud: _look(spec, cloud, accounts), clouds), strict=True))
    first = _authority(clouds, found)
    ledger = _ledger(first, clouds, found)
    head, last = _newest(ledger)
    ordered = orders.read(ledger) if any(spec.site(name).off for name in spec.sites) else Orders()
    given = ordered_roles.read(ledger) if spec.failover.pairs else None
    return Opened(ledger, first, {cloud: seen.facts for cloud, seen in found.items()}, head, last, ordered, given)


@dataclass(frozen=True, slots=True)
class _Seen:
    """One cloud's store: what it is, the way in, and the moves of authority that are written down there."""

    facts: StoreFacts
    store: Store | None = None
    moves: tuple[str, ...] = ()
    trouble: str = ""


def connect(spec: Spec, facts: StoreFacts) -> Store:
    """The way into a store that stands. Raises CloudError where there are no credentials for it."""
    if facts.cloud == "local":
        return Folder(local_ledger.folder(spec.name))
    module = import_module(f"arriero.clouds.{facts.cloud}.ledger")
    if facts.cloud == "aws":
        return objects.in_s3(facts.name, facts.region, module.credentials())
    return objects.in_blob(facts.name, module.key(spec.name, facts.name).reveal())


def _look(spec: Spec, cloud: Cloud, accounts: Mapping[str, str]) -> _Seen:
    name, region = stores.name(cloud, spec.name, accounts.get(cloud, "")), stores.region(spec, cloud)
    facts = StoreFacts(cloud, name, region)
    if cloud != "local" and not accounts.get(cloud):
        what = "the account there is not known, so neither is its store"
        problem = Problem(what, "see that its credentials are right: arriero doctor", key=f"ledger.{cloud}")
        return _Seen(replace(facts, problem=problem), trouble=what)
    try:
        if cloud != "local":
            facts = import_module(f"arriero.clouds.{cloud}.ledger").read_store(spec.name, name, region)
            if not facts.is_there:
                return _Seen(facts)
        store = connect(spec, facts)
        return _Seen(facts, store, tuple(store.names(merging.MOVED)))
    except CloudError as error:
        problem = error.problems[0]
        return _Seen(StoreFacts(cloud, name, region, problem=problem), trouble=str(problem))
    except Absent:
        return _Seen(facts, connect(spec, facts))
    except StoreError as error:
        problem = Problem(str(error), "see that the store can be reached", key=f"ledger.{cloud}")
        return _Seen(StoreFacts(cloud, name, region, problem=problem), trouble=str(error))


def _authority(clouds: tuple[Cloud, ...], found: Mapping[Cloud, _Seen]) -> Cloud:
    """The newest move of authority that is written down anywhere holds; without any, the spec's order does."""
    moved = merging.moved_to(name for seen in found.values() for name in seen.moves)
    return next((cloud for cloud in clouds if cloud == moved), clouds[0])


def _ledger(first: Cloud, clouds: tuple[Cloud, ...], found: Mapping[Cloud, _Seen]) -> Ledger:
    other = next((cloud for cloud in clouds if cloud != first), None)
    unread: dict[str, str] = {cloud: seen.trouble for cloud, seen in found.items() if seen.trouble}
    return Ledger(found[first].store, found[other].store if other else None, unread)


def _newest(ledger: Ledger) -> tuple[Head, LastRelease | None]:
    if not ledger.stores:
        return Head(), None
    try:
        head, newest = ledger.newest()
    except ArrieroError:
        return Head(), None
    if newest is None:
        return head, None
    return head, LastRelease(newest.number, newest.definitions, newest.image, newest.digest)
