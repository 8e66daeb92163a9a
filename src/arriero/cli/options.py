"""The options that verbs share, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from arriero.cli import completing
from arriero.spec.units import Duration

File = Annotated[
    Path | None,
    typer.Option("-f", "--file", help="The spec file. Default: arriero.yaml here or above.", show_default=False),
]
Overlay = Annotated[
    str | None,
    typer.Option("-e", "--env", help="Merge arriero.ENV.yaml over the spec.", metavar="ENV", show_default=False),
]
Rehearse = Annotated[
    bool, typer.Option("--rehearse", envvar="ARRIERO_REHEARSE", help="Act on the local stage, not on real clouds.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Yes = Annotated[bool, typer.Option("-y", "--yes", help="Do not ask. Needed where there is no terminal.")]
Sites = Annotated[
    list[str] | None,
    typer.Option(
        "--site", help="Only this site (may be repeated).", show_default=False, autocompletion=completing.sites
    ),
]
FileLong = Annotated[
    Path | None, typer.Option("--file", help="The spec file. Default: arriero.yaml here or above.", show_default=False)
]
VaultPassword = Annotated[
    Path | None,
    typer.Option(
        "--vault-password-file",
        help="The file with the password of the spec's vaults, or a program that prints it.",
        show_default=False,
    ),
]


def _duration(text: str) -> float:
    """Seconds; on the command line as in the spec."""
    try:
        return float(Duration.parse(text))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


Wait = Annotated[
    float | None,
    typer.Option(
        "--wait", help="How long to wait for another deployment, like 10m.", parser=_duration, metavar="DURATION"
    ),
]
