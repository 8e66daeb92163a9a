"""The verbs of money: cost, and prices, which brings the clouds' price lists."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from arriero.catalog import prices as price_file
from arriero.catalog.catalog import Price
from arriero.cli import cost_lines
from arriero.cli.here import Here, SecretsUnread, load_project, opened
from arriero.cli.options import File, Json, Overlay, Rehearse, VaultPassword
from arriero.clock import SystemClock
from arriero.clouds import bills, read
from arriero.cost.estimate import estimate
from arriero.cost.money import Money
from arriero.cost.spending import Period
from arriero.cost.statement import Statement, state
from arriero.errors import ArrieroError, Problem, Refused
from arriero.observe.validation.findings import speeds_from_json
from arriero.pipeline import price_lists
from arriero.plan.front_door import PROFILE
from arriero.plan.model import Facts
from arriero.releases import opening
from arriero.releases.record import Release
from arriero.spec import load
from arriero.spec.front_door import NAME
from arriero.spec.load import Loaded
from arriero.spec.model import Spec

prices = typer.Typer(help="What plans are priced by: the catalog's prices, and your own beside the spec.")


def register(app: typer.Typer) -> None:
    app.command()(cost)
    app.add_typer(prices, name="prices", no_args_is_help=True)


def cost(
    file: File = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    vault_password_file: VaultPassword = None,
    as_json: Json = False,
    forecast: Annotated[bool, typer.Option("--forecast", help="From the spec and prices alone; ask no cloud.")] = False,
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="First day of the bill. Default: the month's.", show_default=False),
    ] = None,
    sources: Annotated[bool, typer.Option("--sources", help="Say where each price was read.")] = False,
) -> int:
    """What the service costs an hour, a month and a million tokens, and what the clouds' bills say was spent.

    AWS bills each question to Cost Explorer; it and Azure's Cost Management are hours behind. Exit code 1: a cloud
    could not be asked.

    Example: [bold]arriero cost --since 2026-11-01[/bold]
    """
    if forecast:
        _, loaded = load_project(file, overlay, SecretsUnread())
        _tell(state(loaded.spec, {}, loaded.prices), as_json, sources)
        return 0
    now = SystemClock().now()
    start = _start(since, now)
    with opened(file, overlay, rehearse, vault_password=vault_password_file, secrets=SecretsUnread()) as here:
        accounts = read.check_accounts(here.spec, here.endpoints)
        facts = read.read(here.spec)
        history = _history(here, accounts)
        found = bills.read(here.spec, start.date(), now.date())
    door = facts.front_door
    read_there = {**facts.sites, **({NAME: door} if door else {})}
    problems = [f"{name} can't be read: {each.problem}" for name, each in read_there.items() if each.problem]
    problems += [str(bill.problem) for bill in found if bill.problem]
    print("".join(f"! {each}\n" for each in problems), end="", file=sys.stderr)
    began = history[0].at if history else now
    told = state(
        here.spec,
        _counts(facts),
        here.loaded.prices,
        _speeds(history),
        _spent(found, here.spec),
        Period(start, now, began),
        door_stands=bool(door and door.find(PROFILE)),
    )
    _tell(told, as_json, sources)
    return 1 if problems else 0


@prices.command("update")
def update(
    place: Annotated[list[str], typer.Option("--from", help="A file or URL (may be repeated).", metavar="FILE|URL")],
    file: File = None,
    as_json: Json = False,
) -> int:
    """Read a price list into arriero.prices.json beside the spec, where plans find it; each price with page and day.

    Two forms are known, as JSON: an offer file of the AWS Price List Bulk API (AmazonECS, AmazonVPC, AmazonCloudWatch,
    AmazonECR, AmazonEFS, AmazonEC2), and an answer of the Azure Retail Prices API, all its pages. What a list does not
    say stays as it was. No login is used.

    Example: [bold]arriero prices update --from ecs-us-east-1.json[/bold]
    """
    spec = load.find(file, Path.cwd())
    known, today = load.load_prices(spec), SystemClock().now().date()
    done = []
    for each in place:
        step = price_lists.update(known, price_lists.read(each, today))
        known = step.prices
        done.append((each, step))
    target = spec.with_name(price_file.FILE)
    price_lists.write(target, known)
    if as_json:
        print(json.dumps({"schema": 1, "file": str(target), "lists": [_update_json(*each) for each in done]}))
        return 0
    for each, step in done:
        print("\n".join(_update_lines(each, step)))
    print(f"Wrote {len(known.own)} prices into {target}; plans go by them from now on.")
    return 0


@prices.command("list")
def show(file: File = None, overlay: Overlay = None, as_json: Json = False) -> int:
    """List the prices that the spec's sites go by, each with its page and day; exit code 1: one is unknown.

    Example: [bold]arriero prices list[/bold]
    """
    _, loaded = load_project(file, overlay, SecretsUnread())
    rows = _priced(loaded)
    if as_json:
        print(json.dumps({"schema": 1, "prices": [_priced_json(*row) for row in rows]}))
    else:
        print("\n".join(_priced_line(*row) for row in rows))
    return 0 if all(price for *_, price in rows) else 1


def _tell(told: Statement, as_json: bool, sources: bool) -> None:
    print(json.dumps(told.as_json()) if as_json else "\n".join(cost_lines.statement_lines(told, with_sources=sources)))


def _start(since: datetime | None, now: datetime) -> datetime:
    start = since.replace(tzinfo=UTC) if since else datetime.combine(now.date().replace(day=1), time(), UTC)
    if start > now:
        raise Refused(Problem(f"{start.date()} is still to come", "give a day that was", key="--since"))
    return start


def _history(here: Here, accounts: Mapping[str, str]) -> tuple[Release, ...]:
    """Oldest first; none, with a word on stderr, where no ledger can be read."""
    try:
        return opening.read(here.spec, accounts).ledger.releases()
    except ArrieroError as error:
        print(f"! since when the service runs is not known: {error.problems[0]}", file=sys.stderr)
        return ()


def _counts(facts: Facts) -> dict[str, int | None]:
    sites = facts.sites.items()
    return {name: found.count if found.resources and not found.problem else None for name, found in sites}


def _spent(found: tuple[bills.Bill, ...], spec: Spec) -> dict[str, Money | None]:
    """By site, and for the Front Door. A cloud that answered, and has no line of one, has billed nothing there yet."""
    clouds: dict[str, str] = {name: site.cloud for name, site in spec.sites.items()}
    clouds |= {NAME: "azure"} if spec.ingress.front_door else {}
    spent: dict[str, Money | None] = {}
    for bill in found:
        own = [name for name, cloud in clouds.items() if cloud == bill.cloud]
        if bill.problem:
            spent |= dict.fromkeys(own)
        else:
            spent |= {name: Money() for name in own}
            spent |= {name: Money(amount) for name, amount in bill.sites.items()}
    return spent


def _speeds(history: tuple[Release, ...]) -> dict[str, dict[str, float]]:
    """Of the newest release that a validation measured."""
    figures = next((release.figures[-1] for release in reversed(history) if release.figures), {})
    found = speeds_from_json(cast("Mapping[str, Any]", figures.get("speeds", {})))
    return {place: {model: each.tokens_per_second for model, each in models.items()} for place, models in found.items()}


def _priced(loaded: Loaded) -> list[tuple[str, str, str, Price | None]]:
    """Cloud, region, what, and its price; of all that the spec's sites, and its Front Door, are billed for."""
    rows: dict[tuple[str, str, str], Price | None] = {}
    sites = map(loaded.spec.site, loaded.spec.sites)
    priced = [estimate(site, max(1, site.max), loaded.prices) for site in sites]
    door = state(loaded.spec, {}, loaded.prices).front_door
    for found in (*priced, *([door.now] if door else [])):
        where = (found.cloud, found.region)
        rows |= {(*where, line.item): Price(line.unit_price.amount, line.unit, line.source) for line in found.lines}
        rows |= {(*where, item.item): None for item in found.unknown}
        for use in found.by_use:
            price = use.unit_price and use.source and Price(use.unit_price.amount, use.unit, use.source)
            rows[*where, use.item] = price or None
    return [(*key, price) for key, price in rows.items()]


