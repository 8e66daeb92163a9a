"""Registries of the emulated Azure: whether a container group can pull its images, and whether it may.

A registry has one name in all regions where it stands, and Azure leads to one that answers
(https://learn.microsoft.com/azure/container-registry/container-registry-geo-replication). One that is not on the stage
is taken for one that always answers: in a rehearsal nobody makes it. One that is closed to public networks gives images
to groups that ask it with an identity, through a private endpoint of their network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from arriero.rehearse.azure import private_link
from arriero.rehearse.azure.answers import ArmError, Document
from arriero.rehearse.azure.world import World

_KIND = "microsoft.containerregistry/registries"


def can_be_pulled(group: Document, world: World, is_lost: Callable[[str], bool]) -> bool:
    """`is_lost`: whether a region hands out no images."""
    if is_lost(group["location"]):
        return False
    images = [one["properties"]["image"] for one in group["properties"]["containers"]]
    regions = [list(_regions(image.partition("/")[0].removesuffix(":443"), world)) for image in images]
    return all(not places or not all(map(is_lost, places)) for places in regions)


def check_access(world: World, name: str, properties: Document) -> None:
    """Raises where a registry is closed to the group, in the words that users quote of Azure."""
    subnets = [one["id"] for one in properties.get("subnetIds") or []]
    asked = {each["server"] for each in properties.get("imageRegistryCredentials") or [] if each.get("identity")}
    for container in properties["containers"] + (properties.get("initContainers") or []):
        image = container["properties"]["image"]
        host = image.partition("/")[0].removesuffix(":443")
        for key, resource in _registries(host, world):
            is_open = resource["properties"].get("publicNetworkAccess") != "Disabled"
            if not is_open and not (host in asked and private_link.may_reach(world.state, subnets, key, "registry")):
                message = f"The image '{image}' in container group '{name}' is not accessible."
                message += " Please check the image and registry credential."
                raise ArmError(400, "InaccessibleImage", message)


def _registries(host: str, world: World) -> Iterator[tuple[str, Document]]:
    for key, resource in world.state.resources.items():
        if resource.get("type", "").lower() == _KIND and resource["properties"]["loginServer"] == host:
            yield key, resource


def _regions(host: str, world: World) -> Iterator[str]:
    """Where the registry stands; nothing for one that is not here."""
    resources = world.state.resources
    for key, resource in _registries(host, world):
        yield resource["location"]
        yield from (each["location"] for other, each in resources.items() if other.startswith(f"{key}/replications/"))
