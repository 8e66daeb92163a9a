"""One deployment from lease to record: stores made, lease taken, number taken, plan carried out, end written down.

    stores -> lease -> (others came between? plan again) -> record -> engine -> facts again -> note -> lease given back

Nothing in a cloud is touched before the record is in the authority store, but the stores themselves. What is read again
at the end says, site by site, what stands there; that is what a way back needs.
"""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from arriero.clouds import read
from arriero.clouds.endpoints import sealed
from arriero.deploy import doors, engine, making
from arriero.deploy.engine import Outcome, Run
from arriero.errors import ArrieroError, Problem, Refused
from arriero.events import Event, Json
from arriero.plan import place
from arriero.plan.model import Facts, Plan, SiteFacts, SitePlan, StoreFacts
from arriero.releases import journal, opening, orders, record
from arriero.releases.folder import Folder
from arriero.releases.head import Holder
from arriero.releases.lease import Lease, acquire
from arriero.releases.ledger import Ledger
from arriero.releases.opening import Opened
from arriero.releases.record import Note, Record, SiteRelease
from arriero.releases.store import StoreError
from arriero.spec.model import Spec

SITE = "ledger"

Digests = Callable[[str], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be deployed: the spec, the facts and the plan that was shown, and the ledger as it was read for it.

    `again` plans anew, for when another deployment came between; `digests` tells a server's models by name. `image` is
    the image as the user's file names it, where `spec` has its digest instead; `written` is the spec without roles that
    were ordered since, where `spec` has them: that is what is recorded.
    """

    spec: Spec
    accounts: Mapping[str, str]
    opened: Opened
    facts: Facts
    plan: Plan
    again: Callable[[], tuple[Opened, Facts, Plan]]
    digests: Digests
    image: str = ""
    written: Spec | None = None


@dataclass(frozen=True, slots=True)
class Deployed:
    """How it ended: `plan` is the one that was carried out, `after` the facts of the sites that it changed."""

    outcome: Outcome
    plan: Plan
    release: int
    after: Facts


def deploy(run: Run, wish: Wish, patience_seconds: float = 0.0) -> Deployed:
    """Carries the plan out under a lease, and writes it down. Raises Held, Lost, Refused and ArrieroError: then nothing
    was changed, or what was changed is found by the next deployment.
    """
    wish = _with_stores(run, wish)
    books = wish.opened.ledger
    lease = take(books, run, wish.spec, "up", patience_seconds)
    try:
        lease.keep()
        wish = _looked_again(run, wish, lease)
        number = begin(run, wish, lease)
        with journal.opened(books, lease, run.listener) as noted:
            held = replace(run, listener=noted, lease=lease)
            unmade = [making.host(wish.spec, store) for store in _unmade(wish)]
            beside = [*unmade, *making.registry_hosts(wish.spec, wish.facts, wish.plan)]
            facts, failed = doors.made(held, wish.spec, wish.facts)
            wish = replace(wish, facts=facts)
            outcome = engine.deploy(held, wish.spec, wish.facts, wish.plan, beside)
            wish = _with_replica(wish) if unmade else wish
            changed = _changed(wish.plan)
            after = read.read(wish.spec, changed) if changed else replace(wish.facts, sites={})
            failed = (*failed, *doors.led_after(held, wish.spec, wish.facts, after))
            outcome = outcome.and_then(Outcome(problems=failed))
        end(run, wish, lease, number, outcome, after)
    finally:
        lease.release()
    return Deployed(outcome, wish.plan, number, after)


def remove(
    run: Run,
    spec: Spec,
    opened: Opened,
    there: Sequence[SiteFacts],
    *,
    purge: bool,
    whole: bool,
    registries: Sequence[StoreFacts] = (),
) -> Outcome:
    """Removes what the sites hold, under a lease where there is a ledger; with `purge` of the whole service what its
    image's `registries` copy for it, and the ledger, too, last of all. A ledger that can't be reached keeps nothing
    from being removed.
    """
    lease = take(opened.ledger, run, spec, "down") if opened.ledger.authority else None
    try:
        if lease:
            lease.keep()
        outcome = engine.remove(replace(run, lease=lease), spec, there, purge)
    finally:
        if lease:
            lease.release()
    standing = [store for store in opened.stores.values() if store.is_there]
    if not (purge and whole) or outcome.problems:
        return outcome
    if isinstance(opened.ledger.authority, Folder):
        opened.ledger.authority.remove()
    copying = making.remove_replication(run, spec, registries)
    return replace(outcome, problems=(*copying, *making.remove_stores(run, spec, standing)))


def begin(run: Run, wish: Wish, lease: Lease) -> int:
    """Has the plan's release begun under the lease; returns its number. Raises Lost and ArrieroError."""
    books, now = wish.opened.ledger, run.clock.now()
    _keep_counts(run, wish)
    if wish.plan.release <= lease.head.last:
        books.begin_again(lease, wish.plan.release, who(), now.isoformat(timespec="seconds"))
        return wish.plan.release
    taken = books.begin(lease, _draft(run, wish, now))
    if taken.number != wish.plan.release:
        # Only a ledger that knows of more than the clouds do can say so; the plan's names hold its own number.
        raise ArrieroError(
            Problem(f"release {wish.plan.release} was planned, and the ledger gives {taken.number}", "run it again")
        )
    _copied(run, books, f"release {taken.number}")
    return taken.number


def _keep_counts(run: Run, wish: Wish) -> None:
    """How many targets run at sites that are put to sleep now, so that as many wake. Raises ArrieroError."""
    for site in wish.plan.sites:
        running = wish.facts.sites[site.site].count
        if site.asleep and running:
            orders.slept(wish.opened.ledger, site.site, running, run.clock.now())


def end(run: Run, wish: Wish, lease: Lease, number: int, outcome: Outcome, after: Facts) -> None:
    """Writes down how it ended, site by site, by the facts `after` it. Raises Lost and ArrieroError."""
    books, now, definitions = wish.opened.ledger, run.clock.now(), _definitions(wish.spec)
    told = {
        site.site: _site_release(site, found, site.site in outcome.done, definitions.get(site.site, ""))
        for site in wish.plan.sites
        if not site.is_leaving
        and (found := after.sites.get(site.site) or wish.facts.sites[site.site])
        and site.release == number
    }
    content: dict[str, Json] = {
        "sites": {name: site.as_json() for name, site in told.items()},
        "models": dict(_models(wish, after)),
        "spec": record.spec_json(wish.written or wish.spec),
        "problems": [str(problem) for problem in outcome.problems],
    }
    note = Note(number, lease.epoch, now.isoformat(timespec="milliseconds"), who(), "ended", content, uuid4().hex[:12])
    books.end(lease, note)
    _copied(run, books, f"the end of release {number}")


def take(books: Ledger, run: Run, spec: Spec, verb: str, patience_seconds: float = 0.0) -> Lease:
    """The authority store's lease. Raises Refused where that can't be reached, Held where it is another's."""
    if books.authority is None:
        raise Refused(no_authority(books))
    holder = Holder(who(), verb, run.clock.now().isoformat(timespec="seconds"))

    def told(text: str) -> None:
        run.listener(Event("lease.waiting", run.clock.now(), SITE, {"text": text}))

    try:
        return acquire(
            books.authority, holder, float(spec.ledger.lease), run.clock, patience_seconds=patience_seconds, told=told
        )
    except StoreError as error:
        problem = no_authority(replace(books, unread={books.authority.name: str(error)}))
        raise Refused(problem) from error


def no_authority(books: Ledger) -> Problem:
    why = "; ".join(f"{name}: {text}" for name, text in books.unread.items()) or "it is not there"
    return Problem(
        f"the ledger's authority store can't be reached, so nothing may be deployed: {why}",
        "wait for it; or, if it is gone for good, give the other store the authority: arriero lock move",
        key="ledger",
    )


def who() -> str:
    """The user, the machine and the process, for people to find."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()} pid {os.getpid()}"


def commit_of(folder: Path) -> str:
    """The commit of the folder's repository, `+` after it where the folder has changes; empty outside of one."""
    head = _git(folder, "rev-parse", "HEAD")
    return f"{head}+" if head and _git(folder, "status", "--porcelain", "--", ".") else head


def _git(folder: Path, *arguments: str) -> str:
    # A repository's own settings have git run programs: they get no login that a vault gave us.
    own = {name: value for name, value in os.environ.items() if name == "HOME" or name.startswith("GIT_")}
    command, environment = ["git", "-C", str(folder), *arguments], sealed(os.environ, own)
    try:
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return ended.stdout.strip() if ended.returncode == 0 else ""


def _with_stores(run: Run, wish: Wish) -> Wish:
    """The wish with a ledger that can be written: stores that are missing or not as they should be are made first."""
    first = wish.opened.authority
    if not any(plan.changes for plan in wish.plan.stores if plan.cloud == first):
        return wish
    failed = making.make_stores(run, wish.spec, [wish.opened.stores[first]])
    opened = opening.read(wish.spec, wish.accounts)
    if opened.ledger.authority is None:
        raise Refused([*failed, no_authority(opened.ledger)])
    return replace(wish, opened=opened)


def _unmade(wish: Wish) -> list[StoreFacts]:
    """Stores besides the authority that are to be made or changed: with the sites, for nothing waits for them."""
    changed = {plan.cloud for plan in wish.plan.stores if plan.changes}
    return [found for cloud, found in wish.opened.stores.items() if cloud in changed and cloud != wish.opened.authority]


def _with_replica(wish: Wish) -> Wish:
    """With the replica that was made meanwhile; the authority stays the one under whose lease we are."""
    opened = opening.read(wish.spec, wish.accounts)
    books = replace(opened.ledger, authority=wish.opened.ledger.authority)
    return replace(wish, opened=replace(opened, ledger=books))


def standing_after_all(opened: Opened, plan: Plan) -> tuple[str, ...]:
    """The sites of a plan without changes that the newest release has on record as failed: it stands there by now, as
    where its Ansible was killed after the last change. Nothing is to be done but to write that down.
    """
    if opened.last is None or not plan.is_empty:
        return ()
    try:
        last = opened.ledger.release(opened.last.number)
    except ArrieroError:
        return ()  # who can't read it can't write it either
    failed = {name for name, site in last.sites.items() if site.state == "failed"} if last else ()
    return tuple(site.site for site in plan.sites if site.site in failed and site.release == opened.last.number)


def _looked_again(run: Run, wish: Wish, lease: Lease) -> Wish:
    """Facts and plan of now, where somebody deployed since they were read."""
    if text := unfinished(wish, lease):
        release = lease.head.open.release if lease.head.open else wish.plan.release
        run.listener(Event("deployment.unfinished", run.clock.now(), SITE, {"text": text, "release": release}))
    known = wish.opened.last.number if wish.opened.last else 0
    if lease.epoch == wish.opened.epoch + 1 and lease.head.last == known:
        return wish
    opened, facts, plan = wish.again()
    return replace(wish, opened=replace(opened, ledger=wish.opened.ledger), facts=facts, plan=plan)


def unfinished(wish: Wish, lease: Lease) -> str:
    """What the deployment before left, and what becomes of that; empty where it ended."""
    before = lease.head.open
    if before is None:
        sites = ", ".join(standing_after_all(wish.opened, wish.plan))
        return f"release {wish.plan.release} failed at {sites} and stands there by now: it is recorded" if sites else ""
    text = f"{before.who} began release {before.release} at {before.since} and did not end it"
    return f"{text}; {_intent(wish, before.release)}"


def _intent(wish: Wish, open_release: int) -> str:
    if wish.plan.release == open_release:
        return "it is resumed"
    return f"the spec asks for something else: what it left is undone by release {wish.plan.release}"


def _copied(run: Run, books: Ledger, what: str) -> None:
    if why := books.copy():
        text = f"{what} is recorded in one store only: {why}"
        run.listener(Event("ledger.lagging", run.clock.now(), SITE, {"text": text}))


def _draft(run: Run, wish: Wish, now: datetime) -> Record:
    spec = wish.spec
    return Record(
        number=wish.plan.release,
        epoch=0,
        service=spec.name,
        at=now.isoformat(timespec="seconds"),
        who=who(),
        commit=commit_of(run.project.folder),
        spec=record.spec_json(wish.written or spec),
        image=wish.image or spec.image.name,
        digest=spec.image.digest,
        models=tuple(model.name for model in spec.models),
        definitions=_definitions(spec),
        plan=tuple(
            f"{change.site}: {change.action} {change.kind} {change.name}: {change.reason}"
            for site in wish.plan.sites
            for change in site.changes
        ),
        token="",
    )


def _definitions(spec: Spec) -> dict[str, str]:
    sites = [spec.site(name) for name in spec.sites]
    return {site.name: place.definition_hash(place.wanted_of(site.cloud).definition(site)) for site in sites}


def _site_release(plan: SitePlan, found: SiteFacts, is_done: bool, definition: str) -> SiteRelease:
    task = found.find("aws.task_definition")
    kinds = ("azure.container_group", "azure.container_app", "azure.virtual_machine", "local.server")
    groups = [r.name for r in found.resources if r.kind in kinds and r.tags.get("arriero-release") == str(plan.release)]
    return SiteRelease(
        site=plan.site,
        cloud=plan.cloud,
        region=plan.region,
        state="done" if is_done else "failed",
        targets=found.count,
        definition=definition,
        task_definition=str(task.details["arn"]).rpartition("/")[2] if task else "",
        groups=tuple(sorted(groups)),
    )


def _models(wish: Wish, after: Facts) -> Mapping[str, str]:
    """The digest of each model, as the first ready server that was asked told it."""
    ready = [t.address for found in after.sites.values() for t in found.targets if t.state == "ready" and t.address]
    names = {model.name for model in wish.spec.models}
    told = wish.digests(ready[0]) if ready else {}
    return {name: digest for name, digest in told.items() if name in names}


def _changed(plan: Plan) -> Collection[str]:
    return {site.site for site in plan.sites if site.steps and not site.is_leaving and not site.problem}
