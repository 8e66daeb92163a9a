"""Whom the loop that scales speaks to: a gateway, and whoever knows what it may do."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from arriero.control.load import GatewayLoad
from arriero.control.messages import GatewayStatus, Weights
from arriero.releases.lease import Lease


class Edge(Protocol):
    """What is needed of a gateway's client; all raise GatewayError."""

    def status(self) -> GatewayStatus: ...

    def load(self) -> GatewayLoad: ...

    def drain(self, *targets: str) -> None: ...

    def set_weights(self, weights: Weights) -> None: ...


class Rights(Protocol):
    """See `releases.turns.Turns`."""

    def objection(self) -> str: ...

    def turn(self) -> AbstractContextManager[Lease]: ...

    def rest(self) -> None: ...
