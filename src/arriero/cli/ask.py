"""The verb ask: one question through the gateway, its answer streamed."""

from __future__ import annotations

import http.client
import json
import os
import sys
from typing import Annotated

import typer

from arriero.cli.here import SecretsUnread, is_staged, load_project, stage_endpoints
from arriero.cli.options import File, Json, Overlay, Rehearse
from arriero.deploy.project import Project
from arriero.errors import ArrieroError, Problem
from arriero.observe.asking import KEY_VARIABLE, stream
from arriero.secret import Secret


def register(app: typer.Typer) -> None:
    app.command()(ask)


def ask(
    prompt: Annotated[str, typer.Argument(help="What to ask.")],
    model: Annotated[str, typer.Option(help="The model. Default: the spec's first.", show_default=False)] = "",
    file: File = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    as_json: Json = False,
) -> None:
    """Ask a model through the gateway and stream its answer. ARRIERO_KEY holds the API key, where one is needed.

    Example: [bold]arriero ask "Why is the sky blue?"[/bold]
    """
    key = Secret(os.environ.get(KEY_VARIABLE, ""))
    project, loaded = load_project(file, overlay, SecretsUnread())  # no cloud is asked, so no login is needed
    if is_staged(loaded.spec, rehearse):
        stage_endpoints(project)
    body = {"model": model or loaded.spec.models[0].name, "messages": [{"role": "user", "content": prompt}]}
    tls = loaded.spec.gateway.tls
    certificate = project.file(tls.certificate) if tls else None
    headers: http.client.HTTPMessage | None = None
    for line, headers in stream(_gateway(project), body, key, certificate):  # noqa: B007 - the last line's headers are told below
        if as_json:
            print(json.dumps({"schema": 1, **line}))
        else:
            print(line.get("message", {}).get("content", ""), end="", flush=True)
    if headers and not as_json:
        print()
        print(f"answered by {headers.get('X-Arriero-Target')} at {headers.get('X-Arriero-Site')}", file=sys.stderr)


def _gateway(project: Project) -> str:
    from arriero.deploy import edge

    running = edge.find(project)
    if running is None:
        raise ArrieroError(Problem("no gateway is running here", "start it with: arriero up"))
    return running.url
