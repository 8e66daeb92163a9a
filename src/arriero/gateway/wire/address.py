"""Addresses as settings write them: `host:port`, and for targets `https://host:port`."""

from __future__ import annotations

TLS_PREFIX = "https://"


def split_address(address: str) -> tuple[str, int]:
    """`host:port` (or `[v6]:port`) in two; raises ValueError when it is not that."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise ValueError(f"{address!r} is not host:port")
    return host.strip("[]"), int(port)


def split_target(address: str) -> tuple[str, int, bool]:
    """A target's address: host, port, and whether it is spoken to over TLS; raises ValueError."""
    return *split_address(address.removeprefix(TLS_PREFIX)), address.startswith(TLS_PREFIX)
