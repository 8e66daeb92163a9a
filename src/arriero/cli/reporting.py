"""The verb report: what the service did in a time, against what it promises."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from arriero.cli.here import Here, SecretsUnread, opened
from arriero.cli.options import File, Json, Overlay, Rehearse, VaultPassword
from arriero.clock import SystemClock
from arriero.clouds import bills, read
from arriero.cost.money import Money
from arriero.deploy import edge
from arriero.errors import ArrieroError, Problem
from arriero.pipeline import export
from arriero.pipeline.report import page, reading
from arriero.pipeline.report.report import Cost, Report, made
from arriero.releases import opening
from arriero.releases.record import Release
from arriero.spec.units import Duration


def register(app: typer.Typer) -> None:
    app.command()(report)


def report(
    file: File = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    vault_password_file: VaultPassword = None,
    as_json: Json = False,
    since: Annotated[str, typer.Option(help="How far back, like 30d or 12h.")] = "30d",
    out: Annotated[
        Path | None, typer.Option("--out", help="The folder to write it into.", metavar="DIR", show_default=False)
    ] = None,
    log: Annotated[
        list[Path] | None,
        typer.Option(
            "--log",
            help="A gateway's log, also packed as .gz (may be repeated). Default: the one of this machine's gateway.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    with_bills: Annotated[bool, typer.Option("--bills/--no-bills", help="Ask the clouds what was spent.")] = True,
) -> int:
    """Tell what was promised and kept: availability, first tokens, tokens, cost, releases, incidents.

    With --out as HTML, Markdown and JSON, with plots. AWS bills each question to Cost Explorer.

    Example: [bold]arriero report --since 30d --out report[/bold]
    """
    end = SystemClock().now().astimezone(UTC)
    start = end - _length(since)
    with opened(file, overlay, rehearse, vault_password=vault_password_file, secrets=SecretsUnread()) as here:
        logs = log or [path for path in (here.project.edge / edge.ACCESS_LOG,) if path.exists()]
        if not logs:
            what = "no gateway of this project has a log here"
            raise ArrieroError(Problem(what, "name one with --log", key="report"))
        cost = _cost(here, start, end) if with_bills else Cost({})
        found = made(here.spec.name, start, end, reading.read(logs, start, end), _releases(here), cost)
    if out is not None:
        whole = {**page.files(found), page.JSON: json.dumps(found.as_json(), indent=2) + "\n"}
        export.write(whole, out)
    _tell(found, out, as_json)
    return 0


def _tell(found: Report, out: Path | None, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found.as_json()))
        return
    print("".join(f"! {problem}\n" for problem in found.cost.problems), end="", file=sys.stderr)
    print("\n".join(page.summary(found)))
    if out is not None:
        print(f"Wrote {out / page.HTML}, {page.MARKDOWN} and {page.JSON}.")


def _length(text: str) -> timedelta:
    try:
        return timedelta(seconds=float(Duration.parse(text)))
    except ValueError as error:
        what, _, remedy = str(error).partition("; ")
        raise ArrieroError(Problem(what, remedy, key="--since")) from None


def _cost(here: Here, start: datetime, end: datetime) -> Cost:
    """Whole days, as bills are."""
    found = bills.read(here.spec, start.date(), end.date())
    spent: dict[str, Money | None] = {}
    for bill in found:
        own = [name for name, site in here.spec.sites.items() if site.cloud == bill.cloud]
        spent |= dict.fromkeys(own) if bill.problem else {name: Money() for name in own}
        spent |= {name or f"{bill.cloud}, no site's": Money(amount) for name, amount in bill.sites.items()}
    return Cost(spent, tuple(str(bill.problem) for bill in found if bill.problem))


def _releases(here: Here) -> tuple[Release, ...]:
    """Oldest first; none, with a word on stderr, where no ledger can be read."""
    try:
        return opening.read(here.spec, read.check_accounts(here.spec, here.endpoints)).ledger.releases()
    except ArrieroError as error:
        print(f"! what was released is not known: {error.problems[0]}", file=sys.stderr)
        return ()
