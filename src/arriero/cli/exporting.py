"""The verb export: files made from the spec."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from arriero.cli.here import SecretsUnread, load_project, opened
from arriero.cli.options import File, Json, Overlay, Rehearse, VaultPassword
from arriero.cli.sites import read_sites
from arriero.pipeline import export as exports

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
) -> int:
    """Write files made from the spec, with no secret in them: the same each time, so they can be kept in git.

    The kind terraform reads the clouds for what stands there, and writes without it, saying so, where they are out of
    reach.

    Example: [bold]arriero export gateway --out gateway[/bold]
    """
    chosen = exports.kind_of(kind)
    if chosen.from_facts:
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
