"""What Azure's DNS tells in a network of the names of a private zone that is linked to it."""

from __future__ import annotations

from arriero.rehearse.azure.ids import type_of
from arriero.rehearse.azure.state import State

_ZONE = "microsoft.network/privatednszones"


def addresses(state: State, asked: str) -> tuple[str, ...] | None:
    """Those of the A records of that name, in whatever zone is linked to some network; None where there is none.

    Which network asks is not known here: a stage's servers have none of their own.
    """
    name = asked.lower()
    with state.lock:
        for key, zone in state.resources.items():
            ending = f".{zone['name']}".lower()
            if type_of(key) != _ZONE or not name.endswith(ending) or not _is_linked(state, key):
                continue
            records = state.resources.get(f"{key}/a/{name.removesuffix(ending)}")
            if records:
                return tuple(str(each["ipv4Address"]) for each in records["properties"].get("aRecords") or ())
    return None


def _is_linked(state: State, zone: str) -> bool:
    return any(key.startswith(f"{zone}/virtualnetworklinks/") for key in state.resources)
