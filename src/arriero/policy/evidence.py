"""What a scan of the image found, from the report that `trivy image --format json` writes.

Its fields: https://trivy.dev/latest/docs/configuration/reporting/ (JSON): ArtifactName, CreatedAt, Metadata with
RepoTags, RepoDigests and the image's own configuration, Results with Vulnerabilities.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from arriero.errors import ArrieroError, Problem
from arriero.policy.rule import Scan

SERIOUS = ("HIGH", "CRITICAL")


def read(file: str, home: Path) -> Scan:
    """Raises ArrieroError where there is no such file, or it is no report of an image."""
    try:
        return scan(json.loads((home / file).read_text()))
    except OSError as error:
        raise ArrieroError(_problem(f"{file} can't be read: {error.strerror}")) from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ArrieroError(_problem(f"{file} is not what `trivy image --format json` writes")) from None


def scan(report: Mapping[str, Any]) -> Scan:
    """Raises KeyError, TypeError, ValueError or AttributeError for what is no report."""
    about = report["Metadata"]
    images = (report["ArtifactName"], *(about.get("RepoDigests") or ()), *(about.get("RepoTags") or ()))
    found = [each for result in report.get("Results") or () for each in result.get("Vulnerabilities") or ()]
    made = str(report.get("CreatedAt") or "")[:10]
    return Scan(
        images=tuple(dict.fromkeys(map(str, images))),
        user=str(about["ImageConfig"]["config"].get("User") or ""),
        on=date.fromisoformat(made) if made else None,
        serious=sum(each.get("Severity") in SERIOUS for each in found),
    )


def _problem(what: str) -> Problem:
    return Problem(what, "write it anew: trivy image --format json --output FILE IMAGE", "policy.scan")
