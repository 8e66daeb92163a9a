"""Front Doors that really forward: listeners on an address for each endpoint, questions to origins, and time limits.

What should be is in the state: profiles, endpoints, origin groups, origins and routes. Each turn of the reconciler
calls `settle`, which starts, changes and ends what differs here. Requests are passed on by `forwarding.py` in its
loop's thread; what that decides by is one picture of all doors, which `settle` alone replaces.

An origin's certificate has to be signed by an authority that is trusted: here those of the stage's load balancers, and
of its environments of container apps, whose names lead to their addresses here. One of AWS is never made for the names
that AWS gives, so such an origin whose name is to be compared is not reached. Without rights for ports below 1024 a
listener opens its port plus 10000, as those of load balancers do. A name of a user's own, once it is approved, has a
certificate of its own, which a client gets that says it (SNI).
"""

from __future__ import annotations

import logging
import math
import ssl
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arriero.clock import Clock
from arriero.rehearse.azure.front_door_names import keys_of
from arriero.rehearse.azure.front_door_plan import ENDPOINT, Door, Origin, doors
from arriero.rehearse.azure.http_ingress import authority, place_of
from arriero.rehearse.azure.state import State
from arriero.rehearse.certificates import server_context
from arriero.rehearse.forwarding import Head, Limits, Listener, Loop, Said, Way
from arriero.rehearse.namespaces import Rule
from arriero.rehearse.probing import Ask, Check, probe
from arriero.rehearse.probing import State as Health
from arriero.rehearse.processes import Processes

PORTS = (443, 80)
_PROBE_SECONDS = 5.0
_RESERVED = ("x-fd-",)  # https://learn.microsoft.com/azure/frontdoor/front-door-http-headers-protocol
_LOG = logging.getLogger(__name__)


class Samples:
    """An origin's health by the last answers: so many of the newest must be good ones. Before there are as many, the
    last one counts.
    """

    def __init__(self, size: int, needed: int) -> None:
        self._last: deque[bool] = deque(maxlen=size)
        self._needed = needed

    @property
    def state(self) -> Health:
        if not self._last:
            return "initial"
        is_full = len(self._last) == self._last.maxlen
        is_good = sum(self._last) >= self._needed if is_full else self._last[-1]
        return "healthy" if is_good else "unhealthy"

    def take(self, *, is_good: bool) -> None:
        self._last.append(is_good)


@dataclass(frozen=True, slots=True)
class _Asking:
    """An origin that is asked again and again: how, and where it was when that began."""

    check: Check
    place: tuple[object, ...]
    samples: Samples
    task: Future[Any]


