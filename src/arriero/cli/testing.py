"""The verb test: the spec and the image, before anything is pushed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from arriero.cli.checking import judged
from arriero.cli.here import SecretsUnread, load_project
from arriero.cli.options import File, Json, Overlay
from arriero.cli.validating import write_report
from arriero.clock import SystemClock
from arriero.observe.validation import report
from arriero.observe.validation.findings import Validation
from arriero.pipeline.image import build
from arriero.pipeline.trial import trial

VERDICT_FAILED = 3


def register(app: typer.Typer) -> None:
    app.command("test")(try_out)


def try_out(
    file: File = None,
    overlay: Overlay = None,
    as_json: Json = False,
    image: Annotated[
        str,
        typer.Option("--image", help="Not what was built here last, or else the spec's.", show_default=False),
    ] = "",
    network: Annotated[
        str, typer.Option("--network", help="The container's network, if not Docker's own: host.", show_default=False)
    ] = "",
    spec_only: Annotated[bool, typer.Option("--spec-only", help="Hold the spec against policy, no more.")] = False,
    junit: Annotated[
        Path | None, typer.Option("--junit", help="Write JUnit XML into this file, too.", show_default=False)
    ] = None,
) -> int:
    """Hold the spec against policy, then start the image as production does: API, prompts, user, drain.

    It needs a container engine. Exit code 3: something is not as it should be.

    Example: [bold]arriero test --junit test.xml[/bold]
    """
    project, loaded = load_project(file, overlay, SecretsUnread())
    findings = trial.of_spec(judged(project, loaded, None))
    if not spec_only:
        chosen = image or build.image_at_hand(project, loaded.spec)
        baked = build.models_of(project) if not image else {}
        findings += trial.of_image(loaded.spec, chosen, baked, SystemClock(), network=network)
    found = Validation(loaded.spec.name, None, findings)
    if junit:
        write_report(junit, report.junit(found))
    print(json.dumps(found.as_json()) if as_json else "\n".join(report.lines(found)))
    return VERDICT_FAILED if found.failed else 0
