"""How a server is asked something: a chat whose answer is streamed."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from arriero.errors import ArrieroError, Problem
from arriero.secret import Secret

KEY_VARIABLE = "ARRIERO_KEY"
NO_KEY = Secret("")
ANSWER_SECONDS = 300.0


def stream(
    url: str, body: dict[str, Any], key: Secret = NO_KEY, certificate: Path | None = None, site: str = ""
) -> Iterator[tuple[dict[str, Any], http.client.HTTPMessage]]:
    """Each line of a chat answer with the response's headers; raises ArrieroError when there is no whole answer.

    `certificate` is the gateway's own, for one at https. `site`: the one to try out.
    """
    connection = connect(url, certificate, ANSWER_SECONDS)
    try:
        headers = {"Content-Type": "application/json"}
        if key != NO_KEY:
            headers["Authorization"] = f"Bearer {key.reveal()}"
        if site:
            headers["X-Arriero-Site"] = site
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


def connect(url: str, certificate: Path | None, timeout_seconds: float) -> http.client.HTTPConnection:
    """A connection to `http://host:port` or `https://host:port`, whose certificate is the one given."""
    scheme, _, address = url.partition("://")
    if scheme == "http":
        return http.client.HTTPConnection(address, timeout=timeout_seconds)
    context = ssl.create_default_context(cafile=certificate)
    # The gateway of this project on this machine: its certificate is known, and names it as others call it.
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return http.client.HTTPSConnection(address, timeout=timeout_seconds, context=context)
