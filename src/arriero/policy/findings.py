"""The one call: every rule over one subject, waivers applied, the gravest first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date

from arriero.errors import ArrieroError, Problem
from arriero.plan.model import Facts
from arriero.policy.builtin import exposure, images, models, secrets, standing
from arriero.policy.rule import SEVERITIES, Finding, Hit, Rule, Scan, Subject, rule
from arriero.spec.model import Spec
from arriero.spec.policy import Waiver

BUILTIN: tuple[Rule, ...] = (*exposure.RULES, *images.RULES, *secrets.RULES, *standing.RULES, *models.RULES)


def _none(_: Subject) -> Iterable[Hit]:
    return ()


EXPIRED = rule(
    "waiver-expired",
    "warning",
    reason="what was let pass for a while counts again",
    remedy="mend what it is about, or give it a new day and a reason that still holds",
)(_none)
UNUSED = rule(
    "waiver-unused",
    "note",
    reason="a waiver that waives nothing would let something pass one day that nobody looked at",
    remedy="remove it",
)(_none)


def findings(
    spec: Spec,
    today: date,
    facts: Facts | None = None,
    scan: Scan | None = None,
    more: Iterable[Rule] = (),
) -> tuple[Finding, ...]:
    """All findings, also those that are waived; the verdict fails if one of them `fails`.

    `more` are the user's own rules (`users.py`). Raises ArrieroError where one of them breaks.
    """
    rules, subject = (*BUILTIN, *more), Subject(spec, today, facts, scan)
    found = [_waived(finding, spec.policy.waive, today) for each in rules for finding in _of(each, subject)]
    found += _about_waivers(spec.policy.waive, found, {each.id for each in rules}, today)
    return tuple(sorted(found, key=_gravest_first))


def _of(each: Rule, subject: Subject) -> Iterator[Finding]:
    try:
        hits = [Hit(*hit) for hit in each.look(subject)]
    except Exception as error:
        what = f"the rule {each.id} broke: {type(error).__name__}: {error}"
        raise ArrieroError(Problem(what, "mend the rule", key="policy.rules")) from error
    for hit in hits:
        yield Finding(each, hit.severity or each.severity, hit.key, hit.what, hit.remedy or each.remedy)


def _waived(finding: Finding, waivers: Iterable[Waiver], today: date) -> Finding:
    holding = (w for w in waivers if _is_about(w, finding) and today <= w.until)
    return replace(finding, waiver=next(holding, None))


def _is_about(waiver: Waiver, finding: Finding) -> bool:
    at, key = waiver.at, finding.key
    return waiver.rule == finding.rule.id and (not at or key == at or key.startswith((f"{at}.", f"{at}[")))


def _about_waivers(
    waivers: tuple[Waiver, ...], found: list[Finding], known: set[str], today: date
) -> Iterator[Finding]:
    for index, waiver in enumerate(waivers):
        key = f"policy.waive[{index}]"
        if waiver.rule not in known:
            what = f"there is no rule {waiver.rule}; `arriero check --rules` lists them"
            yield Finding(UNUSED, "warning", key, what, "correct it, or remove it")
        elif not any(_is_about(waiver, finding) for finding in found):
            yield Finding(UNUSED, UNUSED.severity, key, f"nothing is found by {waiver.rule} there", UNUSED.remedy)
        elif waiver.until < today:
            what = f"{waiver.rule} was let pass until {waiver.until}"
            yield Finding(EXPIRED, EXPIRED.severity, key, what, EXPIRED.remedy)


def _gravest_first(finding: Finding) -> tuple[bool, int, str, str]:
    return finding.waiver is not None, SEVERITIES.index(finding.severity), finding.key, finding.rule.id
