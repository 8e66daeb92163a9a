"""`plan --simulate`: first tokens and the bill as the last release has them, and as the spec would."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from arriero.catalog.prices import Prices
from arriero.errors import ArrieroError, Problem, Refused
from arriero.releases.ledger import Ledger
from arriero.releases.record import spec_of
from arriero.simulate.foresee import Foreseen, Traffic, foresee, traffic
from arriero.simulate.scenario import load
from arriero.spec.model import Spec

LONGEST_DAYS = 366.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What `plan` was asked to play: a scenario, or a trace of the user's own; 0 stands for a default."""

    scenario: str = "conversation"
    trace: str = ""
    rate: float = 0.0
    days: float = 0.0

    def check(self) -> None:
        """Raises Refused."""
        if not 0.0 <= self.days <= LONGEST_DAYS:
            raise Refused(Problem(f"--days is {self.days:g}", f"choose up to {LONGEST_DAYS:g}", key="--days"))
        if not 0.0 <= self.rate <= 10_000.0:
            raise Refused(Problem(f"--rate is {self.rate:g}", "choose requests a second, up to 10000", key="--rate"))


@dataclass(frozen=True, slots=True)
class Comparison:
    """`before` is None where nothing was released yet, or the last release can't be read."""

    asked: Traffic
    release: int
    before: Foreseen | None
    after: Foreseen

    def as_json(self) -> dict[str, object]:
        return {
            "traffic": {
                "trace": self.asked.scene.scenario.trace,
                "requests_a_second": round(self.asked.rate, 4),
                "rate_from": self.asked.why,
                "days": round(self.asked.seconds / 86400.0, 3),
            },
            "release": self.release or None,
            "before": self.before.as_json() if self.before else None,
            "after": self.after.as_json(),
        }


def compared(ledger: Ledger, number: int, wanted: Spec, prices: Prices, wish: Wish) -> Comparison:
    """Plays the last release and the spec under the same requests; tells on stderr which one it is at."""
    scene = load(wish.scenario, wish.trace, wish.days)
    former = _former(ledger, number)
    asked = traffic(scene, wish.rate, former or wanted, bool(wish.trace), wish.days)
    before = None
    if former is not None:
        print(f"simulating release {number} ...", file=sys.stderr)
        before = foresee(former, prices, asked)
    print("simulating the spec ...", file=sys.stderr)
    return Comparison(asked, number if before else 0, before, foresee(wanted, prices, asked))


def _former(ledger: Ledger, number: int) -> Spec | None:
    if not number:
        return None
    try:
        release = ledger.release(number)
    except ArrieroError as error:
        print(f"! what runs now is not simulated: {error.problems[0]}", file=sys.stderr)
        return None
    return spec_of(release) if release else None


def lines(found: Comparison) -> list[str]:
    """A table for the terminal."""
    asked, before, after = found.asked, found.before, found.after
    days = asked.seconds / 86400.0
    length = f"{days:g} days" if days >= 1 else f"{days * 24:.1f} hours"
    head = (
        f"Simulated: {length} of {asked.scene.scenario.trace} at {asked.rate:.3g} requests a second in the mean "
        f"({asked.why})"
    )
    rows = [("", f"release {found.release}" if before else "", "the spec", "change" if before else "")]
    for name, key, unit in _ROWS:
        now = _value(before, key) if before else None
        then = _value(after, key)
        rows.append((name, unit.format(now) if now is not None else "", unit.format(then), _change(now, then)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = [
        f"  {row[0]:<{widths[0]}}"
        + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True) if width)
        for row in rows
    ]
    return [head, *(line.rstrip() for line in table), *_notes(found)]


_ROWS = (
    ("first token, median", "p50", "{:.2f} s"),
    ("first token, 95 of 100", "p95", "{:.2f} s"),
    ("first token, 99 of 100", "p99", "{:.2f} s"),
    ("refused", "refused_share", "{:.2%}"),
    ("targets, mean", "targets", "{:.1f}"),
    ("targets, most", "most", "{:.0f}"),
    ("bill a month", "dollars", "${:,.2f}"),
)


def _value(found: Foreseen, key: str) -> float:
    if key == "refused_share":
        return found.refused / found.requests if found.requests else 0.0
    return float(found.monthly.amount) if key == "dollars" else float(getattr(found, key))


def _change(now: float | None, then: float) -> str:
    if now is None:
        return ""
    if now == then:
        return "none"
    return f"{then / now - 1:+.0%}" if now else "more"


def _notes(found: Comparison) -> Sequence[str]:
    said = [
        "  A refused request counts as an hour's wait. How fast a target is, and how long a start takes, is the "
        "scenario's; nothing here was measured at your sites."
    ]
    unpriced = sorted({*found.after.unpriced, *(found.before.unpriced if found.before else ())})
    if unpriced:
        said.append(f"  A part of the price of {', '.join(unpriced)} is unknown, and in no sum.")
    if found.before is None:
        said.append("  Nothing was released yet: there is nothing to compare with.")
    return said
