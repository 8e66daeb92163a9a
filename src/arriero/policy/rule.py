"""The words of policy: a Rule looks at a Subject and yields Hits; one with its rule's own words is a Finding."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple

from arriero.plan.model import Facts
from arriero.spec.model import Spec
from arriero.spec.policy import Waiver

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Scan:
    """What is known of the image from its last scan. `user` is whom its programs run as; empty is root."""

    images: tuple[str, ...]
    user: str
    on: date | None
    serious: int = 0


@dataclass(frozen=True, slots=True)
class Subject:
    """What rules look at. `facts` is None where nobody looked at the clouds; `scan` None where there is no report."""

    spec: Spec
    today: date
    facts: Facts | None = None
    scan: Scan | None = None


class Hit(NamedTuple):
    """Where (a key of the spec, like `sites.lab.network`) and what is wrong there.

    `severity` and `remedy` stand in for the rule's own where a hit is graver or milder, or asks for something else.
    """

    key: str
    what: str
    severity: Severity | None = None
    remedy: str = ""


Look = Callable[[Subject], Iterable[Hit]]


@dataclass(frozen=True, slots=True)
class Rule:
    """`reason` says why it matters, `remedy` what to do about a finding of it."""

    id: str
    severity: Severity
    reason: str
    remedy: str
    look: Look


@dataclass(frozen=True, slots=True)
class Finding:
    """One hit of one rule. While a waiver holds it does not count."""

    rule: Rule
    severity: Severity
    key: str
    what: str
    remedy: str
    waiver: Waiver | None = None

    @property
    def fails(self) -> bool:
        """Whether the verdict fails by it: an error that nobody waived."""
        return self.severity == "error" and self.waiver is None


def rule(identity: str, severity: Severity, *, reason: str, remedy: str) -> Callable[[Look], Rule]:
    """Makes a Rule of a function that is given a Subject and yields Hits."""
    if severity not in SEVERITIES:
        raise ValueError(f"{severity!r} is no severity; choose from {', '.join(SEVERITIES)}")
    return lambda look: Rule(identity, severity, reason, remedy, look)
