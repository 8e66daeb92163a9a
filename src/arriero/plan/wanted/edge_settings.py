"""What gateways in a cloud are told: the gateway's settings file, but for what is as it is by default, and for files.

Of the spec's section `gateway` all holds that is not about this machine: its address, files, workers and TLS.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from arriero.plan.wanted.sidecar import PORT
from arriero.spec.gateway import Gateway, GatewayLimits
from arriero.spec.model import ResolvedSite

COMMAND = ("arriero", "gateway", "edge")
TARGETS, TTL_SECONDS = "targets", 10
# The variables of their environment: see `gateway/edge/main.py`.
SETTINGS, KEYS = "ARRIERO_SETTINGS", "ARRIERO_KEYS"


def zone(base: str) -> str:
    """The private DNS zone of the site. `.internal` is kept free for such names by ICANN."""
    return f"{base}.arriero.internal"


def targets_name(base: str) -> str:
    """What the edges look up."""
    return f"{TARGETS}.{zone(base)}"


def settings(
    site: ResolvedSite, base: str, hosts: Iterable[str], proxies: str, stop_seconds: int, front_door: str
) -> dict[str, Any]:
    """`hosts` are the names by which clients know the entrance before them, which stands in the range `proxies`;
    `front_door` is the id that alone is answered, if any.
    """
    told = site.gateway
    doors = site.front_door.hosts if site.front_door else ()
    found: dict[str, Any] = {
        "service": site.service,
        "listen": f"0.0.0.0:{PORT}",
        "targets_dns": f"{targets_name(base)}:{PORT}",
        "targets_site": site.name,
        "hosts": sorted({*hosts, *doors, *told.hosts}),
        "trusted_proxies": [proxies],
        "limits": _limits(told.limits, stop_seconds),
    }
    found |= {"origins": list(told.origins)} if told.origins else {}
    found |= {"metrics_sources": list(told.metrics_from)} if told.metrics_from else {}
    found |= {"front_door_id": front_door} if front_door else {}
    return {**found, **_prices(told)}


def _limits(limits: GatewayLimits, stop_seconds: int) -> dict[str, float | int]:
    """It stops draining a second before it is killed."""
    return {
        "body_bytes": int(limits.body),
        "connections": limits.connections,
        "connections_an_address": limits.connections,
        "queue_length": limits.queue,
        "queue_seconds": float(limits.queue_within),
        "first_byte_seconds": float(limits.first_byte_within),
        "drain_seconds": float(max(1, stop_seconds - 1)),
    }


def _prices(told: Gateway) -> dict[str, float]:
    prices = {
        "price_in_per_million": told.prices.in_per_million,
        "price_out_per_million": told.prices.out_per_million,
    }
    return {key: price for key, price in prices.items() if price}
