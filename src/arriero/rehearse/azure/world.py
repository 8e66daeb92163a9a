"""What every part of the emulated Azure is handed: its memory, its clock, how slow the real one is, where to listen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from arriero.clock import Clock
from arriero.rehearse.azure.answers import ArmError, Document
from arriero.rehearse.azure.ids import ResourceId, group_key
from arriero.rehearse.azure.state import State
from arriero.rehearse.latency import Latency
from arriero.rehearse.meter import Meter
from arriero.rehearse.minutes import Minutes
from arriero.rehearse.planted import Figures

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"


@dataclass(frozen=True)
class World:
    state: State
    clock: Clock
    latency: Latency
    meter: Meter
    figures: Figures
    minutes: Minutes = field(default_factory=Minutes)
    address: Callable[[str], str] = lambda _: "127.0.0.1"
    """The address on which the endpoint of a Front Door listens, by its key."""

    @property
    def today(self) -> datetime:
        return self.clock.now()

    @property
    def now(self) -> float:
        return self.clock.now().timestamp()

    def find(self, key: str) -> Document | None:
        return self.state.resources.get(key.lower())

    def group(self, subscription: str, name: str) -> Document:
        """The resource group, or ResourceGroupNotFound."""
        found = self.find(group_key(subscription, name))
        if found is None:
            raise ArmError(404, "ResourceGroupNotFound", f"Resource group '{name}' could not be found.")
        return found

    def resource(self, wanted: ResourceId) -> Document:
        """The resource, or what Resource Manager answers when it is not there."""
        found = self.find(wanted.key)
        if found is not None:
            return found
        if wanted.group:
            self.group(wanted.subscription, wanted.group)
        code = "NotFound" if wanted.is_child else "ResourceNotFound"
        name = f"{wanted.type}/{'/'.join(wanted.names)}"
        message = f"The Resource '{name}' under resource group '{wanted.group}' was not found."
        raise ArmError(404, code, f"{message} For more details please go to https://aka.ms/ARMResourceNotFoundFix")
