"""The verbs of the stage: rehearse start, stop, status, fault, reset."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from arriero.cli import completing
from arriero.cli.deploying import confirm
from arriero.cli.here import SecretsUnread, load_project
from arriero.cli.options import File, Json, Overlay, Yes
from arriero.errors import Problem, Refused
from arriero.rehearse.emulator import Fault, FaultKind
from arriero.rehearse.stage import Stage
from arriero.spec.units import Percent

KINDS = get_args(FaultKind)
verbs = typer.Typer(help="The local stage: emulated clouds that start real servers.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(verbs, name="rehearse")


def _stage(file: File, overlay: Overlay) -> Stage:
    project, _ = load_project(file, overlay, SecretsUnread())
    project.make_state()
    return Stage(project.stage)


@verbs.command()
def start(
    file: File = None,
    overlay: Overlay = None,
    permissions: Annotated[
        Path | None,
        typer.Option(
            "--permissions",
            help="Allow only what the policies in this folder do, as `arriero export iam` writes them; without it all.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Start the stage; its clouds hold what they held when it stopped.

    Example: [bold]arriero rehearse start --permissions iam[/bold]
    """
    stage = _stage(file, overlay)
    stage.ensure()
    stage.permit(permissions)
    print(f"The stage is up: {stage.endpoints(os.environ).environment['AWS_ENDPOINT_URL']}")


@verbs.command()
def stop(file: File = None, overlay: Overlay = None) -> None:
    """Stop the stage and every server on it; what was created stays on disk.

    Example: [bold]arriero rehearse stop[/bold]
    """
    _stage(file, overlay).stop()
    print("The stage is down.")


@verbs.command()
def status(file: File = None, overlay: Overlay = None, as_json: Json = False) -> None:
    """Say whether the stage runs, and list its server processes.

    Example: [bold]arriero rehearse status --json[/bold]
    """
    stage = _stage(file, overlay)
    rows = stage.containers() if stage.is_running() else []
    if as_json:
        servers = [
            {"target": r.target, "container": r.container, "cloud": r.cloud, "region": r.region, "address": r.address,
             "pid": r.pid, "engine": r.engine}
            for r in rows
        ]  # fmt: skip
        print(json.dumps({"schema": 1, "running": stage.is_running(), "servers": servers}))
        return
    print("The stage is up." if stage.is_running() else "The stage is down.")
    for r in rows:
        print(f"{r.cloud:<6} {r.region:<12} {r.target:<36} {r.container:<8} {r.address:<22} pid {r.pid}  {r.engine}")


@verbs.command()
def reset(file: File = None, overlay: Overlay = None, yes: Yes = False) -> None:
    """Forget everything that stands on the stage.

    Example: [bold]arriero rehearse reset --yes[/bold]
    """
    confirm("Forget everything that stands on the stage?", yes)
    _stage(file, overlay).reset()
    print("The stage is empty.")


def _share(text: str) -> float:
    try:
        found = Percent.parse(text)
    except ValueError as error:
        raise Refused(Problem(str(error), key="--share")) from None
    if not 0 < found <= 1:
        raise Refused(Problem(f"is {found}", "write 1% to 100%", key="--share"))
    return float(found)


@verbs.command()
def fault(
    site: Annotated[str, typer.Option("--site", help="Where.", autocompletion=completing.sites)],
    kind: Annotated[str, typer.Option("--kind", help="|".join(KINDS), autocompletion=lambda: KINDS)],
    target: Annotated[str, typer.Option("--target", help="Only this target.", show_default=False)] = "",
    seconds: Annotated[float, typer.Option("--for", help="How many seconds it lasts.")] = 30.0,
    share: Annotated[str, typer.Option("--share", help="evict: so many of the targets, like 50%.")] = "100%",
    zone: Annotated[str, typer.Option("--zone", help="evict: only in this zone.", show_default=False)] = "",
    file: File = None,
    overlay: Overlay = None,
) -> None:
    """Break something on purpose, and see what happens.

    `evict` warns targets that Spot takes back; with `no-spot` none takes their place.

    Example: [bold]arriero rehearse fault --site aws-east --kind evict --share 50%[/bold]
    """
    project, loaded = load_project(file, overlay, SecretsUnread())
    sites = loaded.spec.sites
    if site not in sites:
        raise Refused(Problem(f"there is no site {site}", f"choose from {', '.join(sites)}", key="--site"))
    if kind not in KINDS:
        raise Refused(Problem(f"there is no fault {kind}", f"choose from {', '.join(KINDS)}", key="--kind"))
    place = sites[site]
    until = time.time() + seconds
    what = Fault(place.cloud, place.region, cast(FaultKind, kind), target, until, _share(share), zone)
    for line in Stage(project.stage).fault(what):
        print(line)
