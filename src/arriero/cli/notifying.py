"""The verb notify: tells people how a build went, and never fails one."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from arriero.cli.here import SecretsUnread, load_project
from arriero.cli.options import File, Json, Overlay
from arriero.clock import SystemClock
from arriero.errors import ArrieroError, Problem, Refused
from arriero.pipeline.notify.notice import OUTCOMES, Notice, Outcome, from_ci, from_validation
from arriero.pipeline.notify.tell import SLACK_TOKEN, SLACK_URL, WEBHOOK_URL, tell


def register(app: typer.Typer) -> None:
    app.command()(notify)


def notify(
    outcome: Annotated[
        str, typer.Argument(help="|".join(OUTCOMES), metavar="OUTCOME", autocompletion=lambda: list(OUTCOMES))
    ],
    message: Annotated[str, typer.Option("--message", "-m", help="A sentence to add.", show_default=False)] = "",
    validation: Annotated[
        Path | None,
        typer.Option(help="Tell release, timings and failures of what `validate --json` wrote.", show_default=False),
    ] = None,
    commit: Annotated[str, typer.Option(help="Default: what the CI server says.", show_default=False)] = "",
    link: Annotated[str, typer.Option(help="Default: what the CI server says.", show_default=False)] = "",
    channel: Annotated[str, typer.Option(help="Default: the spec's pipeline.slack.", show_default=False)] = "",
    file: File = None,
    overlay: Overlay = None,
    as_json: Json = False,
) -> int:
    """Tell Slack (SLACK_WEBHOOK_URL, or SLACK_BOT_TOKEN) and a webhook (ARRIERO_WEBHOOK_URL) how a build went.

    It tries three times, and exits with 0 whatever becomes of it: a build never fails because nobody could be told.

    Example: [bold]arriero notify failure --message "Validate failed; rolled back"[/bold]
    """
    if outcome not in OUTCOMES:
        raise Refused(Problem(f"'{outcome[:40]}' is no outcome", f"choose from {', '.join(OUTCOMES)}", key="notify"))
    parts, default_channel = _known(cast(Outcome, outcome), message, validation, file, overlay)
    ci = from_ci(os.environ)
    notice = Notice(**{**parts, "commit": commit or ci["commit"], "link": link or ci["link"]})
    results = tell(notice, channel or default_channel, os.environ, SystemClock())
    _show(notice, results, as_json)
    return 0


def _known(
    outcome: Outcome, message: str, validation: Path | None, file: Path | None, overlay: str | None
) -> tuple[dict[str, Any], str]:
    """What is known; a spec or a validation that can't be read is one more thing to tell, not a reason to be silent."""
    parts: dict[str, Any] = {"service": "a service", "outcome": outcome, "message": message}
    channel = ""
    try:
        _, loaded = load_project(file, overlay, SecretsUnread())
        parts |= {"service": loaded.spec.name, "sites": tuple(loaded.spec.sites)}
        channel = loaded.spec.pipeline.slack or ""
    except ArrieroError as error:
        parts["message"] = "\n".join(filter(None, (message, f"The spec can't be read: {error.problems[0]}")))
    if validation:
        try:
            parts |= from_validation(json.loads(validation.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            print(f"{validation}: holds no validation ({type(error).__name__}); told without it", file=sys.stderr)
    return parts, channel


def _show(notice: Notice, results: dict[str, str], as_json: bool) -> None:
    if as_json:
        told = [way for way, why in results.items() if not why]
        untold = [{"way": way, "why": why} for way, why in results.items() if why]
        print(json.dumps({"schema": 1, "told": told, "untold": untold}))
        return
    for way, why in results.items():
        print(f"{way}: {why}" if why else f"Told {way}: {notice.title}.", file=sys.stderr if why else sys.stdout)
    if not results:
        print(f"There is nobody to tell; set {SLACK_URL}, {SLACK_TOKEN} or {WEBHOOK_URL}.", file=sys.stderr)
