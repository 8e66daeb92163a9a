"""The verb drill: plays a disaster under load, and says whether the service came through as was promised."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from arriero.cli import deploying
from arriero.cli.deploying import confirm
from arriero.cli.drill_world import BY_TRAFFIC, StageWorld, TrafficWorld
from arriero.cli.here import Here, SecretsUnread, opened
from arriero.cli.options import File, Json, Overlay, Rehearse, Yes
from arriero.cli.roles import books_for_roles, order_of
from arriero.deploy import edge
from arriero.drill import report, scenario
from arriero.drill.load import Door
from arriero.drill.play import Course, play
from arriero.drill.scenario import Scenario
from arriero.drill.verdict import Verdict
from arriero.errors import ArrieroError, Problem, Refused
from arriero.plan import roles
from arriero.simulate import trace as traces

FAILED = 3
# Requests of the trace a second and target: half of what a stage's target has slots for.
A_SECOND_AND_TARGET = 1.0


def register(app: typer.Typer) -> None:
    app.command()(drill)


def drill(
    scenarios: Annotated[
        list[str] | None,
        typer.Option("--scenario", help="|".join(scenario.names()), autocompletion=scenario.names, show_default=False),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every scenario, one after the other.")] = False,
    load: Annotated[
        str, typer.Option("--load", help="A CSV of requests, or a recorded trace: " + ", ".join(traces.SHIPPED))
    ] = "azure-2023-code",
    seed: Annotated[int, typer.Option("--seed", help="Chooses what is struck, and where the trace begins.")] = 1,
    runs: Annotated[
        int, typer.Option("--runs", min=1, max=1000, help="Each so often, with the seeds that follow.")
    ] = 1,
    seconds: Annotated[float, typer.Option("--for", min=5, max=3600, help="Seconds that a fault lasts.")] = 20.0,
    out: Annotated[
        Path | None, typer.Option("--out", help="A folder for drill.html and drill.json.", show_default=False)
    ] = None,
    file: File = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    as_json: Json = False,
    yes: Yes = False,
) -> int:
    """Play a disaster on the stage under load, wait for recovery, put everything back. Exit code 3: not as promised.

    Example: [bold]arriero drill --scenario region-loss --yes[/bold]

    Example: [bold]arriero drill --all --seed 7 --out drills --yes[/bold]
    """
    wanted = _wanted(scenarios, every)
    with opened(file, overlay, rehearse, secrets=SecretsUnread()) as here:
        _refuse_real_sites(here, wanted)
        trace = traces.read(load, Path.cwd())
        chosen, skipped = _chosen(here, wanted, [seed + n for n in range(runs)], is_all=every)
        _confirm(here, len(chosen), yes)
        verdicts: list[Verdict] = []
        for each, number in chosen:
            print(f"drill: {each.name}, seed {number}", file=sys.stderr)
            verdicts.append(_one(here, each, trace, number, seconds))
            if not as_json:
                print("\n".join(report.lines(verdicts[-1:])), flush=True)
        for name, why in skipped:
            print(f"{name:<18} not played: {why}", file=sys.stderr)
        _write(here, out, verdicts, skipped)
        if as_json:
            print(json.dumps(report.as_json(verdicts, skipped)))
    return 0 if all(verdict.is_passed for verdict in verdicts) else FAILED


def _wanted(scenarios: Sequence[str] | None, every: bool) -> Sequence[str]:
    if every and scenarios:
        raise Refused(Problem("--all names every scenario already", "leave out one of both", key="--scenario"))
    if not every and not scenarios:
        known = ", ".join(scenario.names())
        raise Refused(Problem("no scenario is named", f"--all, or choose from {known}", key="--scenario"))
    return scenario.names() if every else list(dict.fromkeys(scenarios or ()))


def _refuse_real_sites(here: Here, wanted: Sequence[str]) -> None:
    """On real sites requests are moved away from a site and back; all else would strike something."""
    others = [name for name in wanted if name not in BY_TRAFFIC]
    if here.is_staged:
        return
    if others:
        what = f"{', '.join(others)} would strike real sites"
        remedy = f"play it on the stage: --rehearse; on real sites only {' and '.join(BY_TRAFFIC)}, by moving requests"
        raise Refused(Problem(what, remedy, key="--scenario"))
    if not sys.stdin.isatty():
        what = "a drill on real sites is confirmed by typing the service's name, and there is no terminal"
        raise Refused(Problem(what, "run it at a terminal, or on the stage: --rehearse", key="--rehearse"))


def _confirm(here: Here, count: int, yes: bool) -> None:
    if here.is_staged:
        confirm(f"Play {count} drills on {here.endpoints.label}?", yes)
        _ready(here)
        return
    typed: str = typer.prompt(f"Requests will leave real sites. Type the service's name ({here.spec.name}) to go on")
    if typed != here.spec.name:
        raise Refused(Problem("that is not the service's name", "nothing was done"))
    if edge.find(here.project) is None:
        raise Refused(Problem("no gateway runs on this machine, so no requests can be moved", "start it: arriero up"))


def _chosen(
    here: Here, wanted: Sequence[str], seeds: Sequence[int], *, is_all: bool
) -> tuple[list[tuple[Scenario, int]], list[tuple[str, str]]]:
    """What can be played on this spec. What was named and can't be raises Refused; with --all it is told."""
    spec = roles.applied(here.spec, order_of(here, books_for_roles(here)).order)
    chosen: list[tuple[Scenario, int]] = []
    skipped: list[tuple[str, str]] = []
    for name in wanted:
        try:
            chosen += [(scenario.scenario(name, spec, number), number) for number in seeds]
        except Refused as error:
            if not is_all:
                raise
            skipped.append((name, str(error.problems[0].what)))
    return chosen, skipped


def _ready(here: Here) -> None:
    """The service as the spec has it, on the stage, with a gateway before it."""
    with contextlib.redirect_stdout(sys.stderr):
        code = deploying.up(here.project.spec, here.project.overlay, here.is_staged, yes=True)
    if code or edge.find(here.project) is None:
        raise ArrieroError(Problem("the service does not stand, so there is nothing to drill", "see: arriero status"))


def _one(here: Here, each: Scenario, trace: traces.Trace, seed: int, seconds: float) -> Verdict:
    world = StageWorld(here) if here.is_staged else TrafficWorld(here)
    world.was = roles.standing(here.spec, order_of(here, books_for_roles(here)).order)
    counts = world.counts() or {}
    running = edge.find(here.project)
    assert running is not None
    where = urlsplit(running.url)
    door = Door(where.hostname or "127.0.0.1", where.port or 80, here.spec.models[0].name)
    left = {site: count for site, count in counts.items() if site not in each.sites and count} or counts
    places = sum(count * here.spec.site(site).ollama.num_parallel for site, count in left.items())
    a_second = max(0.5, A_SECOND_AND_TARGET * sum(left.values()))
    course = Course(trace, a_second, places, seed, fault_seconds=seconds)
    return play(world, door, each, replace(course, tell=lambda what: print(f"  {what}", file=sys.stderr, flush=True)))


def _write(here: Here, out: Path | None, verdicts: Sequence[Verdict], skipped: Sequence[tuple[str, str]]) -> None:
    folder = out or here.project.make_state() / "drills"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / report.HTML).write_text(report.html(here.spec.name, verdicts, skipped), encoding="utf-8")
    (folder / report.JSON).write_text(json.dumps(report.as_json(verdicts, skipped), indent=2), encoding="utf-8")
    print(f"report: {folder / report.HTML}", file=sys.stderr)
