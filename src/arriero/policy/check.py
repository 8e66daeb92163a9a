"""A whole check of one project: the built-in rules, the user's own, and the scan that the spec names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from arriero.plan.model import Facts, SiteFacts
from arriero.policy import evidence, reach, users
from arriero.policy.findings import BUILTIN, findings
from arriero.policy.reach_door import door_ways
from arriero.policy.rule import Finding, Rule
from arriero.policy.way import Way
from arriero.spec.model import Spec


@dataclass(frozen=True, slots=True)
class Verdict:
    """All that was found, the gravest first, by which rules, and every way into the sites that were read."""

    findings: tuple[Finding, ...]
    rules: tuple[Rule, ...]
    ways: tuple[Way, ...]

    @property
    def is_good(self) -> bool:
        return not any(finding.fails for finding in self.findings)


def check(spec: Spec, home: Path, today: date, facts: Facts | None = None) -> Verdict:
    """Holds a spec that lies in the folder `home` against policy; without `facts` nothing is known of the clouds.

    Raises ArrieroError, its problems keyed by the spec's keys, where a file that `policy` names can't be used.
    """
    known = all_rules(spec, home)
    scan = evidence.read(spec.policy.scan, home) if spec.policy.scan else None
    found = findings(spec, today, facts, scan, known[len(BUILTIN) :])
    ways = [way for site in _read(spec, facts) for way in reach.ways(site)]
    return Verdict(found, known, (*door_ways(facts.front_door if facts else None), *ways))


def all_rules(spec: Spec, home: Path) -> tuple[Rule, ...]:
    """The built-in ones first; raises as `check` does."""
    return (*BUILTIN, *users.rules(spec.policy.rules, home, BUILTIN))


def _read(spec: Spec, facts: Facts | None) -> list[SiteFacts]:
    return [facts.sites[name] for name in spec.sites if name in facts.sites] if facts else []
