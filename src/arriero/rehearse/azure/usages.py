"""How much of a region's Container Instances quotas is used: `Location_ListUsage`, which the region itself answers."""

from __future__ import annotations

from arriero.rehearse.azure import group_rules, types
from arriero.rehearse.azure.answers import Answer, ArmError, Document
from arriero.rehearse.azure.world import SUBSCRIPTION, World

_PATH = ("providers", "microsoft.containerinstance", "locations")


def region(parts: list[str]) -> str:
    """The region whose usages are asked for, else empty; `parts` is the path behind /subscriptions/S."""
    words = [part.lower() for part in parts]
    return words[3] if len(words) == 5 and tuple(words[:3]) == _PATH and words[4] == "usages" else ""


def answer(world: World, region: str) -> Answer:
    if region not in types.REGIONS:
        raise ArmError(404, "NoRegisteredProviderFound", f"No registered resource provider found for '{region}'.")
    groups, used, spot = group_rules.used(world, region)
    return Answer(
        200,
        {
            "value": [
                _usage(region, "ContainerGroups", "Container Groups", groups, group_rules.MOST_GROUPS),
                _usage(region, "StandardCores", "Standard Cores", used, group_rules.MOST_CORES),
                _usage(region, "StandardSpotCores", "Standard Spot Cores", spot, group_rules.MOST_CORES),
            ]
        },
    )


def _usage(region: str, name: str, words: str, current: float, limit: int) -> Document:
    where = f"subscriptions/{SUBSCRIPTION}/providers/Microsoft.ContainerInstance/locations/{region}/usages/{name}"
    counted = {"unit": "Count", "currentValue": int(current), "limit": limit}
    return {"id": where, **counted, "name": {"value": name, "localizedValue": words}}
