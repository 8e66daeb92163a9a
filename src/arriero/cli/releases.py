"""The verbs that read the ledger: history, show, diff; and promote, which moves the stable release."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from arriero.cli.here import Here, opened
from arriero.cli.options import File, Json, Overlay, Rehearse
from arriero.clouds import read
from arriero.errors import Problem, Refused
from arriero.releases import opening
from arriero.releases.ledger import Ledger
from arriero.releases.record import Release

Number = Annotated[int, typer.Argument(help="A release's number.", show_default=False)]
Parts = Annotated[
    Path | None,
    typer.Option("--sbom", help="Write the list of its image's parts here (CycloneDX).", metavar="FILE"),
]


def register(app: typer.Typer) -> None:
    app.command()(history)
    app.command()(show)
    app.command()(diff)


def history(file: File = None, overlay: Overlay = None, rehearse: Rehearse = False, as_json: Json = False) -> int:
    """List what was released: number, when, by whom, image, and how it ended at each site.

    Example: [bold]arriero history[/bold]
    """
    with opened(file, overlay, rehearse) as here:
        books = ledger(here)
        found = books.releases()
        stable = books.head().stable if found else None
        if as_json:
            rows = [{**release.as_json(), "stable": release.number == stable} for release in found]
            print(json.dumps({"schema": 1, "service": here.spec.name, "releases": rows}))
        else:
            print("\n".join(history_lines(found, stable, books)))
        return 0


def show(
    number: Number,
    file: File = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    as_json: Json = False,
    sbom: Parts = None,
) -> int:
    """Print one release: what it was made from, what stood where, what was measured.

    Example: [bold]arriero show 7 --sbom parts.json[/bold]
    """
    with opened(file, overlay, rehearse) as here:
        books = ledger(here)
        release = one(books, number)
        if sbom:
            write_parts(books, release, sbom)
        if as_json:
            print(json.dumps({"schema": 1, **release.as_json()}))
        else:
            print("\n".join(release_lines(release, books)))
        return 0


def write_parts(books: Ledger, release: Release, file: Path) -> None:
    """Raises Refused where the image's list of parts was not kept."""
    from arriero.pipeline.image.syft import write_whole

    found = books.parts(release.digest)
    if found is None:
        what = f"no list of parts was kept of the image of release {release.number}"
        raise Refused(Problem(what, "scan before up --pushed: arriero image scan", "--sbom"))
    write_whole(file, found.decode())


def diff(
    first: Number,
    second: Number,
    file: File = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    as_json: Json = False,
) -> int:
    """Print in which lines the specs of two releases differ.

    Example: [bold]arriero diff 6 7[/bold]
    """
    with opened(file, overlay, rehearse) as here:
        books = ledger(here)
        before, after = one(books, first), one(books, second)
        lines = diff_lines(before, after)
        if as_json:
            print(json.dumps({"schema": 1, "from": first, "to": second, "lines": lines}))
        else:
            print("\n".join(lines) if lines else f"Releases {first} and {second} have the same spec.")
        return 0


def ledger(here: Here) -> Ledger:
    """The project's ledger, with a word on stderr for each store that can't be read. Raises where none can."""
    found = opening.read(here.spec, read.check_accounts(here.spec, here.endpoints)).ledger
    for name, why in found.unread.items():
        print(f"! the ledger's store at {name} can't be read: {why}", file=sys.stderr)
    return found


def one(books: Ledger, number: int) -> Release:
    """The release; Refused, with what there is, where there is none of that number."""
    release = books.release(number)
    if release is None:
        last = books.head().last
        remedy = f"there are 1 to {last}: arriero history" if last else "nothing was released yet"
        raise Refused(Problem(f"there is no release {number}", remedy))
    return release


def history_lines(found: Sequence[Release], stable: int | None, books: Ledger) -> list[str]:
    """Newest first, a line a release and a line a site that failed."""
    if not found:
        return ["Nothing was released yet."]
    lines = []
    for release in reversed(found):
        mark = " stable" if release.number == stable else ""
        only = _only(release, books)
        commit = f" {release.commit[:9]}{release.commit[40:]}" if release.commit else ""
        at, image = f"{release.at:%Y-%m-%d %H:%M:%S}Z", _image(release)
        lines.append(f"{release.number:>4}  {at}  {release.state:<6} {image}{commit}  {release.who}{mark}{only}")
        lines += [f"      {name}: failed" for name, site in release.sites.items() if site.state == "failed"]
    return lines


def release_lines(release: Release, books: Ledger) -> list[str]:
    digest = f" ({release.digest or 'by its tag: which digest that was is not known'})"
    ended = f", ended {release.ended_at:%Y-%m-%d %H:%M:%S}Z" if release.ended_at else ""
    lines = [
        f"Release {release.number} of {release.service}: {release.state}{_only(release, books)}",
        f"  begun {release.at:%Y-%m-%d %H:%M:%S}Z by {release.who}{ended}",
        f"  commit {release.commit or 'none: the spec is in no git repository'}",
        f"  image {release.image}{digest}",
        *(f"  model {model['name']} {model['digest']}".rstrip() for model in release.models),
    ]
    for name, site in release.sites.items():
        things = ", ".join(filter(None, [site.task_definition, *site.groups])) or "nothing"
        where = f"{site.cloud} {site.region}".strip()
        lines.append(f"  {name} ({where}): {site.state}, {site.targets} target(s): {things}")
    lines += [f"  measured: {json.dumps(dict(figures))}" for figures in release.figures]
    return [*lines, *(["  the plan:"] if release.plan else []), *(f"    {line}" for line in release.plan)]


def diff_lines(before: Release, after: Release) -> list[str]:
    old, new = (json.dumps(dict(one.spec), indent=2, sort_keys=True).splitlines() for one in (before, after))
    heads = (f"release {before.number}", f"release {after.number}")
    return list(difflib.unified_diff(old, new, *heads, lineterm="", n=2))


def _image(release: Release) -> str:
    """As it was written, and the start of the digest where that says something new."""
    if not release.digest or "@" in release.image:
        return release.image
    return f"{release.image}@{release.digest[:19]}"


def _only(release: Release, books: Ledger) -> str:
    """Says so where a store has not acknowledged the release."""
    missing = {store.name for store in books.stores} | set(books.unread)
    missing -= set(release.stores)
    return f"  [only {', '.join(release.stores)} has it]" if missing else ""
