"""What single values of the section `scale` may look like; see `values.py`."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address
from urllib.parse import urlsplit

from arriero.spec.values import shown

WEBHOOK_PATTERN = r"^https?://[^/?#@ ]+(/[^?#@ ]*)?$"
_EXAMPLE = "https://ops.example.com/alerts"


def webhook(value: object) -> str:
    """Where an alert is posted to: over TLS, but for an address of this machine; the key is added when it is told."""
    if not isinstance(value, str) or not re.fullmatch(WEBHOOK_PATTERN, value):
        raise ValueError(f"{shown(value)} is no such address; write it like {_EXAMPLE}, without a key")
    parts = urlsplit(value)
    if parts.scheme != "https" and not _is_here(parts.hostname or ""):
        raise ValueError(f"{shown(value)} would carry the key in clear; write it like {_EXAMPLE}")
    return value


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or IPv4Address(host).is_loopback
    except AddressValueError:
        return False
