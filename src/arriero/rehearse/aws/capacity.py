"""Which capacity provider and which subnet the next task of a service gets; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any


def next_provider(strategy: Sequence[Mapping[str, Any]], running: Mapping[str, int]) -> str:
    """The provider's name, empty without a strategy: first the base is filled, then the weights share the rest."""
    for item in strategy:
        if running.get(item["capacityProvider"], 0) < (item.get("base") or 0):
            return str(item["capacityProvider"])
    weighted = [item for item in strategy if item.get("weight")]
    if not weighted:
        return str(strategy[0]["capacityProvider"]) if strategy else ""
    return str(min(weighted, key=lambda item: _load(item, running))["capacityProvider"])


def in_order(subnets: Sequence[str], alike: Sequence[str], all_of: Sequence[str], lost: Collection[str]) -> list[str]:
    """Subnets for the next task, the best first: zones are filled evenly, by tasks of the same provider (`alike`) and
    then by all; one that is lost comes last.
    """
    return sorted(subnets, key=lambda subnet: (subnet in lost, alike.count(subnet), all_of.count(subnet)))


def _load(item: Mapping[str, Any], running: Mapping[str, int]) -> float:
    beyond_base = running.get(item["capacityProvider"], 0) - (item.get("base") or 0)
    return float(beyond_base / item["weight"])
