"""The verbs of the lease: lock status, break and move; and promote, which is written under it."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from arriero.cli.deploying import confirm
from arriero.cli.here import Here, opened
from arriero.cli.options import File, Json, Overlay, Rehearse, Yes
from arriero.cli.progress import Progress
from arriero.cli.releases import one
from arriero.clock import SystemClock
from arriero.clouds import read
from arriero.deploy import engine, releasing
from arriero.errors import ArrieroError, Problem, Refused
from arriero.releases import authority, merging, opening
from arriero.releases.ledger import unwritten
from arriero.releases.opening import Opened
from arriero.releases.record import spec_of
from arriero.releases.store import Store, StoreError

lock = typer.Typer(help="Who may deploy: the lease, and the store that decides.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.command()(promote)
    lock.command()(status)
    lock.command(name="break")(break_lease)
    lock.command()(move)
    app.add_typer(lock, name="lock")


def promote(
    number: Annotated[int | None, typer.Argument(help="By default the newest release.", show_default=False)] = None,
    file: File = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    as_json: Json = False,
    yes: Yes = False,
) -> int:
    """Make a release the stable one: what `rollback stable` goes back to, named stable-v<n> in its registries.

    Example: [bold]arriero promote 7 --yes[/bold]
    """
    from arriero.pipeline.image import stable

    with opened(file, overlay, rehearse) as here:
        found = _open(here)
        release = one(found.ledger, found.ledger.head().last if number is None else number)
        number = release.number
        if release.state != "done":
            state = "its deployment has not ended" if release.state == "begun" else "it failed at some site"
            raise Refused(Problem(f"release {number} can't be stable: {state}", "choose another: arriero history"))
        confirm(f"Make release {number} the stable one?", yes)
        with Progress((), as_json) as progress:
            run = engine.Run(here.project, here.endpoints.environment, progress)
            lease = releasing.take(found.ledger, run, here.spec, "promote")
            try:
                found.ledger.promote(lease, number, releasing.who(), SystemClock().now())
            finally:
                lease.release()
        found.ledger.copy()
        marked = stable.mark(spec_of(release), release.digest, lambda place: place.insecure or not here.is_staged)
        if as_json:
            told = {"stable": number, "tag": marked.tag or None, "notes": list(marked.notes)}
            print(json.dumps({"schema": 1, **told}))
        else:
            named = f"; its image is named {marked.tag}" if marked.tag else ""
            print(f"Release {number} is stable now{named}.")
            print("".join(f"! {note}\n" for note in marked.notes), end="", file=sys.stderr)
        return 0


def status(file: File = None, overlay: Overlay = None, rehearse: Rehearse = False, as_json: Json = False) -> int:
    """Say who holds the lease, since when, and which store decides.

    Example: [bold]arriero lock status[/bold]
    """
    with opened(file, overlay, rehearse) as here:
        found = _open(here)
        head = found.ledger.head() if found.ledger.stores else found.head
        if as_json:
            document = {
                "schema": 1,
                "authority": found.authority,
                "answers": found.ledger.authority is not None,
                "epoch": head.epoch,
                "holder": {"who": head.holder.who, "verb": head.holder.verb, "since": head.holder.since}
                if head.holder
                else None,
                "unfinished": {"release": head.open.release, "who": head.open.who, "since": head.open.since}
                if head.open
                else None,
                "last": head.last,
                "stable": head.stable,
                "unread": dict(found.ledger.unread),
                "only_in_the_other": list(_stray(found)),
            }
            print(json.dumps(document))
        else:
            print("\n".join(_lines(found)))
        return 0


def break_lease(
    file: File = None, overlay: Overlay = None, rehearse: Rehearse = False, as_json: Json = False, yes: Yes = False
) -> int:
    """Take the lease from whoever holds it. A dead holder's ends by itself: this is for one that must not go on.

    Example: [bold]arriero lock break[/bold]
    """
    with opened(file, overlay, rehearse) as here:
        found = _open(here)
        if found.ledger.authority is None:
            raise Refused(releasing.no_authority(found.ledger))
        holder = found.ledger.head().holder
        if holder:
            confirm(f"{holder.sentence}. Take it away?", yes)
        was = authority.break_lease(found.ledger.authority)
        print(json.dumps({"schema": 1, "was": was.who}) if as_json else f"{was.who} holds the lease no longer.")
        return 0


def move(
    epoch: Annotated[int, typer.Option("--epoch", help="The epoch from which the other store decides.")],
    file: File = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    as_json: Json = False,
    yes: Yes = False,
) -> int:
    """Give the other store the authority. Refused while the one that has it answers.

    Example: [bold]arriero lock move --epoch 10012[/bold]
    """
    with opened(file, overlay, rehearse) as here:
        found = _open(here)
        if found.ledger.authority is not None:
            raise Refused(Problem(f"the store at {found.authority} has the authority, and answers", "leave it there"))
        if found.ledger.replica is None:
            raise Refused(Problem("no other store can be reached", "see that one can: arriero doctor", key="ledger"))
        name = found.ledger.replica.name
        try:
            authority.refuse_too_soon(found.ledger.replica, epoch)
        except StoreError as error:
            raise ArrieroError(unwritten(name, str(error))) from error
        confirm(f"What only the store at {found.authority} knows is set aside. Give {name} the authority?", yes)
        authority.move(found.ledger.replica, epoch)
        words = f"The store at {name} has the authority from epoch {epoch} on."
        print(json.dumps({"schema": 1, "authority": name, "epoch": epoch}) if as_json else words)
        return 0


def _open(here: Here) -> Opened:
    return opening.read(here.spec, read.check_accounts(here.spec, here.endpoints))


def stray_lines(authority: Store, other: Store) -> list[str]:
    """What the other store has of releases that count no more, a line each."""
    return [_stray_line(other, key) for key in merging.only_there(authority, other)]


def _stray_line(other: Store, key: str) -> str:
    record = merging.record_there(other, key)
    what = f"release {record.number} by {record.who} ({record.image}, {record.at})" if record else "what can't be read"
    return f"! only the store at {other.name} has {key}, {what}: it was written where the authority was no more"


def _stray(found: Opened) -> tuple[str, ...]:
    first, other = found.ledger.authority, found.ledger.replica
    return tuple(merging.only_there(first, other)) if first and other else ()


def _lines(found: Opened) -> list[str]:
    books = found.ledger
    head = books.head() if books.stores else found.head
    answers = "" if books.authority else ", and does not answer"
    lines = [
        f"The store at {found.authority} has the authority{answers}; epoch {head.epoch}, last release {head.last}."
    ]
    lines.append(f"The lease: {head.holder.sentence}." if head.holder else "Nobody holds the lease.")
    if head.open:
        what = f"release {head.open.release}, begun by {head.open.who} at {head.open.since}"
        lines.append(f"A deployment has not ended: {what}; the next `arriero up` resumes or undoes it.")
    lines += [f"! {name}: {why}" for name, why in books.unread.items()]
    if books.authority and books.replica:
        lines += stray_lines(books.authority, books.replica)
    return lines
