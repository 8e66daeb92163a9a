"""A report for people: one HTML file that needs nothing from outside, and the same as Markdown with plots beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from html import escape

from arriero.cost.money import Money
from arriero.pipeline.prometheus.objectives import ERROR_BUDGET, FIRST_TOKEN_SECONDS, SLOW_BUDGET
from arriero.pipeline.report.report import Report, moment
from arriero.pipeline.report.totals import Count
from arriero.simulate.plots import lines

HTML, MARKDOWN, JSON = "report.html", "report.md", "report.json"
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24; }
table { border-collapse: collapse; margin: 1rem 0; } th, td { padding: .3rem .8rem; text-align: right; }
th:first-child, td:first-child { text-align: left; } thead th { border-bottom: 2px solid; }
tbody tr:nth-child(odd) { background: #8881; } svg { width: 100%; height: auto; } figure { margin: 1.5rem 0; }
figcaption { color: #57606a; } @media (prefers-color-scheme: dark) { body { background: #0d1117; color: #e6edf3; }
figcaption { color: #9198a1; } }
"""


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    nothing: str = "None."


@dataclass(frozen=True, slots=True)
class Plot:
    name: str
    title: str
    svg: str


def files(report: Report) -> Mapping[str, str]:
    """The HTML, the Markdown, and the plots that the Markdown shows; JSON is the caller's."""
    plots = _plots(report)
    beside = {f"{plot.name}.svg": _alone(plot.svg) for plot in plots}
    return {HTML: _html(report, plots), MARKDOWN: _markdown(report, plots), **beside}


def summary(report: Report) -> list[str]:
    """The same in a few lines."""
    whole = report.totals.whole
    first = " / ".join(_seconds(whole.first_tokens.quantile(part)) for part in (0.5, 0.95, 0.99))
    spent = "unknown" if report.cost.whole is None else str(report.cost.whole)
    million = "" if report.a_million_tokens is None else f", {report.a_million_tokens} a million tokens"
    return [
        f"Requests:      {whole.ours:,}, of which {whole.bad:,} failed or were cut; {whole.refused:,} were refused",
        f"Availability:  {_part(whole.availability)} (promised {1 - ERROR_BUDGET:.1%}; "
        f"{_budget(whole.error_budget_left)} of the error budget is left)",
        f"First token:   {first} (p50 / p95 / p99); {_part(whole.in_time)} within {FIRST_TOKEN_SECONDS:g} s "
        f"(promised {1 - SLOW_BUDGET:.0%}; {_budget(whole.slow_budget_left)} of the budget is left)",
        f"Tokens:        {whole.tokens_in:,} read, {whole.tokens_out:,} generated",
        f"Saved:         {whole.retried:,} tried again, {whole.migrated:,} carried on by another target",
        f"Cost:          {spent}{million}",
        f"Releases:      {len(report.releases)}",
        f"Incidents:     {len(report.incidents)}",
    ]


def _tables(report: Report) -> tuple[Table, ...]:
    totals = report.totals
    return (
        _counts("By site", "site", totals.sites),
        _counts("By model", "model", totals.models),
        _counts("By key", "key", totals.keys, "No API key was used."),
        Table("Cost", ("site", "spent"), tuple((site, _money(money)) for site, money in report.cost.spent.items())),
        Table(
            "Releases",
            ("release", "when", "by", "image", "ended"),
            tuple((str(r.number), f"{r.at:%Y-%m-%d %H:%M}", r.who, r.image, r.state) for r in report.releases),
            "Nothing was released.",
        ),
        Table(
            "Incidents",
            ("when", "how long", "what"),
            tuple((_day(i.start), _long(i.start, i.end), i.what) for i in report.incidents),
            "Nothing went wrong that a gateway's log tells of.",
        ),
    )


def _counts(title: str, what: str, counts: Mapping[str, Count], nothing: str = "No request went to any.") -> Table:
    head = (what, "requests", "answered", "p50", "p95", "p99", "tokens in", "tokens out")
    ordered = sorted(counts.items(), key=lambda item: (-item[1].ours, item[0]))
    return Table(title, head, tuple(_row(name, count) for name, count in ordered), nothing)


