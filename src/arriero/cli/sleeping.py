"""The verbs of off hours: sleep and wake, which order it for a while, and schedule, which follows the spec's hours."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import MAXYEAR, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from arriero.cli import deploying
from arriero.cli.deploying import confirm
from arriero.cli.here import Here, SecretsUnread, opened
from arriero.cli.options import File, Json, Overlay, Rehearse, Sites, VaultPassword, Yes
from arriero.clock import SystemClock
from arriero.clouds import read
from arriero.deploy import releasing
from arriero.errors import Problem, Refused
from arriero.plan.sleep import Orders, sentence, sleeps, standing_of
from arriero.releases import opening, orders
from arriero.spec.model import ResolvedSite
from arriero.spec.schedule import Override, Schedule, standing, switches
from arriero.spec.units import Duration

schedule = typer.Typer(help="When sites sleep, by the spec's off hours.")
SHOWN = 4
_AHEAD = timedelta(days=9)


def register(app: typer.Typer) -> None:
    app.command()(sleep)
    app.command()(wake)
    app.add_typer(schedule, name="schedule", no_args_is_help=True)


def _length(text: str) -> float:
    try:
        return float(Duration.parse(text))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


For = Annotated[
    float | None,
    typer.Option(
        "--for",
        help="How long, like 2h. Default: until the schedule's next switch.",
        parser=_length,
        metavar="DURATION",
    ),
]


def sleep(
    file: File = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    vault_password_file: VaultPassword = None,
    as_json: Json = False,
    yes: Yes = False,
    site: Sites = None,
    length: For = None,
) -> int:
    """Put sites to sleep now: no target runs, open answers end first, and nothing else is removed.

    Example: [bold]arriero sleep --site aws-dev --yes[/bold]
    """
    return _order(True, length, file, overlay, rehearse, vault_password_file, as_json, yes, site)


def wake(
    file: File = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    vault_password_file: VaultPassword = None,
    as_json: Json = False,
    yes: Yes = False,
    site: Sites = None,
    length: For = None,
) -> int:
    """Wake sites in their off hours, as many targets as fell asleep; afterwards the schedule holds again.

    Example: [bold]arriero wake --for 2h --yes[/bold]
    """
    return _order(False, length, file, overlay, rehearse, vault_password_file, as_json, yes, site)


@schedule.command("show")
def show(
    file: File = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    vault_password_file: VaultPassword = None,
    as_json: Json = False,
) -> int:
    """Show which sites are off now, until when, why, and their next switches.

    Example: [bold]arriero schedule show[/bold]
    """
    with _here(file, overlay, rehearse, vault_password_file) as here:
        sites, known, now = _off(here, None), _books(here).orders, SystemClock().now()
    rows = [_row(site, known, now) for site in sites]
    if as_json:
        print(json.dumps({"schema": 1, "sites": rows}))
    else:
        for row in rows:
            print(f"{row['name']}: {row['sentence']}")
            print(f"  next by schedule: {row['switches']}")
    return 0


@schedule.command("run")
def run(
    file: File = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    vault_password_file: VaultPassword = None,
    as_json: Json = False,
    yes: Yes = False,
) -> int:
    """Put sites to sleep, or wake them, where what stands is not what their off hours say; nothing else is touched.

    Example: [bold]arriero schedule run --yes[/bold]
    """
    with _here(file, overlay, rehearse, vault_password_file) as here:
        sites, books, now = _off(here, None), _books(here), SystemClock().now()
        facts = read.read(here.spec, {site.name for site in sites})
    due = [
        site.name
        for site in sites
        if (found := facts.sites[site.name]).problem is None
        # Of a sleeping site on this machine nothing is left but the ledger.
        and (found.resources or (site.cloud == "local" and books.last))
        and (found.count > 0) == sleeps(site, books.orders, now)
    ]
    if not due:
        print(json.dumps({"schema": 1, "sites": []}) if as_json else "Every site is as its off hours say.")
        return 0
    confirm(f"Switch {', '.join(due)}?", yes)
    return deploying.up(file, overlay, rehearse, vault_password_file, as_json, True, due)


def _order(
    is_off: bool,
    length: float | None,
    file: Path | None,
    overlay: str | None,
    rehearse: bool,
    vault_password: Path | None,
    as_json: bool,
    yes: bool,
    only: Sequence[str] | None,
) -> int:
    with _here(file, overlay, rehearse, vault_password) as here:
        sites, books, now = _off(here, only), _books(here), SystemClock().now()
        wanted = {site.name: _override(site, is_off, length, now) for site in sites}
        what = "to sleep" if is_off else "awake"
        for site in sites:
            print(f"{site.name}: {sentence(standing(now, _hours(site), [wanted[site.name]]), site)}", file=sys.stderr)
        confirm(f"Put {', '.join(wanted)} {what}?" if is_off else f"Wake {', '.join(wanted)}?", yes)
        for name, override in wanted.items():
            orders.override(books.ledger, name, override, now)
    return deploying.up(file, overlay, rehearse, vault_password, as_json, True, list(wanted))


def _override(site: ResolvedSite, is_off: bool, length: float | None, now: datetime) -> Override:
    """Until the next moment from which the schedule says the same, or for so long."""
    word = f"{'put to sleep' if is_off else 'woken'} by {releasing.who()}"
    if length is not None:
        return Override(is_off, now + timedelta(seconds=length), word)
    found = standing(now, _hours(site))
    if found.is_off == is_off and found.until is not None:
        return Override(is_off, found.until, word)
    until = next((at for at, to_off in switches(_hours(site), now, now + _AHEAD) if to_off == is_off), None)
    if until is None:
        raise Refused(Problem(f"{site.name} has no such switch in nine days", "say how long: --for 2h", key="--for"))
    return Override(is_off, until, word)


def _hours(site: ResolvedSite) -> Schedule:
    assert site.off is not None
    return site.off


def _off(here: Here, only: Sequence[str] | None) -> list[ResolvedSite]:
    chosen = here.only(only)
    sites = [here.spec.site(name) for name in here.spec.sites if chosen is None or name in chosen]
    found = [site for site in sites if site.off]
    without = [site.name for site in sites if not site.off]
    if not found or (only and without):
        what = (
            f"{', '.join(without)} has no off hours" if len(without) == 1 else f"{', '.join(without)} have no off hours"
        )
        raise Refused(Problem(what, "write some, like off: 22:00-06:00 Europe/Berlin on weekdays, weekends", key="off"))
    return found


def _books(here: Here) -> opening.Opened:
    return opening.read(here.spec, read.check_accounts(here.spec, here.endpoints))


def _here(
    file: Path | None, overlay: str | None, rehearse: bool, vault_password: Path | None
) -> AbstractContextManager[Here]:
    return opened(file, overlay, rehearse, vault_password=vault_password, secrets=SecretsUnread())


def _row(site: ResolvedSite, known: Orders, now: datetime) -> dict[str, object]:
    found, hours = standing_of(site, known, now), _hours(site)
    assert found is not None
    coming = itertools.islice(switches(hours, now, now + _AHEAD), SHOWN)
    words = [f"{at.astimezone(hours.zone):%Y-%m-%d %H:%M %Z} {'asleep' if off else 'awake'}" for at, off in coming]
    return {
        "name": site.name,
        "off": found.is_off,
        "until": found.until.isoformat() if found.until and found.until.year < MAXYEAR else None,
        "reason": found.reason,
        "sentence": sentence(found, site),
        "switches": ", ".join(words) or "none within nine days",
    }
