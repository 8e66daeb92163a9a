"""The records by which edges find a site's container groups, as who scales keeps them. So does a deployment's role.

Azure gives a group its address some time after it was asked for, and another one when it is moved. So it is not who
starts groups that names them, but who looks again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from arriero.clouds.azure import edges, facts, groups
from arriero.clouds.azure.asking import ask
from arriero.clouds.azure.connection import Arm, connect
from arriero.clouds.azure.errors import door
from arriero.clouds.azure.private_link import DNS_VERSION
from arriero.clouds.scaling import Require
from arriero.plan.model import SiteRef
from arriero.plan.wanted.edge_settings import TTL_SECONDS

Found = Mapping[str, Any]


def are_wrong(arm: Arm, ref: SiteRef, items: Collection[Found]) -> bool:
    """Whether the records differ from the addresses of the groups that run; not where no records stand, which are a
    deployment's to make. One request. Raises as azure-core does.
    """
    records = arm.get(edges.records_path(ref), DNS_VERSION)
    return records is not None and edges.addresses(records) != _running(ref, items)


def set_right(ref: SiteRef, require: Require) -> None:
    """Puts the addresses of the groups that run now. Raises CloudError, and Throttled."""
    with door(ref.site, ref.region):
        arm, items = connect(), facts.items_of(ref)
        told = [{"ipv4Address": each} for each in _running(ref, items)]
        require()
        body = {"properties": {"ttl": TTL_SECONDS, "aRecords": told}}
        ask(ref, partial(arm.put, edges.records_path(ref), DNS_VERSION, body))


def _running(ref: SiteRef, items: Collection[Found]) -> tuple[str, ...]:
    alive = (item for item in items if groups.as_target(item, ref).state not in ("stopped", "draining"))
    return tuple(sorted(filter(None, map(edges.address, alive))))
