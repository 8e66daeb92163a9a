"""The verbs of programs that run on: gateway run, gateway edge, gateway sidecar and its jobs, controller run."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from arriero.cli.here import SecretsUnread, opened
from arriero.cli.options import File, Overlay, Rehearse, VaultPassword
from arriero.clock import SystemClock
from arriero.control.client import Gateway, GatewayError
from arriero.errors import Problem, Refused

gateway = typer.Typer(help="The gateway before the Ollama servers.", no_args_is_help=True)
controller = typer.Typer(
    help="The loop that keeps the gateway's list of targets true, and scales.", no_args_is_help=True
)

RESTART_SECONDS = 40.0


def register(app: typer.Typer) -> None:
    app.add_typer(gateway, name="gateway")
    app.add_typer(controller, name="controller")


@gateway.command("run")
def run_gateway(
    config: Annotated[Path, typer.Option("--config", help="The settings file.")],
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="How many processes serve.", show_default=False)
    ] = None,
) -> int:
    """Serve until SIGTERM, then let open streams end. `arriero up` does this by itself on this machine.

    Paths in the settings start at the folder of their file, as `arriero export gateway` writes it.

    Example: [bold]arriero gateway run --config gateway.json[/bold]
    """
    from arriero.gateway.main import run

    _enter_folder_of(config)
    return run(Path(config.name), workers)


@gateway.command("restart")
def restart_gateway(config: Annotated[Path, typer.Option("--config", help="The settings file.")]) -> int:
    """Have a new process take over, with the settings as they are now; no connection is lost. Ends when it serves.

    Example: [bold]arriero gateway restart --config gateway.json[/bold]
    """
    running, clock = client_of(config), SystemClock()
    former = running.restart()
    deadline = clock.monotonic() + RESTART_SECONDS
    while clock.monotonic() < deadline:
        with contextlib.suppress(GatewayError):
            pid = running.status().pid
            if pid != former:
                typer.echo(f"process {pid} serves; process {former} ends with its last stream")
                return 0
        clock.sleep(0.1)
    raise Refused(Problem("no new process serves", "read the gateway's log for why", file=str(config)))


@gateway.command("sidecar")
def run_sidecar(
    with_ollama: Annotated[
        bool, typer.Option("--with-ollama", help="Start `ollama serve`, too, and end with it: one container for both.")
    ] = False,
) -> int:
    """Stand beside one Ollama: count its slots, tell its state and figures. Settings come from the environment.

    Example: [bold]ARRIERO_LISTEN=127.0.0.1:11434 ARRIERO_OLLAMA_ADDRESS=127.0.0.1:11435 arriero gateway sidecar[/bold]
    """
    from arriero.gateway.sidecar import main, together

    return together.run(os.environ) if with_ollama else main.run(os.environ)


@gateway.command("edge")
def run_edge() -> int:
    """Serve before targets that are found by a name in DNS, with settings and keys from the environment: a container
    of its own, as `arriero up` starts some behind a load balancer with ingress.alb.edges.

    Example: [bold]ARRIERO_SETTINGS="$(cat gateway.json)" ARRIERO_KEYS="$(cat keys.json)" arriero gateway edge[/bold]
    """
    from arriero.gateway.edge.main import run

    return run(os.environ)


@gateway.command("lay-models")
def lay_models() -> int:
    """Lay out the models of an image and of a site's storage where Ollama reads them. The first container of a target
    whose spec says `from: storage` runs this; settings come from the environment.

    Example: [bold]ARRIERO_STORAGE=/storage ARRIERO_SHELF=/tmp/shelf arriero gateway lay-models[/bold]
    """
    from arriero.gateway.stored.main import run_lay

    return run_lay(os.environ)


@gateway.command("seed-models")
def seed_models() -> int:
    """Have the Ollama beside it pull models into a site's storage. The job of `arriero up` runs this; settings come
    from the environment.

    Example: [bold]ARRIERO_SEEDS='[{"name": "llama2", "pull": "llama2"}]' arriero gateway seed-models[/bold]
    """
    from arriero.gateway.stored.main import run_seed

    return run_seed(os.environ)


@gateway.command("clean-models")
def clean_models() -> int:
    """Take models out of a site's storage, or tell what is there. The job of `arriero models` runs this; settings come
    from the environment.

    Example: [bold]ARRIERO_CLEANING='{"gone": [], "kept": [], "list": true}' arriero gateway clean-models[/bold]
    """
    from arriero.gateway.stored.main import run_clean

    return run_clean(os.environ)


@controller.command("run")
def run_controller(
    file: File = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    vault_password_file: VaultPassword = None,
    gateway: Annotated[
        Path | None, typer.Option("--gateway", help="Settings of the gateway to tell, if not up's.", show_default=False)
    ] = None,
) -> int:
    """Read all sites every two seconds, tell the gateway which targets there are, and start and stop targets by its
    load; change roles when an active site is lost. SIGHUP: read the spec anew.

    Example: [bold]arriero controller run[/bold]
    """
    from arriero.cli.controlling import Learnt, control

    theirs, access_log = (client_of(gateway), access_log_of(gateway)) if gateway else (None, None)
    is_told = threading.Event()
    signal.signal(signal.SIGHUP, lambda _number, _frame: is_told.set())
    signal.signal(signal.SIGTERM, _end)
    learnt = Learnt()
    while True:
        is_told.clear()
        with opened(file, overlay, rehearse, vault_password=vault_password_file, secrets=SecretsUnread()) as here:
            control(here, (lambda: theirs) if theirs else None, learnt, is_told.is_set, access_log)


def _end(_number: int, _frame: object) -> None:
    raise SystemExit(0)


def client_of(config: Path) -> Gateway:
    """Who takes orders for the gateway of that settings file."""
    from arriero.gateway.config import load, read_token

    settings = load(config)
    return Gateway(f"http://{settings.control}", read_token(config.parent / settings.admin_token_file))


def access_log_of(config: Path) -> Path | None:
    """The file of that gateway's log; None where it writes none."""
    from arriero.gateway.config import load

    named = load(config).access_log
    return None if named in ("", "-") else config.parent / named


def _enter_folder_of(config: Path) -> None:
    try:
        os.chdir(config.parent)
    except OSError as error:
        raise Refused(Problem(f"can't be entered: {error.strerror}", "name another file", file=str(config))) from None
