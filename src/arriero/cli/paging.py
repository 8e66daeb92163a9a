"""The verb ui: the web page, a process of its own."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arriero.cli.here import SecretsUnread, is_staged, load_project
from arriero.cli.options import File, Overlay, Rehearse
from arriero.cli.topping import Looking
from arriero.clock import SystemClock
from arriero.control.client import Gateway
from arriero.deploy import edge
from arriero.deploy.project import Project
from arriero.errors import ArrieroError, Problem, Refused
from arriero.gateway.access.sources import Sources
from arriero.observe.asking import stream
from arriero.secret import Secret
from arriero.spec.load import Loaded

if TYPE_CHECKING:
    from arriero.ui.page.desk import Ask, Desk
    from arriero.ui.page.frame import Place

PORT = 11480
GIVES_WAY = 10
LOOPBACK = ("127.0.0.1", "localhost", "::1")
REPORTS, DRILLS = "reports", "drills"


def register(app: typer.Typer) -> None:
    app.command()(ui)


def ui(
    file: File = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where it listens.")] = PORT,
    address: Annotated[str, typer.Option(help="The address it listens at; others than this machine's need keys.")] = (
        "127.0.0.1"
    ),
    host: Annotated[
        list[str] | None,
        typer.Option(help="A name by which browsers call it (may be repeated).", metavar="NAME", show_default=False),
    ] = None,
    prefix: Annotated[str, typer.Option(help="The path it stands below, like /arriero, behind a proxy.")] = "",
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            help="A proxy, or a range, whose X-Forwarded-For says who asks (may be repeated).",
            metavar="RANGE",
            show_default=False,
        ),
    ] = None,
    reports: Annotated[
        list[Path] | None,
        typer.Option(help="A folder of reports to show besides .arriero/reports.", metavar="DIR", show_default=False),
    ] = None,
) -> None:
    """Serve the web page: the fleet, its load, releases, a deployment's progress, drift, money, a box to try a model.

    Who has a key with the role viewer may look, with the role admin act; without any keys this machine may look. Needs
    the extra `ui`.

    Example: [bold]arriero ui --port 8080[/bold]
    """
    project, loaded = load_project(file, overlay, SecretsUnread())
    below, trusted = _checked_prefix(prefix), _checked_proxies(trusted_proxy or [])
    desk = _desk(project, loaded, is_staged(loaded.spec, rehearse), below, reports or [])
    if address not in LOOPBACK and not desk.doors.has_keys:
        what = f"{address} can be reached from other machines, and there are no API keys"
        raise Refused(Problem(what, "make one with: arriero keys add NAME --role viewer", "--address"))
    _refuse_taken(address, port)
    # On a busy machine the gateway's streams go first, before the page and what it asks.
    os.nice(GIVES_WAY)
    # Imported late: no other verb needs it.
    from arriero.ui.page.serving import serve

    typer.echo(f"The page is at http://{address}:{port}{below}/ (Ctrl-C ends it).", err=True)
    serve(desk, address, port, host or (), trusted)


def _desk(project: Project, loaded: Loaded, staged: bool, prefix: str, reports: list[Path]) -> Desk:
    from arriero.ui.page.acting import Acts
    from arriero.ui.page.audit import Audit
    from arriero.ui.page.desk import Desk
    from arriero.ui.page.doors import Doors
    from arriero.ui.page.runs import Runs
    from arriero.ui.page.shelf import Shelf
    from arriero.ui.page.verbs import Verbs
    from arriero.ui.page.watch import Watch

    spec, clock, state = loaded.spec, SystemClock(), project.make_state()
    keys = project.file(spec.gateway.keys) if spec.gateway.keys else project.keys
    return Desk(
        service=spec.name,
        where="the stage" if staged else ", ".join(f"{cloud} {each}" for cloud, each in _accounts(loaded).items()),
        models=tuple(model.name for model in spec.models),
        sites=tuple(spec.sites),
        doors=Doors(keys, state / "ui" / "secret", clock.now, clock.monotonic),
        acts=Acts(Audit(state / "ui" / "audit.jsonl"), clock.now),
        verbs=Verbs(project.folder, _options(project, staged)),
        watch=Watch(Looking(project).look, _places(loaded), Runs(state / "runs"), clock.now),
        shelf=Shelf([state / REPORTS, state / DRILLS, *(folder.absolute() for folder in reports)]),
        gateway=lambda: _gateway(project),
        ask=_ask(project, loaded),
        now=clock.now,
        prefix=prefix,
    )


def _options(project: Project, staged: bool) -> list[str]:
    options = ["--file", str(project.spec)]
    options += ["--env", project.overlay] if project.overlay else []
    return [*options, "--rehearse"] if staged else options


def _places(loaded: Loaded) -> Callable[[], Mapping[str, Place]]:
    from arriero.ui.page.frame import Place

    sites = [loaded.spec.site(name) for name in loaded.spec.sites]
    known = {site.name: Place(site.cloud, site.region, site.role) for site in sites}
    return lambda: known


def _accounts(loaded: Loaded) -> Mapping[str, str]:
    pinned = loaded.spec.accounts
    found = {cloud: str(getattr(pinned, cloud, None) or "") for cloud in ("aws", "azure")} if pinned else {}
    return {cloud: each for cloud, each in found.items() if each} or {"this machine's": "accounts"}


def _gateway(project: Project) -> Gateway:
    found = edge.client(project)
    if found is None:
        raise ArrieroError(Problem("no gateway of this project runs here", "start it with: arriero up"))
    return found


def _ask(project: Project, loaded: Loaded) -> Ask:
    tls = loaded.spec.gateway.tls
    certificate = project.file(tls.certificate) if tls else None

    def ask(model: str, prompt: str, site: str, key: Secret) -> Generator[tuple[str, str]]:
        running = edge.find(project)
        if running is None:
            raise ArrieroError(Problem("no gateway is running here", "start it with: arriero up"))
        body = {"model": model, "messages": [{"role": "user", "content": prompt}]}
        for line, headers in stream(running.url, body, key, certificate, site):
            said = f"answered by {headers.get('X-Arriero-Target')} at {headers.get('X-Arriero-Site')}"
            yield str(line.get("message", {}).get("content", "")), said

    return ask


def _checked_prefix(prefix: str) -> str:
    """Without its last slash; empty for none."""
    below = prefix.rstrip("/")
    parts = below.split("/")[1:]
    if below and (
        not below.startswith("/") or not all(p and p.isascii() and p.replace("-", "").isalnum() for p in parts)
    ):
        what = f"{prefix!r} is not a path of letters, digits and dashes"
        raise Refused(Problem(what, "write it like /arriero", "--prefix"))
    return below


def _checked_proxies(ranges: Sequence[str]) -> Sources:
    try:
        return Sources(ranges)
    except ValueError as error:
        raise Refused(Problem(str(error), "write it like 127.0.0.1, or 10.0.0.0/8", "--trusted-proxy")) from None


def _refuse_taken(address: str, port: int) -> None:
    """Said before NiceGUI is begun; who takes it in between is told by the web server."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            what = f"{address}:{port} can't be listened at: {error.strerror}"
            raise Refused(Problem(what, "choose another with --port or --address", "--port")) from None
