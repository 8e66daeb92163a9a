"""The verbs of long-running programs: gateway run, controller run."""

from __future__ import annotations

import signal
import threading
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from arriero.cli.here import SecretsUnread, opened
from arriero.cli.options import File, Overlay, Rehearse, VaultPassword

gateway = typer.Typer(help="The gateway before the Ollama servers.", no_args_is_help=True)
controller = typer.Typer(help="The loop that keeps the gateway's list of targets true.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(gateway, name="gateway")
    app.add_typer(controller, name="controller")


@gateway.command("run")
def run_gateway(config: Annotated[Path, typer.Option("--config", help="The settings file.")]) -> int:
    """Serve until SIGTERM, then let open streams end. `arriero up` does this by itself on this machine.

    Example: [bold]arriero gateway run --config gateway.json[/bold]
    """
    from arriero.gateway.main import run

    return run(config)


@controller.command("run")
def run_controller(
    file: File = None, overlay: Overlay = None, rehearse: Rehearse = False, vault_password_file: VaultPassword = None
) -> int:
    """Read all sites every two seconds and tell the gateway which targets there are. SIGHUP: read the spec anew.

    Example: [bold]arriero controller run[/bold]
    """
    from arriero.deploy import edge
    from arriero.observe import discovery

    is_told = threading.Event()
    signal.signal(signal.SIGHUP, lambda _number, _frame: is_told.set())
    while True:
        is_told.clear()
        with opened(file, overlay, rehearse, vault_password=vault_password_file, secrets=SecretsUnread()) as here:
            discovery.run(here.spec, partial(edge.client, here.project), is_ended=is_told.is_set)
