"""A fleet of servers in simulated time, behind the gateway's own admission and routing: no loop, no sockets.

Each server behaves as Ollama with NUM_PARALLEL slots and room for some models: a request for a model that is not in
memory loads it first, once those at work with other models have ended; what was used longest ago leaves.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from arriero.control.messages import TargetEntry, Targets
from arriero.gateway.routing.admission import Admission, Refused
from arriero.gateway.routing.pool import Pool
from arriero.gateway.routing.target import Inventory, Target
from arriero.gateway.telling.record import Record


@dataclass(frozen=True)
class Arrival:
    at: float
    model: str
    key: str = ""
    mark: int = 0


@dataclass(eq=False)
class Asked:
    """One request: what the lines know of it, and what became of it."""

    model: str
    key: str
    since: float
    mark: int = 0
    tried: tuple[str, ...] = ()
    first_token: float | None = None
    target: str = ""


@dataclass
class Server:
    """What the target does by itself."""

    room: int = 1
    resident: list[str] = field(default_factory=list)
    loading: dict[str, list[Callable[[], None]]] = field(default_factory=dict)
    at_work: Counter[str] = field(default_factory=Counter)
    pending: list[str] = field(default_factory=list)


class Fleet:
    """`load_seconds` and `answer_seconds` by model; probes tell the pool each second what is where."""

    def __init__(
        self,
        servers: int,
        models: list[str],
        slots: int = 1,
        load_seconds: float = 0.3,
        answer_seconds: float = 0.017,
        queue_length: int = 100_000,
    ) -> None:
        self.pool, self.admission = Pool(), Admission(queue_length)
        self.models, self.load, self.answer = models, load_seconds, answer_seconds
        entries = [TargetEntry(f"t{n}", "here", f"127.0.0.1:{n + 1}", slots=slots) for n in range(servers)]
        self.pool.set_targets(Targets(tuple(entries)))
        self.servers = {entry.id: Server() for entry in entries}
        self.loads: list[tuple[float, str, str]] = []
        self.done: list[Asked] = []
        self.refused: list[Refused] = []
        self.most_in_slots = 0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self.now = 0.0

    def run(self, arrivals: Iterator[Arrival]) -> None:
        self._probe()
        for arrival in arrivals:
            self._at(arrival.at, lambda arrival=arrival: self._arrive(arrival))
        while self._events and any(event[2] != self._probe for event in self._events):
            self.now, _, event = heapq.heappop(self._events)
            event()

    def waits(self) -> list[float]:
        return sorted(asked.first_token - asked.since for asked in self.done if asked.first_token is not None)

    def _at(self, at: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (at, next(self._order), event))

    def _probe(self) -> None:
        for target in self.pool:
            self._tell(target)
        for asked, target in self.admission.grants(self.pool, self.now, None):
            self._send(asked, target)  # type: ignore[arg-type]
        self._at(self.now + 1.0, self._probe)

    def _tell(self, target: Target) -> None:
        described = {model: {"name": model, "digest": f"d-{model}"} for model in self.models}
        resident = {model: described[model] for model in self.servers[target.entry.id].resident}
        target.answered(Inventory(described, resident))

    def _arrive(self, arrival: Arrival) -> None:
        asked = Asked(arrival.model, arrival.key, self.now, arrival.mark)
        found = self.pool.place(self.admission.ask(asked.model, asked.key, asked.mark), self.now)
        self.pool.speeds.asked(asked.model, self.now)
        is_overtaking = asked.model in self.admission.lines and isinstance(found, Target)
        if isinstance(found, Target) and not (is_overtaking and found.is_resident(asked.model)):
            self._send(asked, found)
            return
        entered = self.admission.enter(asked)
        if entered is not None:
            self.refused.append(entered if isinstance(entered, Refused) else Refused.SHARE)

    def _send(self, asked: Asked, target: Target) -> None:
        record = Record("", "POST", "/api/chat")
        record.model, record.target, record.site, record.attempts = asked.model, target.entry.id, "here", 1
        record.queue_seconds = self.now - asked.since
        record.found = target.take(asked.model, self.now)
        self.most_in_slots = max(self.most_in_slots, target.busy - target.slots)
        server = self.servers[target.entry.id]

        def begin() -> None:
            server.at_work[asked.model] += 1
            asked.first_token, asked.target = self.now + self.answer * 0.3, target.entry.id
            record.first_byte_seconds = asked.first_token - asked.since
            target.begins(asked.model)
            self._at(self.now + self.answer, end)

        def end() -> None:
            server.at_work[asked.model] -= 1
            record.seconds = self.now - asked.since
            target.give_back(asked.model, True)
            self.done.append(asked)
            self.pool.speeds.learn(record, self.now)
            self._serve_pending(target.entry.id)
            for waiter, place in self.admission.grants(self.pool, self.now, {target}):
                self._send(waiter, place)  # type: ignore[arg-type]

        self._serve(target.entry.id, asked.model, begin)

    def _serve(self, name: str, model: str, begin: Callable[[], None]) -> None:
        server = self.servers[name]
        if model in server.resident and not server.loading:
            server.resident.remove(model)
            server.resident.append(model)
            begin()
            return
        server.loading.setdefault(model, []).append(begin)
        self._serve_pending(name)

    def _serve_pending(self, name: str) -> None:
        server = self.servers[name]
        for model in server.loading:
            if model not in server.pending and not self._is_blocked(server, model) and not server.pending:
                self._load(name, model)
                return

    def _is_blocked(self, server: Server, model: str) -> bool:
        return len(server.resident) >= server.room and +server.at_work != Counter() and model not in server.resident

    def _load(self, name: str, model: str) -> None:
        server = self.servers[name]
        if model not in server.resident:
            while len(server.resident) >= server.room:
                server.resident.pop(0)
            self.loads.append((self.now, name, model))
            server.pending.append(model)
            self._at(self.now + self.load, lambda: self._loaded(name, model))
        else:
            self._loaded(name, model)

    def _loaded(self, name: str, model: str) -> None:
        server = self.servers[name]
        if model in server.pending:
            server.pending.remove(model)
            server.resident.append(model)
        for begin in server.loading.pop(model):
            begin()
        self._serve_pending(name)


def zipf(models: list[str], rate: float, count: int, seed: int, shift_at: float = float("inf")) -> Iterator[Arrival]:
    """Poisson arrivals, the n-th model 1/n as often as the first; from `shift_at` on the order is turned round."""
    chance, now = random.Random(seed), 0.0
    weights = [1 / (n + 1) for n in range(len(models))]
    for _ in range(count):
        now += chance.expovariate(rate)
        order = models if now < shift_at else models[::-1]
        yield Arrival(now, chance.choices(order, weights)[0], mark=chance.randrange(1, 10_000))
