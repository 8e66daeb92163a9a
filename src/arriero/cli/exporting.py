"""The verb export: files made from the spec."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from arriero.cli.here import SecretsUnread, load_project
from arriero.cli.options import File, Json, Overlay
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
    as_json: Json = False,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit code 2 if a file differs.")] = False,
) -> int:
    """Write files made from the spec, with no secret in them: the same each time, so they can be kept in git.

    Example: [bold]arriero export gateway --out gateway[/bold]
    """
    chosen = exports.kind_of(kind)
    project, loaded = load_project(file, overlay, SecretsUnread())
    states = (exports.look if check else exports.write)(chosen, loaded.spec, project.folder, out)
    if as_json:
        rows = [{"name": name, "state": state} for name, state in states.items()]
        print(json.dumps({"schema": 1, "kind": kind, "out": str(out), "files": rows}))
    else:
        print("\n".join(f"{out / name}: {state}" for name, state in states.items()))
        if not check:
            print(chosen.next)
    return PENDING if check and set(states.values()) != {"same"} else 0
