"""The verb simulate: what policies of scaling would cost, and how long first tokens would take."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from arriero.cli.options import Json
from arriero.errors import Problem, Refused


def register(app: typer.Typer) -> None:
    app.command()(simulate)


def simulate(
    scenario: Annotated[str, typer.Argument(help="conversation, code, office, flat, or a file.")] = "conversation",
    trace: Annotated[str, typer.Option(help="A CSV of requests in place of the scenario's.", show_default=False)] = "",
    days: Annotated[float, typer.Option(help="Days to play. Default: the scenario's.", show_default=False)] = 0.0,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="How many times, with other chance.")] = 1,
    spot: Annotated[str, typer.Option(help="no, yes, or both.")] = "no",
    policy: Annotated[
        list[str] | None, typer.Option(help="Only this one (may be repeated).", show_default=False)
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report there.", show_default=False)] = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Plays side by side.")] = 1,
    as_json: Json = False,
) -> None:
    """Play recorded traffic through the gateway's own router under several ways of scaling. Touches no cloud.

    Example: [bold]arriero simulate code --spot both --report code.html[/bold]
    """
    from arriero.simulate import report as reports
    from arriero.simulate.compare import NAMES, compared
    from arriero.simulate.scenario import load

    kinds = {"no": (False,), "yes": (True,), "both": (False, True)}.get(spot)
    unknown = sorted(set(policy or ()) - set(NAMES))
    if kinds is None:
        raise Refused(Problem(f"--spot is {spot!r}", "choose no, yes or both", key="--spot"))
    if unknown:
        raise Refused(Problem(f"there is no policy {unknown[0]}", f"choose from {', '.join(NAMES)}", key="--policy"))
    if not 0.0 <= days <= 366.0:
        raise Refused(Problem(f"--days is {days:g}", "choose up to 366", key="--days"))
    scene = load(scenario, trace, days)
    outcomes = []
    for outcome in compared(scene, policy or NAMES, range(1, seeds + 1), kinds, jobs):
        outcomes.append(outcome)
        print(f"{outcome.policy}, seed {outcome.seed}: ${outcome.cost:.0f}", file=sys.stderr)
    found = reports.summaries(outcomes)
    if report is not None:
        report.write_text(reports.html(scene, found, outcomes))
    if as_json:
        print(json.dumps(reports.as_json(scene, found)))
        return
    print(scene.scenario.title, *reports.table(found), sep="\n")
    if report is not None:
        print(f"Wrote {report}.")
