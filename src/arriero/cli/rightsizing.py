"""The verb rightsize: which sizes and counts weeks of figures speak for, and writing them into the spec."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from arriero.cli.here import Here, SecretsUnread, opened
from arriero.cli.options import File, Json, Overlay, Rehearse, Sites, VaultPassword
from arriero.clock import SystemClock
from arriero.clouds import metrics, read
from arriero.clouds.metrics import Series
from arriero.cost.money import Money
from arriero.deploy import edge
from arriero.errors import ArrieroError, Problem, Refused
from arriero.observe.waits import longest_wait
from arriero.plan.model import Facts
from arriero.releases import opening
from arriero.releases.record import spec_of
from arriero.scale.advising import SiteAdvice, advise, has_size_since
from arriero.scale.rightsize import Used
from arriero.spec import load
from arriero.spec.document import KeyPath
from arriero.spec.edit import edited
from arriero.spec.model import Spec

KEY_VARIABLE = "ARRIERO_KEY"


def register(app: typer.Typer) -> None:
    app.command()(rightsize)


def rightsize(
    file: File = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    vault_password_file: VaultPassword = None,
    as_json: Json = False,
    site: Sites = None,
    days: Annotated[int, typer.Option(min=7, max=60, help="How far back to look.")] = 14,
    write: Annotated[
        bool, typer.Option("--write", help="Write what is recommended into the spec; with -e into the overlay.")
    ] = False,
) -> int:
    """Recommend sizes and counts by what the clouds measured of processors and memory, with saving, risk and evidence.

    Looked at are the weeks since a site has its present size. ARRIERO_KEY holds the gateway's API key, where one is
    needed to read how long requests wait. Exit code 1: a site's figures could not be read.

    Example: [bold]arriero rightsize --days 28 --write[/bold]
    """
    key = os.environ.get(KEY_VARIABLE, "")
    with opened(file, overlay, rehearse, vault_password=vault_password_file, secrets=SecretsUnread()) as here:
        only, now = here.only(site), SystemClock().now()
        accounts = read.check_accounts(here.spec, here.endpoints)
        facts = read.read(here.spec, only)
        earliest, history = now - timedelta(days=days), _history(here, accounts)
        wanted = [
            (ref, facts.sites[ref.site], has_size_since(ref.site, here.spec, history, earliest))
            for ref in read.refs(here.spec, only)
            if ref.cloud != "local" and not ref.machines and not facts.sites[ref.site].problem
        ]
        series = metrics.read(wanted, now)
        running = edge.find(here.project)
        found = _advised(here, series, facts, longest_wait(running.url, key) if running else None)
    problems = [one.problem for one in series.values() if one.problem]
    problems += [each.problem for each in facts.sites.values() if each.problem]
    unmeasured = [ref.site for ref in read.refs(here.spec, only) if ref.cloud == "local"]
    if unmeasured:
        print(f"! {', '.join(unmeasured)}: nobody measures this machine's servers; nothing is advised", file=sys.stderr)
    if machines := [ref.site for ref in read.refs(here.spec, only) if ref.machines]:
        print(f"! {', '.join(machines)}: nobody measures GPUs; nothing is advised", file=sys.stderr)
    print("".join(f"! {each}\n" for each in problems), end="", file=sys.stderr)
    written = _write(here, overlay, found) if write else None
    _tell(found, written, as_json)
    return 1 if problems else 0


def _history(here: Here, accounts: Mapping[str, str]) -> Sequence[tuple[Spec, datetime]]:
    try:
        releases = opening.read(here.spec, accounts).ledger.releases()
    except ArrieroError as error:
        print(f"! since when sites have their size is not known: {error.problems[0]}", file=sys.stderr)
        return ()
    return [(spec_of(release), release.at) for release in releases]


def _advised(here: Here, series: Mapping[str, Series], facts: Facts, waits: float | None) -> list[SiteAdvice]:
    found = []
    for name, one in series.items():
        if one.problem is None:
            used = Used(one.cpu, one.memory, one.days, max(1, facts.sites[name].count), wait_seconds=waits or 0.0)
            found.append(advise(here.spec.site(name), used, here.loaded.prices))
    return found


def _write(here: Here, overlay: str | None, found: Sequence[SiteAdvice]) -> Path | None:
    """The file that was changed, if any; it is read again first, so that nothing is written that can't be read."""
    changes: dict[KeyPath, str | int] = {
        ("sites", each.site.name, *key.split(".")): value for each in found for key, value in each.changes.items()
    }
    if not changes:
        return None
    spec = here.project.spec
    target = spec.with_name(f"{spec.stem}.{overlay}{spec.suffix}") if overlay else spec
    before = target.read_text(encoding="utf-8")
    try:
        after = edited(before, changes)
    except ValueError as error:
        raise Refused(Problem(str(error), "write the recommended values by hand", file=str(target))) from None
    fresh = target.with_name(f"{target.name}.new")
    fresh.write_text(after, encoding="utf-8")
    fresh.replace(target)
    try:
        load.load(spec, overlay, SecretsUnread())
    except ArrieroError:
        target.write_text(before, encoding="utf-8")
        raise
    return target


def _tell(found: Sequence[SiteAdvice], written: Path | None, as_json: bool) -> None:
    if as_json:
        told = {"sites": [each.as_json() for each in found], "written": str(written) if written else None}
        print(json.dumps({"schema": 1, **told}))
        return
    print("".join(f"{line}\n" for each in found for line in _lines(each)), end="")
    if written:
        print(f"Wrote it into {written}. See what it would change: arriero plan")
    elif any(each.changes for each in found):
        print("To write it into the spec: arriero rightsize --write")


def _lines(each: SiteAdvice) -> list[str]:
    site, advice = each.site, each.advice
    head = f"{site.name}: {site.size.cpu}, {site.size.memory}, {site.min} to {site.max} targets; {advice.shape.value}"
    lines = [f"  {sentence}" for sentence in advice.evidence]
    if not each.changes:
        return [head, *lines, "  nothing to change"]
    lines += [f"  {key}: {value}" for key, value in each.changes.items()]
    return [head, *lines, f"  {_saving(each)}", f"  risk: {advice.risk}"]


def _saving(each: SiteAdvice) -> str:
    if each.saving is None or each.advice.saving is None:
        return "saving: unknown; no source of its price was read"
    if each.saving.amount < 0:
        return f"costs {Money(-each.saving.amount)} a month more ({-each.advice.saving:.0%}) for processors and memory"
    return f"saves {each.saving} a month ({each.advice.saving:.0%}) of processors and memory"
