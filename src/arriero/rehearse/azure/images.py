"""Registries of the emulated Azure: whether a container group can pull its images.

A registry has one name in all regions where it stands, and Azure leads to one that answers
(https://learn.microsoft.com/azure/container-registry/container-registry-geo-replication). One that is not on the stage
is taken for one that always answers: in a rehearsal nobody makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from arriero.rehearse.azure.answers import Document
from arriero.rehearse.azure.world import World

_KIND = "microsoft.containerregistry/registries"


def can_be_pulled(group: Document, world: World, is_lost: Callable[[str], bool]) -> bool:
    """`is_lost`: whether a region hands out no images."""
    if is_lost(group["location"]):
        return False
    images = [one["properties"]["image"] for one in group["properties"]["containers"]]
    regions = [list(_regions(image.partition("/")[0].removesuffix(":443"), world)) for image in images]
    return all(not places or not all(map(is_lost, places)) for places in regions)


def _regions(host: str, world: World) -> Iterator[str]:
    """Where the registry stands; nothing for one that is not here."""
    resources = world.state.resources
    for key, resource in resources.items():
        if resource.get("type", "").lower() == _KIND and resource["properties"]["loginServer"] == host:
            yield resource["location"]
            yield from (
                each["location"] for other, each in resources.items() if other.startswith(f"{key}/replications/")
            )
