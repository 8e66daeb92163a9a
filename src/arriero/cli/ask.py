"""The verb ask: one question through the gateway, its answer streamed."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from arriero.cli.here import SecretsUnread, is_staged, load_project, stage_endpoints
from arriero.cli.options import File, Json, Overlay, Rehearse
from arriero.deploy.project import Project
from arriero.errors import ArrieroError, Problem
from arriero.secret import Secret

KEY_VARIABLE = "ARRIERO_KEY"
NO_KEY = Secret("")


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


def stream(
    url: str, body: dict[str, Any], key: Secret = NO_KEY, certificate: Path | None = None
) -> Iterator[tuple[dict[str, Any], http.client.HTTPMessage]]:
    """Each line of a chat answer with the response's headers; raises ArrieroError when there is no whole answer.

    `certificate` is the gateway's own, for one at https.
    """
    connection = _connection(url, certificate)
    try:
        headers = {"Content-Type": "application/json"}
        if key != NO_KEY:
            headers["Authorization"] = f"Bearer {key.reveal()}"
        connection.request("POST", "/api/chat", json.dumps(body), headers)
        response = connection.getresponse()
        line: dict[str, Any] = {}
        for raw in response:
            line = json.loads(raw)
            if "error" in line:
                remedy = f"put an API key into {KEY_VARIABLE}" if response.status == 401 else "see: arriero status"
                raise ArrieroError(Problem(f"the gateway answered {response.status}: {line['error']}", remedy))
            yield line, response.headers
        if not line.get("done"):
            raise ArrieroError(Problem("the answer ended before it was complete", "ask again; see: arriero logs"))
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ArrieroError(Problem(f"no answer from the gateway at {url}: {error}", "see: arriero status")) from error
    finally:
        connection.close()


def _connection(url: str, certificate: Path | None) -> http.client.HTTPConnection:
    scheme, _, address = url.partition("://")
    if scheme == "http":
        return http.client.HTTPConnection(address, timeout=300)
    context = ssl.create_default_context(cafile=certificate)
    # The gateway of this project on this machine: its certificate is known, and names it as others call it.
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return http.client.HTTPSConnection(address, timeout=300, context=context)


def _gateway(project: Project) -> str:
    from arriero.deploy import edge

    running = edge.find(project)
    if running is None:
        raise ArrieroError(Problem("no gateway is running here", "start it with: arriero up"))
    return running.url