def _row(name: str, count: Count) -> tuple[str, ...]:
    first = (_seconds(count.first_tokens.quantile(part)) for part in (0.5, 0.95, 0.99))
    return name, f"{count.ours:,}", _part(count.availability), *first, f"{count.tokens_in:,}", f"{count.tokens_out:,}"


def _plots(report: Report) -> tuple[Plot, ...]:
    totals = report.totals
    hours = totals.row_seconds / 3600
    rows = [(number * hours, count) for number, count in sorted(totals.rows.items())]
    bad = [(at, 100 * count.bad / count.ours) for at, count in rows if count.ours]
    allowed = [(0.0, 100 * ERROR_BUDGET), ((totals.end - totals.start) / 3600, 100 * ERROR_BUDGET)]
    first = {
        f"p{part:g}": [(at, value) for at, c in rows if (value := c.first_tokens.quantile(part / 100)) is not None]
        for part in (50, 95)
    }
    tokens = [(at, count.tokens_out / totals.row_seconds) for at, count in rows]
    asked = [(at, count.ours / totals.row_seconds) for at, count in rows]
    return (
        Plot("requests", "Requests a second", lines({"requests": asked}, "/s")),
        Plot("errors", "Failed or cut, in percent", lines({"failed or cut": bad, "promised": allowed}, "%")),
        Plot("first-token", "First token", lines(first, "s")),
        Plot("tokens", "Tokens generated a second", lines({"tokens": tokens}, "/s")),
    )


def _html(report: Report, plots: Sequence[Plot]) -> str:
    title = escape(_title(report))
    items = "".join(f"<li>{escape(_squeezed(line))}</li>" for line in summary(report))
    notes = "".join(f"<p>Not known: {escape(problem)}</p>" for problem in report.cost.problems)
    figures = "".join(f"<figure>{plot.svg}<figcaption>{escape(plot.title)}</figcaption></figure>" for plot in plots)
    tables = "".join(_html_table(table) for table in _tables(report))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{title}</title><style>{_STYLE}</style></head>'
        f"<body><h1>{title}</h1><ul>{items}</ul>{notes}{figures}{tables}</body></html>\n"
    )


def _html_table(table: Table) -> str:
    if not table.rows:
        return f"<h2>{escape(table.title)}</h2><p>{escape(table.nothing)}</p>"
    head = "".join(f"<th>{escape(name)}</th>" for name in table.head)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in table.rows)
    return f"<h2>{escape(table.title)}</h2><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _markdown(report: Report, plots: Sequence[Plot]) -> str:
    parts = [f"# {_cell(_title(report))}", "\n".join(f"- {_squeezed(line)}" for line in summary(report))]
    parts += [f"Not known: {_cell(problem)}" for problem in report.cost.problems]
    parts += [f"![{plot.title}]({plot.name}.svg)" for plot in plots]
    for table in _tables(report):
        parts.append(f"## {table.title}")
        parts.append(_markdown_table(table) if table.rows else table.nothing)
    return "\n\n".join(parts) + "\n"


def _markdown_table(table: Table) -> str:
    rows = [table.head, ("---",) * len(table.head), *(tuple(map(_cell, row)) for row in table.rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(text: str) -> str:
    """Names come from clients: none of them ends a cell, begins a tag or a link."""
    clean = "".join(one if one.isprintable() else "?" for one in text)
    for mark in "\\|<>[]`*_":
        clean = clean.replace(mark, f"\\{mark}")
    return clean


def _alone(svg: str) -> str:
    """A file of its own, in colours for any background."""
    return svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" color="#57606a" ', 1) + "\n"


def _title(report: Report) -> str:
    return f"{report.service}, {report.start:%Y-%m-%d %H:%M} to {report.end:%Y-%m-%d %H:%M} UTC"


def _squeezed(line: str) -> str:
    return " ".join(line.split())


def _part(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}" if value < 1 else "100%"


def _budget(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def _money(money: Money | None) -> str:
    return "unknown" if money is None else str(money)


def _day(at: float) -> str:
    return (moment(at) or "")[:16].replace("T", " ")


def _long(start: float, end: float | None) -> str:
    return "goes on" if end is None else str(timedelta(seconds=round(end - start)))
