"""A plain webhook: one JSON body, sent by POST, with patience for a server that is busy or away."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request

from arriero.clock import Clock
from arriero.pipeline.notify.notice import Notice
from arriero.secret import Secret

TRIES = 3
TIMEOUT_SECONDS = 10
LONGEST_WAIT_SECONDS = 20.0
_WORTH_ANOTHER = {408, 425, 429, 500, 502, 503, 504}


class Untold(Exception):
    """Nobody was told this way; the text says why, without the address, which may be a secret itself."""


def post(notice: Notice, url: Secret, clock: Clock) -> None:
    """Raises Untold after three tries, at once where another can't help."""
    if not url.reveal().startswith(("https://", "http://")):
        raise Untold("the webhook's address is no http(s) URL")
    for remaining in reversed(range(TRIES)):
        status, why, wait = _post(notice, url)
        if status < 300:
            return
        if not remaining or (status not in _WORTH_ANOTHER and status != _AWAY):
            raise Untold(why)
        clock.sleep(min(LONGEST_WAIT_SECONDS, wait or 2.0 ** (TRIES - 1 - remaining)))


_AWAY = 599  # no answer at all; no server gives this status


def _post(notice: Notice, url: Secret) -> tuple[int, str, float]:
    """The status, what to say of it, and how many seconds the server asks to wait (0: it does not say)."""
    body = json.dumps(notice.as_json()).encode()
    try:
        request = urllib.request.Request(url.reveal(), body, {"Content-Type": "application/json"}, method="POST")
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            return int(answer.status), "", 0.0
    except urllib.error.HTTPError as error:
        asked = error.headers.get("Retry-After", "")
        return error.code, f"the webhook answered {error.code}", float(asked) if asked.isdecimal() else 0.0
    except (OSError, http.client.HTTPException, ValueError) as error:
        return _AWAY, f"the webhook could not be reached: {type(error).__name__}", 0.0
