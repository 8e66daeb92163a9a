"""What the single values of the section `logs` may look like. Each raises ValueError with `what; remedy`."""

from __future__ import annotations

import re

from arriero.spec.gateway_values import COLLECTOR_PATTERN
from arriero.spec.values import kind, shown


def receiver(value: object) -> str:
    """A base address without login or query: those would be secrets."""
    if not isinstance(value, str):
        raise ValueError(f"must be text, not {kind(value)}; write it like https://loki.example.com")
    if re.match(r"https?://[^/\s]*@|https?://[^\s#]*\?", value):
        raise ValueError("holds a login or a query, and this file is no place for one; name a headers_file")
    if not re.fullmatch(COLLECTOR_PATTERN, value):
        raise ValueError(f"{shown(value)} is not the address of a server; write it like https://loki.example.com")
    return value.rstrip("/")
