"""The verbs that look and change nothing: status, logs, doctor, env."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, NoReturn

import typer

from arriero.cli import nginx_here, pair_lines, scaling, show
from arriero.cli.here import Here, opened
from arriero.cli.options import File, FileLong, Json, Overlay, Rehearse, Sites, VaultPassword
from arriero.cli.roles import books_for_roles, order_of
from arriero.cli.sites import asleep
from arriero.clouds import read
from arriero.deploy import collections, edge
from arriero.errors import ArrieroError, Problem
from arriero.observe import doctor as checks
from arriero.observe import status as observed
from arriero.observe.logs import following
from arriero.observe.status import ServerProcess, Status
from arriero.plan import front_door, front_door_names, roles

VERDICT_FAILED = 3
WATCH_SECONDS = 1.0
# What could lead a program started by hand past the stage.
LEADS_ELSEWHERE = re.compile(r"(AWS|AZURE|ARM|BOTO|ANSIBLE)_|.*_PROXY$|.*_CA_BUNDLE$", re.IGNORECASE)


def register(app: typer.Typer) -> None:
    app.command()(status)
    app.command()(logs)
    app.command()(doctor)
    app.command()(env)


def status(
    file: File = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    vault_password_file: VaultPassword = None,
    as_json: Json = False,
    watch: Annotated[bool, typer.Option("-w", "--watch", help="Go on, once a second.")] = False,
) -> int:
    """Show every site and target: what its cloud says, and what its server answers.

    Example: [bold]arriero status -w[/bold]
    """
    with opened(file, overlay, rehearse, vault_password=vault_password_file, quiet=watch) as here:
        while True:
            now = _status(here)
            if as_json:
                print(json.dumps(now.as_json()), flush=True)
            else:
                clear = "\x1b[2J\x1b[H" if watch and sys.stdout.isatty() else ""
                print(clear + "\n".join(show.status_lines(now, here.spec)), flush=True)
            if not watch:
                return 1 if any(site.state == "unknown" for site in now.sites) else 0
            time.sleep(WATCH_SECONDS)


def logs(
    file: FileLong = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    vault_password_file: VaultPassword = None,
    as_json: Json = False,
    site: Sites = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come.")] = False,
    since: Annotated[str, typer.Option(help="How far back, like 10m.")] = "10m",
    grep: Annotated[str, typer.Option(help="Only lines that hold this text.")] = "",
) -> None:
    """Print the log lines of all sites, merged by time: Ollama's, the sidecars', and those of this machine's gateway.

    Ends with --follow when it is interrupted. A line that came too late for its place is marked.

    Example: [bold]arriero logs --grep REQUEST_ID[/bold]

    Example: [bold]arriero logs --follow --site aws-east --since 1h[/bold]
    """
    with opened(file, overlay, rehearse, vault_password=vault_password_file) as here:
        refs = read.refs(here.spec, here.only(site))
        gateway = here.project.edge / edge.ACCESS_LOG
        for line in following.lines(refs, following.since(since), follow, grep, gateway, is_whole=not site):
            print(json.dumps(line.as_json()) if as_json else line, flush=True)


def doctor(
    file: File = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    vault_password_file: VaultPassword = None,
    as_json: Json = False,
) -> int:
    """Check tools, credentials, permissions, quotas and retired things; each fault comes with its remedy.

    Example: [bold]arriero doctor[/bold]
    """
    with opened(file, overlay, rehearse, vault_password=vault_password_file) as here:
        found = checks.examine(here.spec, here.endpoints, collections.is_installed)
        if as_json:
            print(json.dumps({"schema": 1, "checks": [check.as_json() for check in found]}))
        else:
            print("\n".join(map(str, found)))
        return VERDICT_FAILED if any(check.verdict == "fault" for check in found) else 0


def env(
    command: Annotated[list[str] | None, typer.Argument(help="A program to run in it, after --.")] = None,
    file: File = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    vault_password_file: VaultPassword = None,
    as_json: Json = False,
) -> None:
    """Run a program where it reaches what arriero reaches, logins from vaults included; or print that environment.

    What is printed holds no login, but for the stage's.

    Example: [bold]arriero env -- ansible-playbook -i fleet.arriero.yml arriero.fleet.site[/bold]

    Example: [bold]eval "$(arriero env --rehearse)"[/bold]
    """
    from arriero.deploy import fleet
    from arriero.deploy.settings import ansible_environment

    mine = set(os.environ)
    with opened(file, overlay, rehearse, vault_password=vault_password_file, quiet=True) as here:
        accounts = {fleet.ACCOUNTS: json.dumps(dict(here.endpoints.accounts))}
        additions = {**here.endpoints.environment, **accounts} if here.is_staged else {}
        shown = {**additions, **ansible_environment(here.endpoints.environment)}
        if command:
            _become(command, {**here.endpoints.environment, **shown})
        if as_json:
            print(json.dumps({"schema": 1, "environment": shown}))
        else:
            leading = sorted(name for name in mine - shown.keys() if here.is_staged and LEADS_ELSEWHERE.match(name))
            print(*(f"unset {name}" for name in leading), sep="\n")
            print("\n".join(f"export {name}={shlex.quote(value)}" for name, value in sorted(shown.items())))


def _become(command: list[str], environment: Mapping[str, str]) -> NoReturn:
    try:
        os.execvpe(command[0], command, environment)
    except OSError as error:
        raise ArrieroError(Problem(f"{command[0]} can't be run: {error.strerror}", "check its name")) from None


def _status(here: Here) -> Status:
    facts = read.read(here.spec)
    running = edge.find(here.project)
    url = running.url if running else None
    # While a controller runs here, it keeps what is known of roles up to date.
    order = order_of(here, None if running else books_for_roles(here)).order
    spec = roles.applied(here.spec, order)
    now = observed.look(spec, facts.sites, url, _processes(here), observed.served_models, asleep(here))
    report = scaling.last_report(here.project) if running else None
    door = facts.front_door
    now = replace(now, front_door=front_door.host_of(door), front_door_names=front_door_names.standing(door))
    now = replace(now, pairs=pair_lines.as_json(here.spec, order), nginx=nginx_here.status(here))
    return replace(now, scaling=report.as_json()) if report else now


def _processes(here: Here) -> dict[str, ServerProcess]:
    """Where the sites stand on a stage, it knows their pids and whether their engine is the real one."""
    if not here.is_staged:
        return {}
    from arriero.rehearse.stage import Stage

    rows = Stage(here.project.stage).containers()
    return {row.target: ServerProcess(row.pid, row.engine) for row in rows if row.container == "ollama"}
