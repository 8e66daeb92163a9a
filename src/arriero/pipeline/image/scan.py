"""`arriero image scan`: what hadolint and Trivy find, judged by the spec's policy, and what the image is made of."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from arriero.deploy.project import Project
from arriero.errors import ArrieroError
from arriero.pipeline.image import gate, hadolint, record, syft, trivy
from arriero.pipeline.image.build import folder_of, record_of
from arriero.pipeline.image.compose import compose
from arriero.pipeline.image.dockerfile import dockerfile
from arriero.pipeline.image.gate import Finding, Verdict
from arriero.pipeline.image.program import Program
from arriero.pipeline.image.recipe import recipe
from arriero.spec.model import Spec

PROGRAMS: Mapping[str, Program] = {"hadolint": hadolint.HADOLINT, "trivy": trivy.TRIVY, "syft": syft.SYFT}


@dataclass(frozen=True, slots=True)
class Scanned:
    """`bill` is where the list of parts was written, with `parts` entries; None if that was left out."""

    image: str
    verdict: Verdict
    programs: tuple[str, ...]
    bill: Path | None
    parts: int


def scan(project: Project, spec: Spec, image: str, without: Collection[str], bill: Path | None, today: date) -> Scanned:
    """Scans `image`, or what was built here last. Raises ArrieroError that names every program that is missing."""
    chosen = {name: program for name, program in PROGRAMS.items() if name not in without}
    if absent := [problem for program in chosen.values() if (problem := program.absent)]:
        raise ArrieroError(absent)
    name = image or record.read_built(record_of(project)).id
    found: list[Finding] = []
    with tempfile.TemporaryDirectory(prefix="arriero-scan-") as folder:
        (Path(folder) / "Dockerfile").write_text(dockerfile(recipe(spec)))
        (Path(folder) / "compose.yaml").write_text(compose(spec))
        if "hadolint" in chosen:
            found += hadolint.lint(str(Path(folder) / "Dockerfile"))
        if "trivy" in chosen:
            found += trivy.scan(name, folder)
    file, parts = bill or folder_of(project) / "sbom.cdx.json", 0
    if "syft" in chosen:
        parts = syft.write_bill(name, file)
    verdict = gate.judge(found, spec.image.scan, today)
    return Scanned(name, verdict, tuple(chosen), file if "syft" in chosen else None, parts)
