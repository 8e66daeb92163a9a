"""How costs look in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from arriero.catalog.catalog import Source
from arriero.cost.budget import Judgement
from arriero.cost.estimate import Estimate
from arriero.cost.money import Money
from arriero.cost.spending import Comparison
from arriero.cost.statement import SiteCost, Statement, missing
from arriero.spec.front_door import NAME

HEAD = ("site", "targets", "an hour", "a month", "at most a month", "a million tokens")


def statement_lines(found: Statement, *, with_sources: bool = False) -> list[str]:
    """A table with a row a site, and one for the Front Door; then what is by use, unknown, the budget and the bills."""
    rows = [HEAD, *(_row(part) for part in found.parts), _together(found.parts)]
    by_use = dict.fromkeys(_by_use(part.now) for part in found.parts if part.now.by_use)
    unknown = missing(found.parts)
    lines = [f"{found.service}: list prices, before tax and discounts; a month has 730 hours.", *_table(rows), *by_use]
    if unknown:
        lines.append(f"No source of a price: {', '.join(unknown)}; see: arriero prices update")
    lines += budget_lines(found.budget, "budget")
    if found.at_most and found.at_most.standing == "over" and found.budget and found.budget.standing != "over":
        lines += budget_lines(found.at_most, "budget, with all targets that sites may have")
    lines += _spent(found)
    return [*lines, *(_source_lines(found) if with_sources else ())]


def budget_lines(found: Judgement | None, what: str = "budget") -> list[str]:
    """None without a budget."""
    return [f"{'! ' if found.warns else ''}{what}: {found.sentence}"] if found else []


def _row(site: SiteCost) -> tuple[str, ...]:
    now, most = site.now, site.most
    if now.site == NAME:
        standing = "" if site.stands else "planned"
        return (
            now.site,
            standing,
            _amount(now, now.hourly, 4),
            _amount(now, now.monthly),
            _amount(most, most.monthly),
            "",
        )
    count = f"{now.count}{'' if site.stands else ' planned'}, at most {most.count}"
    if now.cloud == "local":
        return (now.site, count, "no bill", "no bill", "no bill", "")
    tokens = ", ".join(f"{model} {money}" for model, money in site.tokens.items()) or "speed unknown"
    tokens = tokens if now.is_complete or site.tokens else "price unknown"
    return (
        now.site,
        count,
        _amount(now, now.hourly, 4),
        _amount(now, now.monthly),
        _amount(most, most.monthly),
        tokens,
    )


def _amount(found: Estimate, money: Money, digits: int = 2) -> str:
    if not found.lines and not found.is_complete:
        return "unknown"
    said = str(money) if digits == 2 else f"${money.amount:.{digits}f}"
    return said if found.is_complete else f"{said} or more"


def _together(sites: Sequence[SiteCost]) -> tuple[str, ...]:
    least = "" if all(site.now.is_complete for site in sites) else " or more"
    most_least = "" if all(site.most.is_complete for site in sites) else " or more"
    now = sum((site.now.hourly for site in sites), Money())
    monthly = sum((site.now.monthly for site in sites), Money())
    most = sum((site.most.monthly for site in sites), Money())
    count = sum(site.now.count for site in sites)
    return ("together", str(count), f"${now.amount:.4f}{least}", f"{monthly}{least}", f"{most}{most_least}", "")


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _by_use(found: Estimate) -> str:
    said = [
        f"{item.item} ${item.unit_price.amount:f} a {item.unit}" if item.unit_price else f"{item.item}, price unknown"
        for item in found.by_use
    ]
    return f"By use, in no sum: {found.site}: {'; '.join(said)}"


def _spent(found: Statement) -> list[str]:
    if found.period is None:
        return []
    since = max(found.period.start, found.period.runs_since or found.period.start)
    head = f"Spent since {since:%Y-%m-%d %H:%M} UTC, by the clouds' bills; expected is what runs now at list prices:"
    lines = [head, *(f"  {_comparison(each)}" for each in found.spent)] if found.spent else []
    if found.elsewhere:
        lines.append(f"  {_precise(found.elsewhere)} is billed under the service's tag at no site of the spec")
    return lines


def _comparison(each: Comparison) -> str:
    spent = "the bill doesn't say" if each.spent is None else _precise(each.spent)
    expected = _precise(each.expected) if each.is_complete else f"at least {_precise(each.expected)}"
    return f"{each.site}: {spent}; expected {expected}: {each.word}"


def _precise(money: Money) -> str:
    """To the cent; small amounts to a hundredth of one."""
    return str(money) if abs(money.amount) >= 1 else f"${money.amount:.4f}"


def _source_lines(found: Statement) -> list[str]:
    sources = dict.fromkeys(line.source for part in found.parts for line in part.most.lines)
    return ["Prices were read at:", *(f"  {source_words(source)}" for source in sources)]


def source_words(source: Source) -> str:
    as_of = f", as of {source.as_of}" if source.as_of else ""
    note = f" ({source.note})" if source.note else ""
    return f"{source.page}, read {source.read}{as_of}{note}"
