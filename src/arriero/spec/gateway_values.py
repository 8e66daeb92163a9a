"""What the single values of the section `gateway` may look like. Each raises ValueError with `what; remedy`."""

from __future__ import annotations

import re
from ipaddress import ip_network

from arriero.spec.values import UUID_PATTERN, host, kind, shown

ORIGIN_PATTERN = r"^(\*|[a-z][a-z0-9+.-]*://[^/\s?#@]+)$"
NAME_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$"
STORE_PATTERN = r"^(valkeys?|rediss?)://[^\s@/?#]+(/[0-9]+)?$"
COLLECTOR_PATTERN = r"^https?://[^\s@/?#]+(/[^\s?#]*)?$"


def address(value: object) -> str:
    """An IPv4 address to listen on; 0.0.0.0 for all of this machine's."""
    return host(value)


def origin(value: object) -> str:
    """A web origin as browsers send it: scheme and host, no path."""
    text = _text(value, "https://chat.example.com")
    if re.fullmatch(ORIGIN_PATTERN, text):
        return text
    if re.fullmatch(ORIGIN_PATTERN, text.rstrip("/")):
        raise ValueError(f"{shown(text)} ends with a slash; write {text.rstrip('/')}")
    raise ValueError(f"{shown(text)} is not a web origin; write it like https://chat.example.com")


def public_name(value: object) -> str:
    text = _text(value, "llm.example.com")
    if len(text) > 253 or not re.fullmatch(NAME_PATTERN, text):
        raise ValueError(f"{shown(text)} is not a name without port or path; write it like llm.example.com")
    return text.lower()


def address_range(value: object) -> str:
    text = _text(value, "10.0.0.0/8")
    try:
        return str(ip_network(text))
    except ValueError:
        raise ValueError(f"{shown(text)} is not a range of addresses; write it like 10.0.0.0/8") from None


def store(value: object) -> str:
    text = _text(value, "valkey://10.0.0.5:6379/0")
    if "@" in text:
        raise ValueError("holds a login, and this file is no place for one; name a password_file")
    if not re.fullmatch(STORE_PATTERN, text):
        raise ValueError(f"{shown(text)} is not the address of a store; write it like valkey://10.0.0.5:6379/0")
    return text


def collector(value: object) -> str:
    text = _text(value, "http://127.0.0.1:4318")
    if not re.fullmatch(COLLECTOR_PATTERN, text):
        raise ValueError(f"{shown(text)} is not the address of a collector; write it like http://127.0.0.1:4318")
    return text


def front_door(value: object) -> str:
    text = _text(value, "00000000-0000-0000-0000-000000000001")
    if not re.fullmatch(UUID_PATTERN, text):
        raise ValueError(f"{shown(text)} is not a Front Door's id; it is what X-Azure-FDID says, a UUID")
    return text.lower()


def price(value: object) -> float:
    """Decimals as YAML gives them, never text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"must be a number, not {kind(value)}; write it like 0.5")
    if not 0 <= value <= 1_000_000:
        raise ValueError(f"is {value}; it must be 0 to 1000000")
    return float(value)


def _text(value: object, example: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be text, not {kind(value)}; write it like {example}")
    return value
