"""What a comparison showed, as lines for a terminal, as JSON, and as one HTML file that needs nothing from outside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from arriero.simulate.compare import PERCENTILES, Mean, Outcome, mean
from arriero.simulate.plots import lines, scatter
from arriero.simulate.scenario import Scene

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24; }
table { border-collapse: collapse; margin: 1rem 0; } th, td { padding: .3rem .8rem; text-align: right; }
th:first-child, td:first-child { text-align: left; } thead th { border-bottom: 2px solid #1b1f24; }
tbody tr:nth-child(odd) { background: #f4f6f8; } svg { width: 100%; height: auto; } figure { margin: 1.5rem 0; }
figcaption { color: #57606a; } @media (prefers-color-scheme: dark) { body { background: #0d1117; color: #e6edf3; }
tbody tr:nth-child(odd) { background: #161b22; } thead th { border-color: #e6edf3; } }
"""


@dataclass(frozen=True, slots=True)
class Summary:
    """One policy over all its seeds; `saving`: the part of the fixed peak's cost that it does not cost."""

    policy: str
    with_spot: bool
    seeds: int
    p50: Mean
    p95: Mean
    p99: Mean
    cost: Mean
    saving: Mean | None
    refused: int
    requests: int
    migrated: int


def summaries(outcomes: Iterable[Outcome], against: str = "fixed peak") -> list[Summary]:
    """In the order of the outcomes; savings seed by seed, as all policies of a seed have the same traffic."""
    groups: dict[tuple[bool, str], list[Outcome]] = {}
    for each in outcomes:
        groups.setdefault((each.with_spot, each.policy), []).append(each)
    return [_summary(group, groups.get((key[0], against), [])) for key, group in groups.items()]


def _summary(group: Sequence[Outcome], peers: Sequence[Outcome]) -> Summary:
    paid = {each.seed: each.cost for each in peers}
    savings = [1.0 - each.cost / paid[each.seed] for each in group if each.seed in paid]
    return Summary(
        policy=group[0].policy,
        with_spot=group[0].with_spot,
        seeds=len(group),
        p50=mean([each.p50 for each in group]),
        p95=mean([each.p95 for each in group]),
        p99=mean([each.p99 for each in group]),
        cost=mean([each.cost for each in group]),
        saving=mean(savings) if savings else None,
        refused=sum(each.refused for each in group),
        requests=sum(each.requests for each in group),
        migrated=sum(each.migrated for each in group),
    )


COLUMNS = ("policy", "Spot", "p50 s", "p95 s", "p99 s", "cost $", "saves", "refused", "moved")


def cells(each: Summary) -> tuple[str, ...]:
    saving = "-"
    if each.saving:
        saving = f"{each.saving.value:.1%}" + (f" ±{each.saving.within:.1%}" if each.seeds > 1 else "")
    spot = "yes" if each.with_spot else "no"
    seconds = (str(each.p50), str(each.p95), str(each.p99))
    return (each.policy, spot, *seconds, str(each.cost), saving, str(each.refused), str(each.migrated))


def table(found: Sequence[Summary]) -> list[str]:
    rows = [COLUMNS, *map(cells, found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def as_json(scene: Scene, found: Sequence[Summary]) -> dict[str, Any]:
    return {"schema": 1, "scenario": scene.scenario.title, "policies": [asdict(each) for each in found]}


def html(scene: Scene, found: Sequence[Summary], outcomes: Sequence[Outcome]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in COLUMNS)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells(each))}</tr>" for each in found)
    shown = {each.policy: each for each in outcomes if each.rows and each.with_spot == outcomes[0].with_spot}
    points = [
        (f"{each.policy}{' + Spot' if each.with_spot else ''}", each.cost.value, each.p99.value) for each in found
    ]
    figures = [
        ("Cost against the 99th percentile of the first token: left and low is better", scatter(points, "$", "s")),
        ("First token by percentile, of the first seed", _percentiles(shown)),
        ("Dollars so far", lines(_rows(shown, "cost"), "$")),
        ("Targets that answer or start", lines(_rows(shown, "targets"), "targets")),
        ("Requests that wait for a place, the most in ten minutes", lines(_rows(shown, "waiting"), "requests")),
        ("Slowest first token in ten minutes", lines(_rows(shown, "worst"), "s")),
    ]
    plots = "".join(f"<figure>{svg}<figcaption>{escape(what)}</figcaption></figure>" for what, svg in figures)
    title = escape(scene.scenario.title)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f"<h1>{title}</h1><p>{escape(_about(scene, found))}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{plots}</html>\n"
    )


def _percentiles(shown: Mapping[str, Outcome]) -> str:
    series = {name: [(float(at), value) for at, value in enumerate(each.percentiles)] for name, each in shown.items()}
    return lines(series, "s", [(float(at), f"p{percent:g}") for at, percent in enumerate(PERCENTILES)])


def _about(scene: Scene, found: Sequence[Summary]) -> str:
    asked, cloud = scene.scenario, scene.cloud
    return (
        f"{asked.trace}, played for {_some(asked.days, 'day')} at {asked.requests_a_second:g} requests a second in "
        f"the mean, {_some(found[0].seeds, 'seed')}; intervals are of 95 %. A target costs ${cloud.hourly:.3f} an hour "
        f"(as Spot ${cloud.spot_hourly:.3f}) and starts in {cloud.start_seconds:.0f} s. The gateway's own router. "
        "A refused request counts as an hour's wait. Everything here is simulated."
    )


def _some(count: float, what: str) -> str:
    return f"{count:g} {what}{'' if count == 1 else 's'}"


def _rows(shown: Mapping[str, Outcome], what: str) -> dict[str, list[tuple[float, float]]]:
    """By policy: hours, and the value then."""
    found = {}
    for name, each in shown.items():
        values = [row.ready + row.starting if what == "targets" else getattr(row, what) for row in each.rows]
        found[name] = [(place / 6.0, float(value)) for place, value in enumerate(values[:-1])]
    return found
