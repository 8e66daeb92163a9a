"""The door to Trivy: its command lines, from its documented flags, and its documented JSON.

https://trivy.dev/latest/docs/references/configuration/cli/trivy_image/ and
https://trivy.dev/latest/docs/configuration/reporting/. Its exit code is left at 0 for findings: what is refused, our
gate decides. No Trivy was at hand while this was written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from arriero.pipeline.image.gate import Finding
from arriero.pipeline.image.program import Program

TRIVY = Program("trivy", "install it: https://trivy.dev/latest/getting-started/installation/, or give --without trivy")


def commands(image: str, folder: str) -> tuple[tuple[str, ...], ...]:
    """One for what is in the image (packages and secrets), one for the files that it is built and run from."""
    form = ("--format", "json", "--quiet")
    return (
        ("trivy", "image", *form, "--scanners", "vuln,secret", image),
        ("trivy", "config", *form, folder),
    )


def scan(image: str, folder: str) -> tuple[Finding, ...]:
    """Raises ArrieroError where Trivy is not there or can't read the image."""
    return tuple(finding for words in commands(image, folder) for finding in findings(TRIVY.said(words)))


def findings(report: str) -> Iterator[Finding]:
    """Everything in one report, whatever its severity. Raises ArrieroError for what is no report."""
    try:
        for result in json.loads(report).get("Results") or ():
            yield from _of_result(result)
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise TRIVY.unreadable(error) from None


def _of_result(result: Mapping[str, Any]) -> Iterator[Finding]:
    target = result["Target"]
    for row in result.get("Vulnerabilities") or ():
        where = f"{row['PkgName']} {row.get('InstalledVersion', '')}".strip()
        yield Finding(
            "vulnerability",
            row["VulnerabilityID"],
            _severity(row),
            where,
            row.get("Title", ""),
            row.get("FixedVersion", ""),
        )
    for row in result.get("Secrets") or ():
        # Never `Match` or `Code`: they hold what must not be seen.
        yield Finding("secret", row["RuleID"], _severity(row), f"{target}:{row.get('StartLine', 0)}", row["Title"])
    for row in result.get("Misconfigurations") or ():
        if row.get("Status", "FAIL") == "FAIL":
            yield Finding("misconfiguration", row["ID"], _severity(row), target, row.get("Title", ""))


def _severity(row: Mapping[str, Any]) -> str:
    return str(row.get("Severity", "UNKNOWN")).lower()
