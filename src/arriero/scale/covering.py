"""Has targets on demand stand in where Spot is gone, and go when it is back: what `stand_ins.py` decides, done.

Nothing of it is remembered but for how long Spot has been back: the stand-ins are read from the cloud, and who of them
leaves from the gateway.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from arriero.clock import Clock
from arriero.clouds.scaling import Require, Standing
from arriero.control.messages import Weights
from arriero.errors import CloudError
from arriero.releases.turns import NotNow
from arriero.scale.rights import Edge, Rights
from arriero.scale.stand_ins import Capacity, Move, StandIn, decide
from arriero.scale.telling import SiteView

WRITE_SECONDS = 5.0
# A cloud that refuses is asked again after so long.
AGAIN_SECONDS = 30.0


class Cover(Protocol):
    """Stand-ins of one site in its cloud; see `clouds.scaling.CoverModule`."""

    def read(self) -> Standing: ...

    def stand_in(self, more: int, require: Require) -> Sequence[str]: ...

    def dismiss(self, leaving: Sequence[str], require: Require) -> None: ...


Say = Callable[..., None]
"""Tells an event: its kind, the site, and fields."""


@dataclass
class Covering:
    """All sites' stand-ins; asked once a round for each site, in order."""

    covers: Mapping[str, Cover]
    rights: Rights
    clock: Clock
    say: Say
    # How many lacked, and since when that many did and all others answered.
    _steady: dict[str, tuple[int, float]] = field(default_factory=dict)
    _not_before: dict[str, float] = field(default_factory=dict)

    def decide(self, view: SiteView) -> Move:
        """What is to be done at the site; nothing where its cloud can't be asked."""
        standing = view.standing
        if standing is None or view.site.name not in self.covers:
            return Move()
        if not standing.unplaced and not standing.stand_ins:
            self._steady.pop(view.site.name, None)
            return Move()
        return decide(self._capacity(view, standing), _standing_in(view, standing))

    def act(self, edge: Edge, view: SiteView, move: Move) -> None:
        """Does it, as far as rights and cloud allow. Raises GatewayError."""
        site, standing = view.site.name, view.standing
        if not move or standing is None:
            return
        if move.keep:
            edge.set_weights(Weights(dict.fromkeys(move.keep, 100)))
        if move.drain:
            edge.drain(*move.drain)
            self.say("spot.draining", site, text=f"{', '.join(move.drain)}: {move.why}")
        if (move.start or move.stop) and self.clock.monotonic() >= self._not_before.get(site, float("-inf")):
            self._write(site, standing, move)

    def _write(self, site: str, seen: Standing, move: Move) -> None:
        cover = self.covers[site]
        try:
            with self.rights.turn() as lease:
                fresh = cover.read()
                if (fresh.unplaced, fresh.stand_ins) != (seen.unplaced, seen.stand_ins):
                    return  # decided by what is no more so: the next round decides anew
                require = lambda: lease.require(WRITE_SECONDS)  # noqa: E731
                if move.stop:
                    cover.dismiss(move.stop, require)
                    self.say("spot.back", site, text=f"{', '.join(move.stop)} ended, which stood in for Spot")
                if move.start:
                    names = cover.stand_in(move.start, require)
                    self.say("spot.gone", site, text=f"{move.why}: {', '.join(names)}")
        except NotNow as error:
            self.say("scale.waits", site, text=str(error))
        except CloudError as error:
            self._not_before[site] = self.clock.monotonic() + AGAIN_SECONDS
            self.say("scale.failed", site, text=str(error))

    def _capacity(self, view: SiteView, standing: Standing) -> Capacity:
        covering = {target.id for target in standing.stand_ins}
        own = {target.id for target in standing.targets}
        ready = sum(t.state == "up" and t.id in own and t.id not in covering for t in view.targets)
        release = standing.release
        found = Capacity(standing.count, standing.unplaced, ready, 0.0, release)
        now, place = self.clock.monotonic(), view.site.name
        lacked, since = self._steady.get(place, (standing.unplaced, now))
        if not found.is_whole or lacked != standing.unplaced:
            since = now
        self._steady[place] = (standing.unplaced, since)
        return replace(found, steady_seconds=now - since)


def _standing_in(view: SiteView, standing: Standing) -> list[StandIn]:
    """One that the gateway does not know yet serves nobody."""
    seen = {target.id: target for target in view.targets}
    return [
        StandIn(
            target.id,
            target.release,
            is_leaving=target.id in seen and seen[target.id].weight == 0,
            open=seen[target.id].in_flight if target.id in seen else 0,
        )
        for target in standing.stand_ins
    ]
