"""The cloud in simulated time: targets that start, that are paid for, that leave when empty, and that Spot takes back.

What runs is kept at the wanted count as both clouds' services do. Targets that leave get nothing new (weight 0) and
stop when their last stream has ended; if more are wanted before that, they come back first.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from arriero.control.messages import TargetEntry, Targets
from arriero.gateway.routing.pool import Pool
from arriero.gateway.routing.target import Inventory
from arriero.scale.leaving import Leaver, leave_first
from arriero.scale.sharing import Room, shares
from arriero.scale.spot import Mix, Place, Placed, next_place, swap
from arriero.simulate.machine import Machine, Pace

SITE = "cloud"
UNLIMITED = 1_000_000


@dataclass(frozen=True, slots=True)
class Offer:
    """The targets of one site: what an hour of one costs, how fast each is, and how many there may be."""

    site: str
    hourly: float
    spot_hourly: float
    pace: Pace
    slots: int
    room: int
    min: int = 0
    max: int = UNLIMITED


@dataclass(frozen=True, slots=True)
class Cloud:
    """How long a start takes until the target answers with its models in memory, and what is paid.

    A start takes `start_seconds` at the median, spread as a lognormal with `start_spread`. Prices are US dollars a
    target and hour; a second is the unit, `least_seconds` the minimum.
    """

    start_seconds: float
    start_spread: float
    hourly: float
    spot_hourly: float
    least_seconds: float = 60.0
    zones: int = 3
    evictions_a_week: float = 0.0
    evicted_share: float = 0.6
    away_seconds: float = 3600.0
    warning_seconds: float = 120.0


class Fleet:
    """Mutable. `later(at, what)` puts `what` on the calendar."""

    def __init__(
        self,
        cloud: Cloud,
        mix: Mix,
        offers: Sequence[Offer],
        models: Inventory,
        seed: int,
        later: Callable[[float, Callable[[float], None]], None],
    ) -> None:
        self.pool = Pool()
        self.machines: dict[str, Machine] = {}
        self.cost = self.spot_seconds = self.seconds = 0.0
        self.seconds_at: dict[str, float] = {offer.site: 0.0 for offer in offers}
        self.wanted = self.starts = self.evicted = 0
        self.away_until = [0.0] * cloud.zones
        self._cloud, self._mix, self._offers, self._models = cloud, mix, offers, models
        self._source = random.Random(seed + 77)
        self._later = later
        self._number = 0

    def begin(self, count: int, end: float) -> None:
        """So many run already, and Spot's evictions until `end` are drawn."""
        self.wanted = count
        for _ in range(count):
            self._ready(self._start(0.0), 0.0)
        if self._cloud.evictions_a_week and self._mix.share:
            for zone in range(self._cloud.zones):
                for at in self._evictions(end):
                    self._later(at, self._eviction_in(zone))

    def want(self, count: int, now: float) -> None:
        """Starts, brings back or lets go what is too few or too many."""
        self.wanted = count
        missing = count - self.count
        for machine in [each for each in self._leaving() if missing > 0][: max(0, missing)]:
            machine.leaving_since = -1.0
            self._weigh(machine, None)
            missing -= 1
        for _ in range(missing):
            self._start_later(now)
        if missing < 0:
            self._let_go(-missing, now)
        self._swap_one(now)

    def idle(self, machine: Machine, now: float) -> None:
        """It has no stream any more: if it leaves, it stops."""
        if machine.leaving_since >= 0.0 and machine.stops_at < 0.0:
            self._stop(machine, now)

    def close(self, now: float) -> None:
        """The end of the play: all that runs is paid for until now."""
        for machine in list(self.machines.values()):
            self._stop(machine, now)

    def paid(self, now: float) -> float:
        """Dollars until now, of those that run, too."""
        return self.cost + sum(self._price(machine, now - machine.started_at) for machine in self.machines.values())

    @property
    def count(self) -> int:
        """Those that run or start, without those that leave."""
        return sum(machine.leaving_since < 0.0 for machine in self.machines.values())

    @property
    def ready(self) -> int:
        return sum(m.leaving_since < 0.0 <= m.ready_at for m in self.machines.values())

    def lost(self, machine: Machine, now: float) -> None:
        """Spot took it; what it ran has been taken out."""
        self._stop(machine, now)

    def _start(self, now: float) -> Machine:
        away = frozenset(zone for zone, until in enumerate(self.away_until) if until > now)
        place = next_place(self._placed(), self._mix, self._cloud.zones, away)
        self._number += 1
        self.starts += 1
        offer = self._offers[0] if len(self._offers) == 1 else self._next_offer()
        machine = Machine(self._number, place.zone, place.is_spot, offer.pace, offer.room, now)
        machine.site = offer.site
        self.machines[f"target{self._number:06d}"] = machine
        return machine

    def _start_later(self, now: float) -> None:
        machine = self._start(now)
        spread = self._cloud.start_spread
        seconds = self._cloud.start_seconds * self._source.lognormvariate(0.0, spread)
        self._later(now + seconds, lambda at: self._ready(machine, at))

    def _ready(self, machine: Machine, now: float) -> None:
        if machine.stops_at >= 0.0 or machine.leaving_since >= 0.0:
            return
        machine.ready_at = now
        self._tell()
        target = machine.target
        if target is not None:
            target.answered(self._models)
            machine.resident = dict.fromkeys(self._models.resident, now)

    def _tell(self) -> None:
        """The list of targets, as discovery makes it."""
        names = [(name, machine) for name, machine in self.machines.items() if machine.ready_at >= 0.0]
        by_site = {offer.site: offer for offer in self._offers}
        entries = [
            TargetEntry(name, offer.site, name, slots=offer.slots, room=offer.room, cost=offer.hourly)
            for name, offer in ((name, by_site[machine.site]) for name, machine in names)
        ]
        self.pool.set_targets(Targets(tuple(entries)))
        by_id = {target.entry.id: target for target in self.pool}
        for name, machine in names:
            machine.target = by_id[name]

    def _weigh(self, machine: Machine, weight: int | None) -> None:
        if machine.target is not None:
            self.pool.set_weights({machine.target.entry.id: 0}) if weight == 0 else machine.target.weigh(None)

    def _leaving(self) -> Iterator[Machine]:
        """Those that may come back: not those that Spot takes."""
        return (m for m in self.machines.values() if m.leaving_since >= 0.0 and m.stops_at == -1.0)

    def _let_go(self, count: int, now: float) -> None:
        staying = {name: machine for name, machine in self.machines.items() if machine.leaving_since < 0.0}
        fewer = {self._offers[0].site: count}
        if len(self._offers) > 1:
            rooms = self._rooms()
            wanted = shares(len(staying) - count, rooms)
            fewer = {room.site: room.count - wanted[room.site] for room in rooms}
        for site, some in fewer.items():
            here = [(name, machine) for name, machine in staying.items() if machine.site == site]
            leavers = [Leaver(n, m.ready_at < 0.0, m.open, m.is_spot, m.zone, m.started_at) for n, m in here]
            for name in leave_first(leavers, some, self._mix):
                self._drain(staying[name], now)

    def _next_offer(self) -> Offer:
        """Where one more starts, as the controller would have it."""
        rooms = self._rooms()
        wanted = shares(sum(room.count for room in rooms) + 1, rooms)
        more = {room.site for room in rooms if wanted[room.site] > room.count}
        return next((offer for offer in self._offers if offer.site in more), self._offers[0])

    def _rooms(self) -> list[Room]:
        counts = Counter(machine.site for machine in self.machines.values() if machine.leaving_since < 0.0)
        return [
            Room(offer.site, counts[offer.site], offer.min, offer.max, offer.max, offer.hourly)
            for offer in self._offers
        ]

    def _drain(self, machine: Machine, now: float) -> None:
        machine.leaving_since = now
        self._weigh(machine, 0)
        if not machine.open:
            self._stop(machine, now)

    def _stop(self, machine: Machine, now: float) -> None:
        name = f"target{machine.number:06d}"
        if self.machines.pop(name, None) is None:
            return
        machine.stops_at = max(now, 0.0)
        seconds = max(now - machine.started_at, self._cloud.least_seconds)
        self.seconds += seconds
        self.seconds_at[machine.site] += seconds
        self.spot_seconds += seconds if machine.is_spot else 0.0
        self.cost += self._price(machine, seconds)
        if machine.target is not None:
            self._tell()

    def _price(self, machine: Machine, seconds: float) -> float:
        offer = next(offer for offer in self._offers if offer.site == machine.site)
        return seconds / 3600.0 * (offer.spot_hourly if machine.is_spot else offer.hourly)

    def _swap_one(self, now: float) -> None:
        """Spot is back: an on-demand target that stands in for it goes, once a Spot one has been started."""
        away = frozenset(zone for zone, until in enumerate(self.away_until) if until > now)
        if self._mix.share and swap(self._placed(), self._mix, away) and self.count <= self.wanted:
            self._start_later(now)

    def _placed(self) -> list[Placed]:
        return [Placed(m.zone, m.is_spot) for m in self.machines.values() if m.leaving_since < 0.0]

    def _evictions(self, end: float) -> Iterator[float]:
        at = 0.0
        while (at := at + self._source.expovariate(self._cloud.evictions_a_week / 604800.0)) < end:
            yield at

    def _eviction_in(self, zone: int) -> Callable[[float], None]:
        return lambda now: self._evict(zone, now)

    def _evict(self, zone: int, now: float) -> None:
        """Part of a zone's Spot targets at once: they get their warning, and new ones are not to be had there."""
        self.away_until[zone] = now + self._source.expovariate(1.0 / self._cloud.away_seconds)
        for machine in list(self.machines.values()):
            is_hit = machine.is_spot and machine.zone == zone and self._source.random() < self._cloud.evicted_share
            if is_hit and machine.stops_at == -1.0:
                self.evicted += 1
                machine.leaving_since, machine.stops_at = now, -2.0
                self._weigh(machine, 0)
                self._later(now + self._cloud.warning_seconds, self._taking(machine))
        self.want(self.wanted, now)

    def _taking(self, machine: Machine) -> Callable[[float], None]:
        return lambda now: self.on_loss(machine, now)

    def on_loss(self, machine: Machine, now: float) -> None:
        """Replaced by who plays: takes what runs there out first."""
        self.lost(machine, now)


__all__ = ["Cloud", "Fleet", "Place"]
