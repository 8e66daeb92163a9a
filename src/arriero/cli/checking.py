"""The verb check: the service against policy, and who may reach what."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from arriero.cli.here import SecretsUnread, load_project, opened
from arriero.cli.options import File, Json, Overlay, Rehearse, VaultPassword
from arriero.cli.sites import read_sites
from arriero.clock import SystemClock
from arriero.deploy.project import Project
from arriero.errors import ArrieroError, Problem
from arriero.plan.model import Facts
from arriero.policy import sarif
from arriero.policy.check import Verdict, all_rules
from arriero.policy.check import check as hold
from arriero.policy.rule import SEVERITIES, Finding, Rule
from arriero.spec.load import Loaded

VERDICT_FAILED = 3


def register(app: typer.Typer) -> None:
    app.command()(check)


def check(
    file: File = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    vault_password_file: VaultPassword = None,
    as_json: Json = False,
    offline: Annotated[bool, typer.Option("--offline", help="Look at the spec only, and ask no cloud.")] = False,
    out: Annotated[
        Path | None, typer.Option("--sarif", help="Write SARIF into this file, too.", show_default=False)
    ] = None,
    rules: Annotated[bool, typer.Option("--rules", help="List the rules, and check nothing.")] = False,
) -> int:
    """Hold the service against policy, and say who may reach its targets. Exit code 3: something must not be so.

    Example: [bold]arriero check --sarif findings.sarif[/bold]
    """
    if rules:
        project, loaded = load_project(file, overlay, SecretsUnread())
        return _list(_rules(project, loaded), as_json)
    if offline:
        project, loaded = load_project(file, overlay, SecretsUnread())
        return _tell(judged(project, loaded, None), loaded, as_json, out)
    with opened(file, overlay, rehearse, vault_password=vault_password_file, secrets=SecretsUnread()) as here:
        return _tell(judged(here.project, here.loaded, read_sites(here)), here.loaded, as_json, out)


def judged(project: Project, loaded: Loaded, facts: Facts | None) -> Verdict:
    """The verdict of today; raises ArrieroError with the lines of the spec."""
    try:
        return hold(loaded.spec, project.folder, SystemClock().now().date(), facts)
    except ArrieroError as error:
        raise ArrieroError(loaded.placed(error.problems)) from None


def told_in_plan(verdict: Verdict, loaded: Loaded) -> list[str]:
    """For `plan`: errors in full, and how many warnings there are besides."""
    lines = [f"policy: {line_of(finding, loaded)}" for finding in verdict.findings if finding.fails]
    warnings = sum(finding.severity == "warning" and not finding.waiver for finding in verdict.findings)
    said = f"policy: {_counted(warnings, 'warning')}; see: arriero check"
    return [*lines, said] if warnings else lines


def as_json_of(verdict: Verdict, loaded: Loaded) -> dict[str, object]:
    return {
        "verdict": "good" if verdict.is_good else "failed",
        "findings": [_finding_json(finding, loaded) for finding in verdict.findings],
        "reach": [way.as_json() for way in verdict.ways],
    }


def _tell(verdict: Verdict, loaded: Loaded, as_json: bool, out: Path | None) -> int:
    if out:
        placed = sarif.document(verdict.findings, verdict.rules, lambda p: loaded.placed([p])[0], version("arriero"))
        _write(out, placed)
    if as_json:
        print(json.dumps({"schema": 1, **as_json_of(verdict, loaded)}))
    else:
        lines = [line_of(finding, loaded) for finding in verdict.findings]
        print("\n".join([*lines, *map(str, verdict.ways), _sum(verdict)]))
    return 0 if verdict.is_good else VERDICT_FAILED


def _rules(project: Project, loaded: Loaded) -> tuple[Rule, ...]:
    try:
        return all_rules(loaded.spec, project.folder)
    except ArrieroError as error:
        raise ArrieroError(loaded.placed(error.problems)) from None


def line_of(finding: Finding, loaded: Loaded) -> str:
    """How grave, where, what, what to do, and by which rule."""
    [problem] = loaded.placed([Problem(finding.what, finding.remedy, finding.key)])
    if not finding.waiver:
        return f"{finding.severity}: {problem} [{finding.rule.id}]"
    waived = f"waived until {finding.waiver.until}: {finding.waiver.reason}"
    return f"waived: {problem} [{finding.rule.id}, {waived}]"


def _sum(verdict: Verdict) -> str:
    counting = [finding for finding in verdict.findings if not finding.waiver]
    parts = [_counted(sum(each.severity == word for each in counting), word) for word in SEVERITIES]
    waived = len(verdict.findings) - len(counting)
    return f"{', '.join(parts)}, {waived} waived. {'Good.' if verdict.is_good else 'Failed.'}"


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _list(known: Sequence[Rule], as_json: bool) -> int:
    if as_json:
        rows = [{"id": r.id, "severity": r.severity, "reason": r.reason, "remedy": r.remedy} for r in known]
        print(json.dumps({"schema": 1, "rules": rows}))
    else:
        print("\n".join(f"{each.id:<24} {each.severity:<8} {each.reason}" for each in known))
    return 0


def _finding_json(finding: Finding, loaded: Loaded) -> dict[str, object]:
    [problem] = loaded.placed([Problem(finding.what, finding.remedy, finding.key)])
    waiver = finding.waiver
    return {
        "rule": finding.rule.id,
        "severity": finding.severity,
        "reason": finding.rule.reason,
        **problem.as_json(),
        "waived": {"until": str(waiver.until), "reason": waiver.reason} if waiver else None,
    }


def _write(out: Path, document: object) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(document, indent=2) + "\n")
    except OSError as error:
        problem = Problem(f"can't be written: {error.strerror}", "name another file with --sarif", file=str(out))
        raise ArrieroError(problem) from None
