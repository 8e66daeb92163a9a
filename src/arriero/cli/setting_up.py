"""Verbs about this installation: setup, version."""

from __future__ import annotations

import json

import typer

import arriero
from arriero.cli.options import Json


def register(app: typer.Typer) -> None:
    app.command()(setup)
    app.command()(version)


def setup() -> None:
    """Bring the Ansible collections in use, once for each environment.

    Example: [bold]arriero setup[/bold]
    """
    from arriero.deploy import collections

    print(collections.install().sentence)


def version(as_json: Json = False) -> None:
    """Print the version.

    Example: [bold]arriero version --json[/bold]
    """
    print(json.dumps({"schema": 1, "version": arriero.__version__}) if as_json else f"arriero {arriero.__version__}")
