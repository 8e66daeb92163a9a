"""What the gateway's load is for each target of a site, told to the cloud that scales the site by it.

`open_requests` is pure. The loop beside it only tells: who starts and stops targets there is the cloud.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from arriero.clock import Clock
from arriero.control.client import GatewayError
from arriero.control.load import GatewayLoad
from arriero.control.messages import GatewayStatus, TargetStatus
from arriero.errors import ArrieroError, CloudError
from arriero.events import Event, Listener, ignore

# CloudWatch keeps one figure a minute of what is told; a mean of three is told better than one glance.
TELL_SECONDS = 20.0


class Edge(Protocol):
    """What is needed of a gateway's client; both raise GatewayError."""

    def status(self) -> GatewayStatus: ...

    def load(self) -> GatewayLoad: ...


# Tells the site's cloud the figure; raises CloudError.
Tell = Callable[[float], None]


def open_requests(targets: Sequence[TargetStatus], waiting: int, site: str) -> float:
    """Open and waiting requests for each target of the site that answers. What waits is everybody's alike.

    Where none answers, it is as if there were one: then something waits for the first.
    """
    up = [target for target in targets if target.state == "up"]
    here = [target for target in up if target.site == site]
    share = len(here) / len(up) if up else 1.0
    return (sum(target.in_flight for target in here) + waiting * share) / max(1, len(here))


@dataclass
class Publisher:
    """`tells` are by site."""

    tells: Mapping[str, Tell]
    clock: Clock
    listener: Listener = ignore
    _said: dict[str, str] = field(default_factory=dict)

    def tell(self, edge: Edge) -> Mapping[str, float]:
        """Once, to each site's cloud; a cloud that can't be told is told of in the log. Raises GatewayError."""
        status, load = edge.status(), edge.load()
        figures = {site: open_requests(status.targets, load.waiting, site) for site in self.tells}
        for site, figure in figures.items():
            trouble = ""
            try:
                self.tells[site](figure)
            except CloudError as error:
                trouble = str(error)
            self._say(site, trouble)
        return figures

    def run(self, edge: Callable[[], Edge | None], is_ended: Callable[[], bool]) -> None:
        while not is_ended():
            try:
                gateway = edge()
                if gateway is not None:
                    self.tell(gateway)
            except (GatewayError, ArrieroError) as error:
                self._say("", str(error))
            end = self.clock.monotonic() + TELL_SECONDS
            while not is_ended() and self.clock.monotonic() < end:
                self.clock.sleep(0.5)

    def _say(self, site: str, trouble: str) -> None:
        if trouble and self._said.get(site) != trouble:
            self.listener(Event("scale.untold", self.clock.now(), site, {"text": trouble}))
        self._said[site] = trouble
