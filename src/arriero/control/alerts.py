"""What Azure Monitor says through a webhook, in its common alert schema, and who may say it. Pure.

https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-common-schema
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

PATH = "/alerts"
KEY = "key"
SCHEMA = "azureMonitorCommonAlertSchema"
BODY_LIMIT = 64 * 1024
# A key is guessed by nobody who has to guess so many characters.
KEY_LENGTH_LEAST = 20


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule's condition began to hold (`is_fired`), or holds no more. `at` is the cloud's time for it."""

    rule: str
    is_fired: bool
    at: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A status of HTTP, and why in words."""

    status: int
    why: str


def judged(method: str, target: str, headers: Mapping[str, str], key: str) -> Refusal | None:
    """What is wrong with a request before its body is read; header names in lower case. Where the key is not right,
    nothing more is told.
    """
    parts = urlsplit(target)
    if parts.path != PATH:
        return Refusal(404, f"there is only {PATH} here")
    given = parse_qs(parts.query).get(KEY, [headers.get("authorization", "").removeprefix("Bearer ")])[0]
    if not hmac.compare_digest(given.encode(), key.encode()):
        return Refusal(401, "the key is missing or wrong")
    if method != "POST":
        return Refusal(405, "an alert is told with POST")
    length = headers.get("content-length", "")
    if not length.isdecimal():
        return Refusal(411, "the body has no Content-Length")
    return Refusal(413, f"an alert has at most {BODY_LIMIT} bytes") if int(length) > BODY_LIMIT else None


def read(body: bytes) -> Alert:
    """Raises ValueError with what is wrong."""
    try:
        told = json.loads(body)
    except ValueError:
        raise ValueError("the body is not JSON") from None
    if not isinstance(told, dict) or told.get("schemaId") != SCHEMA:
        raise ValueError(f"the body is not of the schema {SCHEMA}; switch the common alert schema on for the webhook")
    data = told.get("data")
    essentials = data.get("essentials") if isinstance(data, dict) else None
    if not isinstance(essentials, dict):
        raise ValueError("data.essentials is missing")
    rule, condition = essentials.get("alertRule"), essentials.get("monitorCondition")
    if not isinstance(rule, str) or not rule:
        raise ValueError("data.essentials.alertRule is missing")
    if condition not in ("Fired", "Resolved"):
        raise ValueError(f"data.essentials.monitorCondition is {condition!r:.40}, neither Fired nor Resolved")
    return Alert(rule, condition == "Fired", str(essentials.get("firedDateTime") or ""))
