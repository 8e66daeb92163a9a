"""The verb top: the service at a glance, in the terminal."""

from __future__ import annotations

import sys

import typer

from arriero.cli.here import load_project
from arriero.cli.options import File, Overlay
from arriero.clock import SystemClock
from arriero.control.client import Gateway
from arriero.deploy import edge
from arriero.deploy.project import Project
from arriero.errors import ArrieroError, Problem, Refused
from arriero.observe import figures
from arriero.observe.glance import Glance, History, glance


def register(app: typer.Typer) -> None:
    app.command()(top)


def top(file: File = None, overlay: Overlay = None) -> None:
    """Show sites, models and targets at a glance, renewed each second, as this machine's gateway sees them.

    Keys: q ends it, the arrows move in a table, Tab goes to the next one. Needs the extra `top`.

    Example: [bold]arriero top[/bold]
    """
    project, _ = load_project(file, overlay)
    if not sys.stdout.isatty():
        raise Refused(Problem("top needs a terminal", "for others: arriero status --json, or the gateway's /metrics"))
    # Imported late: no other verb needs it.
    from arriero.ui.top import Top

    Looking(project).look()
    Top(Looking(project).look).run()


class Looking:
    """One screen's memory of what was counted. A gateway that was started anew is found again."""

    def __init__(self, project: Project) -> None:
        self._project, self._history, self._clock = project, History(), SystemClock()

    def look(self) -> Glance:
        """Raises ArrieroError where no gateway answers."""
        gateway = edge.client(self._project)
        if gateway is None:
            raise ArrieroError(Problem("no gateway of this project runs here", "start it with: arriero up"))
        return look(gateway, self._history, self._clock.monotonic())


def look(gateway: Gateway, history: History, now: float) -> Glance:
    """Raises GatewayError."""
    history.add(figures.read(gateway.figures(), now))
    return glance(gateway.status(), history)
