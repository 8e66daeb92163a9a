"""What a site's network tells of who stands in it: a site is read as what it is, not as what it should become."""

from __future__ import annotations

from typing import Any

import pytest

from arriero.clouds.azure.network import stands_for

GROUPS, APPS = "Microsoft.ContainerInstance/containerGroups", "Microsoft.App/environments"
INTERFACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/networkInterfaces/n/ipConfigurations/default"
ENDPOINT = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/privateEndpoints/n"


def network(*given: str, inside: str = "", name: str = "targets") -> dict[str, Any]:
    delegations = [{"properties": {"serviceName": each}} for each in given]
    standing = {"ipConfigurations": [{"id": inside}]} if inside else {}
    return {"properties": {"subnets": [{"name": name, "properties": {"delegations": delegations, **standing}}]}}


@pytest.mark.parametrize(
    ("found", "what"),
    [
        (None, ""),
        (network(), ""),
        (network(APPS), "apps"),
        (network(GROUPS), "groups"),
        (network(inside=INTERFACE), "machines"),
        (network(inside=ENDPOINT), ""),
        (network(APPS, inside=INTERFACE), "apps"),
        (network(APPS, name="another"), ""),
        ({"properties": {}}, ""),
    ],
)
def test_a_subnet_tells_by_whom_it_is_given_to_or_who_stands_there(found: Any, what: str) -> None:
    assert stands_for(found) == what
