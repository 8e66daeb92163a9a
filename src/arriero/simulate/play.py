"""One policy under one stretch of traffic: requests through the gateway's own admission and routing, event by event.

Who is ours: `Pool`, `Admission`, `Target`, `Speeds` and what they import are the gateway's files, and the decisions are
`scale`'s. Who is played: servers, cloud and clients. There is one calendar; between two of its entries nothing happens.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from arriero.gateway.routing.admission import Admission, Refused
from arriero.gateway.routing.pool import Without
from arriero.gateway.routing.target import Inventory, Target
from arriero.gateway.telling.record import Record
from arriero.scale.spot import Mix
from arriero.simulate.demand import Arrival
from arriero.simulate.figures import Figures
from arriero.simulate.fleet import SITE, Cloud, Fleet, Offer
from arriero.simulate.machine import Job, Machine, Pace
from arriero.simulate.policies import Scaling, Sight
from arriero.simulate.telling import Telling

# As the gateway's own loop does (relay/waiting.py).
LOOK_SECONDS = 0.5
Event = Callable[[float], None]


@dataclass(frozen=True)
class Service:
    """What is served: models with their sizes, each target's slots and room, and the gateway's limits."""

    models: tuple[str, ...]
    model_bytes: float
    load_seconds: float
    slots: int
    room: int
    queue_length: int = 256
    queue_seconds: float = 300.0
    preloads: bool = True

    def inventory(self) -> Inventory:
        """A target right after its start: all models on disk and, if it preloads, as many in memory as have room."""
        on_disk = {name: {"digest": name, "size": self.model_bytes} for name in self.models}
        loaded = self.models[: self.room] if self.preloads else ()
        return Inventory(on_disk, {name: on_disk[name] for name in loaded})


class Play:
    """Runs once. `arrivals` in order of time. Without `offers` there is one site, of targets as `service` has them."""

    def __init__(
        self,
        service: Service,
        pace: Pace,
        cloud: Cloud,
        mix: Mix,
        scaling: Scaling,
        seed: int,
        end: float,
        offers: Sequence[Offer] = (),
    ) -> None:
        self.service, self.pace, self.scaling, self.end = service, pace, scaling, end
        here = Offer(SITE, cloud.hourly, cloud.spot_hourly, pace, service.slots, service.room)
        self.fleet = Fleet(cloud, mix, offers or (here,), service.inventory(), seed, self.later)
        self.fleet.on_loss = self._lost  # type: ignore[method-assign]
        self.pool = self.fleet.pool
        self.admission = Admission(service.queue_length)
        self.figures = Figures(end)
        self._calendar: list[tuple[float, int, Event]] = []
        self._count = self.loads = 0
        self._freed: set[Target] = set()
        self._machines: dict[Target, Machine] = {}
        self._busy: dict[Machine, float] = {}
        self._is_looking = False
        self._telling = Telling() if scaling.wants_told else None

    def later(self, at: float, what: Event) -> None:
        self._count += 1
        heapq.heappush(self._calendar, (at, self._count, what))

    def run(self, arrivals: Iterator[Arrival]) -> Figures:
        calendar, pop, came = self._calendar, heapq.heappop, self._came
        self.fleet.begin(self.scaling.start, self.end)
        self.later(self.scaling.seconds, self._scale)
        self.later(60.0, self._minute)
        for arrival in arrivals:
            at = arrival[0]
            while calendar and calendar[0][0] <= at:
                now, _, event = pop(calendar)
                event(now)
            came(arrival)
        while calendar and calendar[0][0] <= self.end:
            now, _, event = pop(calendar)
            event(now)
        self.figures.open_at_end = self.admission.waiting + sum(target.in_flight for target in self.pool)
        self.fleet.close(self.end)
        self.figures.close(self.fleet)
        return self.figures

    # Requests

    def _came(self, arrival: Arrival) -> None:
        now, prompt, answer, model = arrival
        name = self.service.models[model]
        job = Job(now, name, prompt, max(1, answer))
        self.scaling.came(now, prompt)
        found = self.admission.place(self.pool, name, "", 0, now)
        if found.__class__ is Target:
            self._send(job, found, now)
        elif found is Without.PLACE or found is Without.TURN:
            self._wait(job, now)
            if found is Without.TURN:
                self._look(now)
        else:
            self.figures.refused()

    def _wait(self, job: Job, now: float) -> None:
        out = self.admission.enter(job)
        if out is not None:
            self.figures.refused()
            if isinstance(out, Refused):
                return
        if not self._is_looking:
            self._is_looking = True
            self.later(now + LOOK_SECONDS, self._look_at_all)

    def _send(self, job: Job, target: Target, now: float) -> None:
        job.found = target.take(job.model, now)
        job.sent_at, job.queued = now, job.queued + now - job.since
        if self._telling is not None:
            self._telling.opened(job)
        machine = self._machine(target)
        if job.model in machine.resident:
            machine.resident[job.model] = now
            machine.begin(job, now)
            self._plan(machine)
        else:
            machine.pending.append(job)
            self._load_next(machine, now)

    def _machine(self, target: Target) -> Machine:
        machine = self._machines.get(target)
        if machine is None:
            machine = self._machines[target] = self.fleet.machines[target.entry.id]
        return machine

    def _plan(self, machine: Machine) -> None:
        """The machine's next step onto the calendar, unless something changes before."""
        at = machine.next_at()
        if at is None:
            return
        version = machine.version
        self._count += 1
        heapq.heappush(self._calendar, (at, self._count, lambda now: self._step(machine, version, now)))

    def _step(self, machine: Machine, version: int, now: float) -> None:
        if machine.version != version:
            return
        while found := machine.step(now):
            job, is_first = found
            if is_first:
                self._first(job, machine, now)
            else:
                self._ended(job, machine, now)
        if not machine.open:
            self.fleet.idle(machine, now)
        self._plan(machine)
        if self._freed:
            self._look(now)

    def _first(self, job: Job, machine: Machine, now: float) -> None:
        target = machine.target
        if target is not None:
            target.begins(job.model)
        if job.first_at < 0.0:
            job.first_at = now
            self.figures.first(now - job.came_at, now)

    def _ended(self, job: Job, machine: Machine, now: float) -> None:
        target = machine.target
        if target is None:
            return
        target.give_back(job.model, True)
        if self._telling is not None:
            self._telling.ended(job, now)
        record = Record("", "POST", "/api/chat")
        record.model, record.target, record.site, record.found = (
            job.model,
            target.entry.id,
            target.entry.site,
            job.found,
        )
        record.attempts, record.migrations = 1, job.deaths
        record.first_byte_seconds = job.first_at - job.came_at
        record.seconds, record.queue_seconds = now - job.came_at, job.queued
        record.tokens_out, record.load_seconds = job.tokens, job.load_seconds
        self.pool.speeds.learn(record, now)
        self.scaling.ended(job.tokens)
        if self.admission.waiting:
            self._freed.add(target)
        if machine.pending:
            self._load_next(machine, now)

    # Models

    def _load_next(self, machine: Machine, now: float) -> None:
        """Ollama loads one model at a time, once those that have to leave for it are idle."""
        if machine.loading or not machine.pending:
            return
        model = machine.pending[0].model
        target = machine.target
        running = target.running if target is not None else {}
        while len(machine.resident) >= machine.room:
            idle = [name for name in machine.resident if not running.get(name)]
            if not idle:
                return
            del machine.resident[min(idle, key=machine.resident.__getitem__)]
        machine.loading = model
        self.loads += 1
        self.later(now + self.service.load_seconds, lambda at: self._loaded(machine, model, at))

    def _loaded(self, machine: Machine, model: str, now: float) -> None:
        if machine.stops_at >= 0.0:
            return
        machine.loading = ""
        machine.resident[model] = now
        ready = [job for job in machine.pending if job.model == model]
        machine.pending = [job for job in machine.pending if job.model != model]
        for job in ready:
            job.load_seconds = self.service.load_seconds
            machine.begin(job, now)
        self._plan(machine)
        self._load_next(machine, now)

    # Those who wait

    def _look(self, now: float) -> None:
        freed, self._freed = self._freed, set()
        if self.admission.waiting:
            for job, target in self.admission.grants(self.pool, now, freed):
                self._send(job, target, now)  # type: ignore[arg-type]

    def _look_at_all(self, now: float) -> None:
        for job, target in self.admission.grants(self.pool, now, None):
            self._send(job, target, now)  # type: ignore[arg-type]
        for line in list(self.admission.lines.values()):
            for job in line.everybody():
                if now - job.since <= self.service.queue_seconds:
                    break
                self.admission.leave(job)
                self.figures.refused()
        self._is_looking = self.admission.waiting > 0
        if self._is_looking:
            self.later(now + LOOK_SECONDS, self._look_at_all)

    # The cloud

    def _scale(self, now: float) -> None:
        told = None if self._telling is None else self._telling.told(self.admission.lines)
        wanted = self.scaling.wanted(Sight(now, self.fleet.count, self.fleet.ready, self.admission.waiting, told))
        if wanted != self.fleet.count or wanted != self.fleet.wanted:
            self.fleet.want(wanted, now)
        self.later(now + self.scaling.seconds, self._scale)

    def _minute(self, now: float) -> None:
        in_flight = sum(target.in_flight for target in self.pool)
        self.figures.minute(now, self.admission.waiting, in_flight, self.fleet)
        self.scaling.minute(self._used(now))
        if len(self._machines) > 4 * len(self.fleet.machines) + 100:
            self._machines = {t: m for t, m in self._machines.items() if m.stops_at < 0.0}
        self.later(now + 60.0, self._minute)

    def _used(self, now: float) -> float:
        """The part of the last minute that processors were busy, in the mean of the targets that answer."""
        busy = {machine: machine.busy_until(now) for machine in self.fleet.machines.values() if machine.ready_at >= 0.0}
        used = [seconds - self._busy.get(machine, 0.0) for machine, seconds in busy.items()]
        self._busy = busy
        return sum(used) / 60.0 / len(used) if used else 0.0

    def _lost(self, machine: Machine, now: float) -> None:
        """Spot takes it now: its streams go on elsewhere, before all who wait, with what they have written."""
        cut, target = machine.kill(now), machine.target
        self.fleet.lost(machine, now)
        for job, has_begun in cut:
            if target is not None:
                target.give_back(job.model, has_begun)
            if self._telling is not None:
                self._telling.cut(job)
            job.since, job.deaths = now, job.deaths + 1
            self.admission.enter_first(job)
        if cut:
            self.figures.migrated += len(cut)
            self._look(now)
            if not self._is_looking:
                self._is_looking = True
                self.later(now + LOOK_SECONDS, self._look_at_all)
