"""How much of a region's quotas of Container Instances, of Container Apps, or of virtual machines with GPUs is used:
the region itself answers.
"""

from __future__ import annotations

from arriero.rehearse.azure import group_rules, machine_rules, types
from arriero.rehearse.azure.answers import Answer, ArmError, Document
from arriero.rehearse.azure.ids import type_of
from arriero.rehearse.azure.world import SUBSCRIPTION, World

_MOST_ENVIRONMENTS = 50
_APPS, _COMPUTE = "microsoft.app", "microsoft.compute"
_PATHS = tuple(("providers", each, "locations") for each in ("microsoft.containerinstance", _APPS, _COMPUTE))


def region(parts: list[str]) -> str:
    """The region whose usages are asked for, else empty; `parts` is the path behind /subscriptions/S."""
    words = [part.lower() for part in parts]
    return words[3] if len(words) == 5 and tuple(words[:3]) in _PATHS and words[4] == "usages" else ""


def answer(world: World, region: str, parts: list[str]) -> Answer:
    """`parts` as above."""
    if region not in types.REGIONS:
        raise ArmError(404, "NoRegisteredProviderFound", f"No registered resource provider found for '{region}'.")
    if parts[1].lower() == _APPS:
        there = [one for key, one in world.state.resources.items() if type_of(key) == types.ENVIRONMENTS]
        count = sum(one["location"] == region for one in there)
        told = {"name": {"value": "ManagedEnvironmentCount"}, "unit": "Count", "limit": _MOST_ENVIRONMENTS}
        return Answer(200, {"value": [{**told, "currentValue": count}]})
    if parts[1].lower() == _COMPUTE:
        cores = machine_rules.used(world, region)
        told = {"name": {"value": machine_rules.FAMILY}, "unit": "Count", "limit": machine_rules.MOST_CORES}
        return Answer(200, {"value": [{**told, "currentValue": cores}]})
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