class FrontDoors:
    """All Front Doors of the stage's Azure. `pace` is how much faster questions to origins are than written."""

    def __init__(self, folder: Path, processes: Processes, clock: Clock, pace: float) -> None:
        self.folder, self._processes, self._clock, self.pace = folder, processes, clock, pace
        self._loop = Loop("Front Doors of the emulated Azure")
        self._endpoints: frozenset[str] = frozenset()
        self._doors: Mapping[str, Door] = {}
        self._listeners: dict[str, list[Listener]] = {}
        self._asked: dict[str, _Asking] = {}
        self._places: Mapping[str, tuple[str, str]] = {}
        self._named: Mapping[tuple[str, str], ssl.SSLContext] = {}
        self._turn = 0

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        for endpoint in list(self._listeners):
            self._close(endpoint)
        self._loop.stop()

    def address(self, endpoint: str) -> str:
        """What an endpoint shows as its host name: here there is no DNS."""
        return self._processes.address(_target(endpoint))

    def health(self, origin: str) -> Health:
        found = self._asked.get(origin)
        return found.samples.state if found else "initial"

    def settle(self, state: State) -> None:
        """Makes listeners and questions what the state says they should be. Its lock is held."""
        endpoints = frozenset(keys_of(state.resources, ENDPOINT))
        if not endpoints and not self._endpoints:
            return
        self._doors = wanted = {door.endpoint: door for door in doors(state.resources)}
        hosts = {origin.host for door in wanted.values() for origin in door.origins}
        self._places = {host: place for host in hosts if (place := place_of(state.resources, host))}
        for endpoint in set(self._listeners) - set(wanted):
            self._close(endpoint)
        for endpoint in self._endpoints - endpoints:
            self._processes.release(_target(endpoint))
        self._endpoints = endpoints
        self._named = {
            (door.endpoint, name): self._certificate(door, name) for door in wanted.values() for name in door.names
        }
        for endpoint in set(wanted) - set(self._listeners):
            self._listeners[endpoint] = [self._opened(wanted[endpoint], port) for port in PORTS]
            self._processes.guard_door(wanted[endpoint].host, (Rule("0.0.0.0/0"),))
        self._ask({origin.key: (door, origin) for door in wanted.values() for origin in door.origins})

    def _ask(self, origins: Mapping[str, tuple[Door, Origin]]) -> None:
        checks = {key: _check(door, self.pace) for key, (door, _) in origins.items()}
        places = {key: self._place(origin) for key, (_, origin) in origins.items()}
        for key, asking in list(self._asked.items()):
            if (checks.get(key), places.get(key)) != (asking.check, asking.place):
                self._asked.pop(key).task.cancel()
        for key in set(origins) - set(self._asked):
            door, origin = origins[key]
            samples = Samples(*door.samples)
            asked = probe(self._address(origin), origin.port, checks[key], samples, self._how(origin))
            self._asked[key] = _Asking(checks[key], places[key], samples, self._loop.begin(asked))

    def _place(self, origin: Origin) -> tuple[object, ...]:
        """One that has become another is asked anew, there."""
        return self._address(origin), origin.port, origin.host, origin.host_header, origin.checks_name

    def _how(self, origin: Origin) -> Ask:
        headers = {"Host": origin.host_header or origin.host, "X-FD-HealthProbe": "1"}
        return Ask(headers, lambda: self._trust(origin), origin.host)

    def _address(self, origin: Origin) -> str:
        """Where an origin's name leads; that of a load balancer is its address here."""
        return self._places[origin.host][0] if origin.host in self._places else origin.host

    def _close(self, endpoint: str) -> None:
        for listener in self._listeners.pop(endpoint):
            self._loop.do(listener.stop())

    def _opened(self, door: Door, port: int) -> Listener:
        def decide(head: Head) -> Said | Way:
            return self._decide(door.endpoint, port, head)

        def limits() -> Limits:
            seconds = self._doors[door.endpoint].response_seconds if door.endpoint in self._doors else 0
            return Limits(idle=seconds, first_response=seconds)

        listener, tls = Listener(decide, limits, self._clock), self._tls(door) if port == PORTS[0] else None
        try:
            self._loop.do(listener.start(door.host, port, tls))
        except OSError as error:
            _LOG.error("the Front Door %s can't listen on %s:%s: %s", door.endpoint, door.host, port, error)
        return listener

    def _tls(self, door: Door) -> ssl.SSLContext:
        """With the certificate of the name that a client means, if that is one of users' own that serves."""

        def choose(connection: Any, name: str | None, _: ssl.SSLContext) -> None:
            if found := self._named.get((door.endpoint, (name or "").lower())):
                connection.context = found

        folder = self.folder / "doors" / door.host
        folder.mkdir(parents=True, exist_ok=True)
        context = server_context(folder, (door.host,))[0]
        context.sni_callback = choose
        return context

    def _certificate(self, door: Door, name: str) -> ssl.SSLContext:
        if (door.endpoint, name) in self._named:
            return self._named[door.endpoint, name]
        folder = self.folder / "doors" / door.host / name
        folder.mkdir(parents=True, exist_ok=True)
        return server_context(folder, (name,))[0]

    def _trust(self, origin: Origin) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = origin.checks_name
        place = self._places.get(origin.host)
        file = authority(self.folder, place[1]) if place else self.folder / "balancers" / origin.host / "ca.pem"
        if file.is_file() and (place or not origin.checks_name):
            context.load_verify_locations(file)
        return context

    def _decide(self, endpoint: str, port: int, head: Head) -> Said | Way:
        door = self._doors.get(endpoint)
        name = head.get("host").partition(":")[0].lower()
        if door is None or name not in (door.host, *door.names):
            return Said(404, "nothing is configured for this name\n")
        if port != PORTS[0] and door.redirects:
            return Said(307, headers={"Location": f"https://{name}{head.target}"})
        if not door.origins:
            return Said(503)
        return self._way(door, self._chosen(door), head, "https" if port == PORTS[0] else "http")

    def _chosen(self, door: Door) -> Origin:
        """Of those that are well, all where none is, the ones that come first; equals take turns by their weight."""
        well = [each for each in door.origins if self.health(each.key) != "unhealthy"] or list(door.origins)
        first = [each for each in well if each.priority == min(one.priority for one in well)]
        self._turn += 1
        step = math.gcd(*(each.weight for each in first))
        turns = [each for each in first for _ in range(each.weight // step)]
        return turns[self._turn % len(turns)]

    def _way(self, door: Door, origin: Origin, head: Head, scheme: str) -> Way:
        said = {
            "Host": origin.host_header or head.get("host"),
            "Via": "1.1 Azure",
            "X-Azure-FDID": door.id,
            "X-Azure-ClientIP": head.peer,
            "X-Azure-SocketIP": head.peer,
            "X-Forwarded-For": ", ".join(filter(None, (head.get("x-forwarded-for"), head.peer))),
            "X-Forwarded-Host": head.get("host"),
            "X-Forwarded-Proto": scheme,
        }
        tls = self._trust(origin)
        return Way(self._address(origin), origin.port, said, withheld=_RESERVED, tls=tls, name=origin.host)


def _target(endpoint: str) -> str:
    """The endpoint among those that have addresses of the stage."""
    parts = endpoint.split("/")
    return f"door.{parts[4]}.{parts[8]}.{parts[10]}"


def _check(door: Door, pace: float) -> Check:
    return Check(door.probe_path, door.probe_seconds, _PROBE_SECONDS, 0, 0, pace=pace)
