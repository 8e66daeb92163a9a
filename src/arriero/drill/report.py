"""A drill's report for people: one HTML file that needs nothing from outside; the same as JSON. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from arriero.drill.verdict import Verdict
from arriero.events import Json

HTML, JSON = "drill.html", "drill.json"
_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; width: 100%; } th, td { padding: .3rem .6rem; text-align: left; }
thead th { border-bottom: 2px solid; } tbody tr:nth-child(odd) { background: #8881; }
.bad { color: #b3261e; font-weight: 600; } @media (prefers-color-scheme: dark) { .bad { color: #ff8a80; } }
td:first-child, th:first-child { white-space: nowrap; }
"""
_COLUMNS = ("scenario", "seed", "verdict", "RTO s", "promised", "RPO", "lost", "retried", "migrated", "explicit",
            "longest pause s", "recovered s", "acts")  # fmt: skip


def as_json(verdicts: Sequence[Verdict], skipped: Sequence[tuple[str, str]] = ()) -> dict[str, Json]:
    return {
        "schema": 1,
        "passed": all(verdict.is_passed for verdict in verdicts),
        "drills": [verdict.as_json() for verdict in verdicts],
        "not_played": [{"scenario": name, "why": why} for name, why in skipped],
    }


def html(service: str, verdicts: Sequence[Verdict], skipped: Sequence[tuple[str, str]] = ()) -> str:
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Drills of {escape(service)}</title>",
        "<meta name=viewport content='width=device-width, initial-scale=1'>",
        f"<style>{_STYLE}</style><h1>Drills of {escape(service)}</h1>",
        _table(_COLUMNS, [_row(verdict) for verdict in verdicts]),
    ]
    if skipped:
        parts.append(
            "<h2>Not played</h2>" + _table(("scenario", "why"), [tuple(map(escape, each)) for each in skipped])
        )
    parts += [_one(verdict) for verdict in verdicts]
    return "\n".join(parts) + "\n"


def lines(verdicts: Sequence[Verdict]) -> list[str]:
    """For a terminal: a line a drill, and below it what was not as promised."""
    found = []
    for each in verdicts:
        word = "passed" if each.is_passed else "FAILED"
        found.append(
            f"{each.scenario:<18} seed {each.seed:<4} {word}  RTO {each.rto_seconds:5.2f} s of "
            f"{each.rto_promised_seconds:g}, RPO {each.rpo_lost_records} of {each.rpo_records} records, "
            f"{each.requests} requests: {each.lost} lost, {each.retried} retried, {each.migrated} migrated, "
            f"{each.explicit} ended in words, {each.silent} cut"
        )
        found += [f"  ! {problem}" for problem in each.problems]
    return found


def _one(verdict: Verdict) -> str:
    rows = [(f"{moment.at:+.2f} s", escape(moment.what)) for moment in verdict.timeline]
    told = "".join(f"<li class=bad>{escape(problem)}</li>" for problem in verdict.problems)
    told += "".join(f"<li>told to a client: {escape(words)}</li>" for words in verdict.words)
    acts = ", ".join(verdict.acts) or "nothing"
    return (
        f"<h2>{escape(verdict.scenario)}, seed {verdict.seed}</h2><p>{escape(verdict.what)}. Struck: "
        f"{escape(', '.join(verdict.sites)) or 'no site'}. {verdict.requests} requests, {verdict.complete} complete. "
        f"What a person had to do: {escape(acts)}.</p><ul>{told}</ul>{_table(('when', 'what happened'), rows)}"
    )


def _row(verdict: Verdict) -> tuple[str, ...]:
    recovered = verdict.recovered_after_seconds
    return (
        escape(verdict.scenario),
        str(verdict.seed),
        "passed" if verdict.is_passed else "<span class=bad>failed</span>",
        f"{verdict.rto_seconds:.2f}",
        f"{verdict.rto_promised_seconds:g}",
        f"{verdict.rpo_lost_records} of {verdict.rpo_records} records",
        str(verdict.lost),
        str(verdict.retried),
        str(verdict.migrated),
        str(verdict.explicit),
        f"{verdict.longest_pause_seconds:.2f}",
        "never" if recovered is None else f"{recovered:.1f}",
        escape(", ".join(verdict.acts)) or "none",
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th scope=col>{escape(each)}</th>" for each in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
