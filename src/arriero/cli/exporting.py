"""The verb export: files made from the spec."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from arriero.cli.here import Here, SecretsUnread, load_project, opened
from arriero.cli.options import File, Json, Overlay, Rehearse, VaultPassword
from arriero.cli.sites import read_sites
from arriero.clock import SystemClock
from arriero.errors import Problem, Refused
from arriero.events import Event
from arriero.pipeline import export as exports
from arriero.pipeline.prometheus import targets

PENDING = 2
KINDS = "; ".join(f"{name}: {kind.summary}" for name, kind in exports.KINDS.items())


def register(app: typer.Typer) -> None:
    app.command()(export)


def export(
    kind: Annotated[
        str, typer.Argument(help=f"What to write. {KINDS}.", metavar="KIND", autocompletion=lambda: list(exports.KINDS))
    ],
    out: Annotated[Path, typer.Option("--out", help="The folder to write into.", metavar="DIR")],
    file: File = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    vault_password_file: VaultPassword = None,
    as_json: Json = False,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit code 2 if a file differs.")] = False,
    watch: Annotated[
        bool, typer.Option("-w", "--watch", help="Of targets: go on, and write anew when others stand there.")
    ] = False,
) -> int:
    """Write files made from the spec, with no secret in them: the same each time, so they can be kept in git.

    The kind terraform reads the clouds for what stands there, and writes without it, saying so, where they are out of
    reach. The kind targets is nothing but that, and keeps what the file has of a site that is out of reach.

    Example: [bold]arriero export gateway --out gateway[/bold]

    Example: [bold]arriero export targets --out /etc/prometheus/targets --watch[/bold]
    """
    chosen = exports.kind_of(kind)
    if watch and (check or not chosen.live):
        raise Refused(
            Problem("only what stands can be watched", "arriero export targets --watch, without --check", "-w")
        )
    if chosen.live:
        with opened(file, overlay, rehearse, vault_password=vault_password_file, secrets=SecretsUnread()) as here:
            files = _live(here, out, watch, as_json)
    elif chosen.from_facts:
        with opened(file, overlay, rehearse, vault_password=vault_password_file, secrets=SecretsUnread()) as here:
            facts = read_sites(here)
            files = exports.contents(chosen, here.spec, here.project.folder, out, facts)
    else:
        project, loaded = load_project(file, overlay, SecretsUnread())
        files = exports.contents(chosen, loaded.spec, project.folder, out)
    states = (exports.look if check else exports.write)(files, out)
    if as_json:
        rows = [{"name": name, "state": state} for name, state in states.items()]
        print(json.dumps({"schema": 1, "kind": kind, "out": str(out), "files": rows}))
    else:
        print("\n".join(f"{out / name}: {state}" for name, state in states.items()))
        if not check:
            print(chosen.next)
    return PENDING if check and set(states.values()) != {"same"} else 0


def _live(here: Here, out: Path, watch: bool, as_json: bool) -> exports.Contents:
    """What stands now; with `watch` it goes on until it is interrupted."""
    # It has a cloud's SDK imported, which takes longer than the other kinds' files.
    from arriero.cli.roles import books_for_roles, with_roles

    spec = with_roles(here, books_for_roles(here)).spec
    if watch:
        targets.keep(spec, out, SystemClock(), _say, partial(_written, out, as_json))
    return targets.files(spec, out, SystemClock(), _say)


def _say(event: Event) -> None:
    if event.kind == "site.unread":
        print(f"! {event.fields['text']}", file=sys.stderr, flush=True)


def _written(out: Path, as_json: bool, count: int) -> None:
    path = out / targets.FILE
    told = {"schema": 1, "name": targets.FILE, "state": "written", "targets": count}
    print(json.dumps(told) if as_json else f"{path}: written, {count} targets", flush=True)
