"""Tells a forge how a commit fares: a commit status, in the form that GitHub, Gitea and Forgejo take."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import Literal

from arriero.pipeline.sync.repository import shown
from arriero.secret import Secret

State = Literal["pending", "success", "failure", "error"]
CONTEXT = "arriero"
LONGEST_TEXT = 140
WITHIN_SECONDS = 10.0


def post(url: str, token: Secret, commit: str, state: State, text: str) -> str:
    """Posts it to `url`, in which `{sha}` stands for the commit; returns why that failed, or nothing.

    A status that can't be posted stops no deployment.
    """
    body = {"state": state, "context": CONTEXT, "description": text[:LONGEST_TEXT], "sha": commit}
    headers = {"Content-Type": "application/json", "User-Agent": "arriero"}
    if token.reveal():
        headers["Authorization"] = f"Bearer {token.reveal()}"
    data, where = json.dumps(body).encode(), url.replace("{sha}", commit)
    try:
        request = urllib.request.Request(where, data, headers, method="POST")
        with urllib.request.urlopen(request, timeout=WITHIN_SECONDS):
            return ""
    except urllib.error.HTTPError as error:
        return f"{shown(url)} answered {error.code}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"{shown(url)}: {getattr(error, 'reason', error)}"
