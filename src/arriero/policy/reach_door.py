"""Who may reach a service's Front Door, and to which sites' load balancers and edges it leads: by what stands of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from arriero.plan import front_door
from arriero.plan.model import SiteFacts
from arriero.policy.way import Way

PORTS = {"Https": "443", "Http": "80"}


def door_ways(found: SiteFacts | None) -> Iterator[Way]:
    """One a site that it sends requests to; none where nothing stands, or it could not be read."""
    endpoint, route = (found.find(kind) if found else None for kind in (front_door.ENDPOINT, front_door.ROUTE))
    if found is None or endpoint is None or route is None:
        return
    if not endpoint.properties["enabled"] or not route.properties["enabled"]:
        return
    protocols = cast("tuple[str, ...]", route.properties["protocols"])
    ports = " and ".join(PORTS[each] for each in sorted(protocols, reverse=True))
    for origin in (each for each in found.resources if each.kind == front_door.ORIGIN and each.properties["enabled"]):
        hosts = (str(endpoint.details["host"]), *cast("tuple[str, ...]", route.properties["names"]))
        door = f"Front Door {endpoint.name} ({', '.join(hosts)})"
        what = "the edges" if origin.properties["checks_name"] else "the load balancer"
        leads = f"to {what} {origin.properties['host']} with X-Azure-FDID {front_door.id_of(found)}"
        yield Way(origin.name, "everybody", f"port {ports} of the Front Door", (door, leads))
