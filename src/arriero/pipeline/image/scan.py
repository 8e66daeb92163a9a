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
from arriero.pipeline.image.syft import write_whole
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


def kept_bill(project: Project, image: str) -> Path:
    """Where the list of an image's parts lies until a release has that image (`cli/release_image.py`)."""
    return folder_of(project) / f"parts-{image.removeprefix('sha256:')[:12].replace('/', '-')}.json"


def _keep_bill(project: Project, image: str, written: Path) -> None:
    """Those of images that were built before go: what was not deployed yet will not be."""
    kept = kept_bill(project, image)
    if written != kept:
        write_whole(kept, written.read_text())
    for other in kept.parent.glob("parts-*.json"):
        if other != kept:
            other.unlink(missing_ok=True)


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
    file, parts = bill or kept_bill(project, name), 0
    if "syft" in chosen:
        parts = syft.write_bill(name, file)
        if not image:
            _keep_bill(project, name, file)
    verdict = gate.judge(found, spec.image.scan, today)
    return Scanned(name, verdict, tuple(chosen), file if "syft" in chosen else None, parts)
