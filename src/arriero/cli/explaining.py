"""The verb explain: why a running gateway does what it does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from arriero.cli.here import SecretsUnread, is_staged, load_project, stage_endpoints
from arriero.cli.options import File, Json, Overlay, Rehearse
from arriero.cli.serving import client_of
from arriero.control.client import Gateway
from arriero.control.messages import Question, Reason, Routing
from arriero.deploy.project import Project
from arriero.errors import ArrieroError, Problem
from arriero.scale.ordering import Ranked, ranked

verbs = typer.Typer(help="Why the gateway does what it does.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(verbs, name="explain")


@verbs.command()
def routing(
    model: Annotated[str, typer.Option(help="The model. Default: the spec's first.", show_default=False)] = "",
    prompt: Annotated[str, typer.Option(help="How its conversation begins: the same ones stay together.")] = "",
    file: File = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    as_json: Json = False,
    gateway: Annotated[
        Path | None, typer.Option("--gateway", help="Settings of the gateway to ask, if not up's.", show_default=False)
    ] = None,
) -> None:
    """Show where a request would go now, and what it would find at every target; none is sent. And which site gets
    more targets first.

    Example: [bold]arriero explain routing --model llama2[/bold]
    """
    order: tuple[Ranked, ...] = ()
    if gateway is not None and model:
        running = client_of(gateway)
    else:
        project, loaded = load_project(file, overlay, SecretsUnread())
        model = model or loaded.spec.models[0].name
        if is_staged(loaded.spec, rehearse) and gateway is None:
            stage_endpoints(project)
        running = client_of(gateway) if gateway else _edge(project)
        order = ranked(loaded.spec, running.load().speeds, loaded.prices)
    found = running.explain(Question(model, prompt))
    if as_json:
        print(json.dumps({**found.as_json(), "sites": [{**asdict(each), "why": each.why} for each in order]}))
    else:
        print("\n".join((*lines(found), *order_lines(order))))


def order_lines(order: Sequence[Ranked]) -> list[str]:
    """The sites as they are filled; nothing to say where there is but one."""
    if len(order) < 2:
        return []
    rows = [f"  {place}. {each.site}: {each.why}" for place, each in enumerate(order, 1)]
    return ["More targets start at, in this order (fewer leave in the opposite one):", *rows]


def lines(found: Routing) -> list[str]:
    """The outcome, then a line a target: the chosen one is marked, those that can't serve it come without seconds."""
    rows: list[tuple[str, ...]] = [("", "TARGET", "SITE", "SECONDS", "AGAINST IT", "FINDS")]
    rows += [_row(reason, "*" if reason.target == found.chosen else "") for reason in found.targets]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [f"{found.model}: {found.outcome}", *(table if found.targets else ())]


def _row(reason: Reason, mark: str) -> tuple[str, ...]:
    is_usable = reason.can_now or bool(reason.seconds or reason.penalty)
    seconds = (f"{reason.seconds:.2f}", f"{reason.penalty:.2f}") if is_usable else ("-", "-")
    waits = "" if reason.can_now or not is_usable else "; it would wait"
    return (mark, reason.target, reason.site, *seconds, reason.finds + waits)


def _edge(project: Project) -> Gateway:
    from arriero.deploy import edge

    running = edge.client(project)
    if running is None:
        raise ArrieroError(Problem("no gateway is running here", "start it with: arriero up"))
    return running
