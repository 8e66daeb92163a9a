"""The HTTPS ingress of environments of container apps: one address an environment, names and a certificate below its
domain, and each app's ready replicas in turn.

Who runs: the reconciler says at each tick what leads where, and has a revision go once the next one is ready (`tend`).
An event loop in a thread of its own asks replicas whether they are ready, listens, and passes requests on. A request
may take 240 seconds to begin its answer, and be silent for as long
(https://learn.microsoft.com/azure/container-apps/ingress-overview). A replica that takes no connection has another one
asked. No page says so; users' reports quote Azure's ingress with "retried and the latest reset reason: remote
connection failure" (https://github.com/microsoft/azure-container-apps/issues/1166, 295), and it runs out of room while
it retries a long body (519, 1049). Of a request that a dying replica had already, one report says that it was asked
again (377, of 2022); here the client gets 503 then, which is the worse of the two.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from arriero.rehearse.azure import app_rules, replicas
from arriero.rehearse.azure.answers import Document
from arriero.rehearse.azure.world import World
from arriero.rehearse.certificates import server_context
from arriero.rehearse.forwarding import Head, Limits, Listener, Loop, Said, Way
from arriero.rehearse.probing import Ask, Check, Count, probe
from arriero.rehearse.processes import Server

REQUEST_SECONDS = 240.0
PORTS = (443, 80)
BROKEN = Said(503, "upstream connect error or disconnect/reset before headers")
_LOG = logging.getLogger(__name__)

# The servers of a replica, by what they are kept under.
Servers = Callable[[str], list[Server]]


@dataclass(frozen=True, slots=True)
class _Asking:
    """Of the processes that a replica has; one that was started again is asked anew."""

    pids: tuple[int, ...]
    count: Count
    task: Future[Any]


@dataclass(frozen=True, slots=True)
class _Replica:
    """A replica that was ready when somebody looked; its servers may have ended since."""

    address: str
    port: int
    servers: tuple[Server, ...]

    @property
    def runs(self) -> bool:
        return bool(self.servers) and all(server.poll() is None for server in self.servers)


@dataclass
class HttpIngress:
    """`tend` is called under the state's lock; `folder` is the stage's."""

    world: World
    folder: Path
    servers: Servers
    pace: float
    _loop: Loop | None = None
    _asked: dict[str, _Asking] = field(default_factory=dict)
    _listeners: dict[str, list[Listener]] = field(default_factory=dict)
    _ways: Mapping[str, tuple[_Replica, ...]] = field(default_factory=dict)
    _ingresses: Mapping[str, Document] = field(default_factory=dict)
    _turns: Iterator[int] = field(default_factory=itertools.count)

    def tend(self) -> None:
        """Has each app's name lead to its ready replicas."""
        there = dict(replicas.apps(self.world))
        if not there and self._loop is None:
            return
        self._ask(there)
        ways: dict[str, tuple[_Replica, ...]] = {}
        ingresses: dict[str, Document] = {}
        for key, app in there.items():
            self._roll(key, app)
            ready = str(app["properties"]["latestReadyRevisionName"])
            serving = replicas.of(self.world, key, ready) if ready else []
            ingress = app["properties"]["configuration"]["ingress"]
            fqdn = str(ingress["fqdn"]).lower()
            ingresses[fqdn] = ingress
            ways[fqdn] = tuple(self._replica(each) for each in serving if self._is_ready(each))
        self._ingresses, self._ways = ingresses, ways
        self._listen(there)

    def stop(self) -> None:
        if self._loop is None:
            return
        for address in list(self._listeners):
            self._close(address)
        for asking in self._asked.values():
            asking.task.cancel()
        self._loop.stop()
        self._loop = None

    def _ask(self, there: Mapping[str, Document]) -> None:
        """Of those that run, whether they are ready: as their app's readiness probe says."""
        wanted = {
            key: app
            for app_key, app in there.items()
            for key in replicas.of(self.world, app_key)
            if self.world.state.runs[key].phase == "running"
        }
        pids = {key: tuple(one.pid for one in self.servers(self.world.state.runs[key].target)) for key in wanted}
        for key in [key for key, asking in self._asked.items() if pids.get(key) != asking.pids]:
            self._asked.pop(key).task.cancel()
        for key in wanted.keys() - self._asked.keys():
            check, place = _check(wanted[key], self.pace), self._place(key)
            count, ask = Count(check), Ask(source=self._asker(key))
            self._asked[key] = _Asking(pids[key], count, self._running().begin(probe(*place, check, count, ask)))

    def _roll(self, key: str, app: Document) -> None:
        """The newest revision serves once all of it is ready; then the others go."""
        about = app["properties"]
        newest = str(about["latestRevisionName"])
        if about["latestReadyRevisionName"] != newest:
            mine = replicas.of(self.world, key, newest)
            if not mine or not all(map(self._is_ready, mine)):
                return
            about["latestReadyRevisionName"] = newest
            self.world.state.changed()
        for each in set(replicas.of(self.world, key)) - set(replicas.of(self.world, key, newest)):
            replicas.leave(self.world, each)

    def _is_ready(self, replica: str) -> bool:
        return replica in self._asked and self._asked[replica].count.state == "healthy" and self._replica(replica).runs

    def _replica(self, key: str) -> _Replica:
        return _Replica(*self._place(key), tuple(self.servers(self.world.state.runs[key].target)))

    def _place(self, replica: str) -> tuple[str, int]:
        about = self.world.state.resources[replica]["properties"]
        return str(about["ipAddress"].get("ip", "")), int(about["containers"][0]["properties"]["ports"][0]["port"])

    def _asker(self, replica: str) -> str:
        """From where the platform asks inside of it."""
        return next((one.asker[0] for one in self.servers(self.world.state.runs[replica].target)), "")

    def _listen(self, there: Mapping[str, Document]) -> None:
        keys = {app_rules.environment_key(app) for app in there.values()}
        around = [one["properties"] for key in keys if (one := self.world.find(key))]
        wanted = {str(one["staticIp"]): str(one["defaultDomain"]) for one in around if one.get("staticIp")}
        for address in self._listeners.keys() - wanted.keys():
            self._close(address)
        for address in wanted.keys() - self._listeners.keys():
            self._listeners[address] = [self._opened(address, wanted[address], port) for port in PORTS]

    def _opened(self, address: str, domain: str, port: int) -> Listener:
        def decide(head: Head) -> Said | Way:
            return self._decide(head, address, is_secure=port == PORTS[0])

        limits = Limits(idle=REQUEST_SECONDS, first_response=REQUEST_SECONDS)
        listener = Listener(decide, lambda: limits, self.world.clock, broken=BROKEN)
        try:
            tls = self._tls(domain) if port == PORTS[0] else None
            self._running().do(listener.start(address, port, tls))
        except OSError as error:
            _LOG.error("the ingress of %s can't listen on %s:%s: %s", domain, address, port, error)
        return listener

    def _tls(self, domain: str) -> Any:
        folder = authority(self.folder, domain).parent
        folder.mkdir(parents=True, exist_ok=True)
        return server_context(folder, (f"*.{domain}",))[0]

    def _close(self, address: str) -> None:
        for listener in self._listeners.pop(address):
            self._running().do(listener.stop())

    def _decide(self, head: Head, address: str, *, is_secure: bool) -> Said | Way:
        name = head.get("host").partition(":")[0].lower()
        if name not in self._ways:
            return Said(404, "no container app has this name\n")
        if not app_rules.lets_in(self._ingresses[name], head.peer):
            return Said(403, "RBAC: access denied")
        if not is_secure:
            return Said(301, headers={"Location": f"https://{name}{head.target}"})
        ready = [each for each in self._ways[name] if each.runs]
        if not ready:
            return Said(503, "no healthy upstream")
        turn = next(self._turns) % len(ready)
        chosen, *others = (*ready[turn:], *ready[:turn])
        said = {
            "X-Forwarded-For": ", ".join(filter(None, (head.get("x-forwarded-for"), head.peer))),
            "X-Forwarded-Proto": "https",
        }
        besides = tuple((each.address, each.port) for each in others)
        return Way(chosen.address, chosen.port, said, source=address, others=besides)

    def _running(self) -> Loop:
        if self._loop is None:
            self._loop = Loop("https ingress of the emulated Azure")
            self._loop.start()
        return self._loop


def authority(folder: Path, domain: str) -> Path:
    """The file of who signed an environment's certificate."""
    return folder / "environments" / domain / "ca.pem"


def place_of(world_resources: Mapping[str, Document], host: str) -> tuple[str, str] | None:
    """The address and the domain of the environment whose app has that name; None where none has."""
    domain = host.partition(".")[2].lower()
    for one in world_resources.values():
        about = one.get("properties") or {}
        if domain and str(about.get("defaultDomain", "")).lower() == domain and about.get("staticIp"):
            return str(about["staticIp"]), domain
    return None


def _check(app: Document, pace: float) -> Check:
    """By the readiness probe of its first container; without one that its port answers to `/`."""
    container = app["properties"]["template"]["containers"][0]
    asked: Document = next((each for each in container.get("probes") or () if each.get("type") == "Readiness"), {})
    return Check(
        path=str((asked.get("httpGet") or {}).get("path") or "/"),
        interval=float(asked.get("periodSeconds") or 5),
        timeout=float(asked.get("timeoutSeconds") or 5),
        healthy=int(asked.get("successThreshold") or 1),
        unhealthy=int(asked.get("failureThreshold") or 3),
        pace=pace,
    )