def _priced_line(cloud: str, region: str, item: str, price: Price | None) -> str:
    head = f"{cloud} {region}: {item}"
    if price is None:
        return f"{head}: unknown; no source was read"
    return f"{head}: ${price.amount:f} by {price.unit}; {cost_lines.source_words(price.source)}"


def _priced_json(cloud: str, region: str, item: str, price: Price | None) -> dict[str, object]:
    row: dict[str, object] = {"cloud": cloud, "region": region, "item": item}
    if price is None:
        return {**row, "amount": None, "unit": None, "source": None}
    source = price.source
    told = {"page": source.page, "read": source.read, "as_of": source.as_of, "note": source.note}
    return {**row, "amount": f"{price.amount:f}", "unit": price.unit, "source": told}


def _update_lines(place: str, step: price_lists.Update) -> list[str]:
    lines = [f"{place}: {len(step.new)} new, {len(step.changed)} changed, {step.same} as before"]
    for (cloud, region, item), old, new in step.changed:
        lines.append(f"  {cloud} {region} {item}: ${old.amount:f}, now ${new.amount:f} by {new.unit}")
    return [*lines, *(f"  left out: {sentence}" for sentence in step.left_out)]


def _update_json(place: str, step: price_lists.Update) -> dict[str, object]:
    return {
        "from": place,
        "new": [list(key) for key in step.new],
        "changed": [
            {"key": list(key), "was": f"{old.amount:f}", "is": f"{new.amount:f}"} for key, old, new in step.changed
        ],
        "same": step.same,
        "left_out": list(step.left_out),
    }
