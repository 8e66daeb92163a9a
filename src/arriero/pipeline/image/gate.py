"""The gate of a scan, pure: which findings are refused, which are let pass and why, and what of the allow-list is over.

A finding is refused when its severity is the policy's or above, unless no fixed version of it exists and the policy
lets that pass, or an entry of the allow-list names it and is not over. An entry that is over lets nothing pass and is
told; so is one that names nothing, for it would let something pass one day that nobody looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from arriero.spec.image import Allowed, Scan

SEVERITIES = ("unknown", "low", "medium", "high", "critical")
Kind = Literal["vulnerability", "secret", "misconfiguration", "dockerfile"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`where` is a package with its version, or a file with its line; `fixed` the version that has a fix."""

    kind: Kind
    id: str
    severity: str
    where: str
    title: str = ""
    fixed: str = ""

    def __str__(self) -> str:
        fix = f"; fixed in {self.fixed}" if self.fixed else ""
        return f"{self.severity:<8} {self.id:<18} {self.where}: {self.title}{fix}"

    def as_json(self) -> dict[str, str]:
        return {
            "kind": self.kind,
            "id": self.id,
            "severity": self.severity,
            "where": self.where,
            "title": self.title,
            "fixed": self.fixed,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """`passed` has why each was let pass; `notes` is what the allow-list's owner should know."""

    refused: tuple[Finding, ...]
    passed: tuple[tuple[Finding, str], ...]
    notes: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        return not self.refused


def judge(findings: Sequence[Finding], policy: Scan, today: date) -> Verdict:
    allowed = {entry.id: entry for entry in policy.allow}
    refused: list[Finding] = []
    passed: list[tuple[Finding, str]] = []
    for finding in sorted(set(findings), key=_worst_first):
        entry = allowed.get(finding.id)
        if _rank(finding.severity) < _rank(policy.severity):
            passed.append((finding, f"below {policy.severity}"))
        elif entry and today <= entry.until:
            passed.append((finding, f"allowed until {entry.until}: {entry.reason}"))
        elif finding.kind == "vulnerability" and not finding.fixed and not policy.unfixed:
            passed.append((finding, "no fixed version yet"))
        else:
            refused.append(finding)
    return Verdict(tuple(refused), tuple(passed), _notes(allowed, findings, today))


def _notes(allowed: Mapping[str, Allowed], findings: Sequence[Finding], today: date) -> tuple[str, ...]:
    found = {finding.id for finding in findings}
    notes = []
    for name, entry in allowed.items():
        if name not in found:
            notes.append(f"{name} is allowed, and was not found: remove it from image.scan.allow")
        elif entry.until < today:
            notes.append(f"{name} was allowed until {entry.until}: that is over")
    return tuple(notes)


def _rank(severity: str) -> int:
    return SEVERITIES.index(severity) if severity in SEVERITIES else 0


def _worst_first(finding: Finding) -> tuple[int, str, str]:
    return -_rank(finding.severity), finding.id, finding.where
