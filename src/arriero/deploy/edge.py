"""The gateway on this machine and the controller that keeps its list of targets true: started, found again, stopped.

Both are background processes of their own session. `edge.json` in the project's state folder says which processes they
are and where they listen; a process that is not the recorded one (by its start time) is never signalled.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path

from arriero.clock import SystemClock
from arriero.clouds.endpoints import sealed_for_python
from arriero.clouds.local import process
from arriero.clouds.local.process import Process
from arriero.control.client import Gateway, GatewayError
from arriero.deploy.gateway_settings import Places, files_of, settings_of
from arriero.deploy.project import Project
from arriero.errors import ArrieroError, Problem, Refused
from arriero.events import Event, Listener
from arriero.secret import Secret
from arriero.spec.model import Spec

ACCESS_LOG = "access.log"
START_SECONDS = 20.0
DRAIN_SECONDS = 30.0
GRACE_SECONDS = 5.0
# Between the look for a free port and the gateway's own listening, somebody else may take it.
STARTS_AGAIN = 5
# What a gateway gets besides what leads nowhere: where files, authorities and collectors of spans are. It speaks to
# strangers, so no login to a cloud and no other secret of whoever runs `up` is its business.
_GATEWAY_GETS = re.compile(r"HOME|TMPDIR|(LC_|OTEL_|SSL_CERT_|REQUESTS_CA_)\w+|\w+_PROXY", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Edge:
    """A running gateway: where clients go, and where orders go."""

    url: str
    control_url: str
    gateway: Process
    controller: Process
    token_file: str

    def client(self) -> Gateway:
        return Gateway(self.control_url, Secret(Path(self.token_file).read_text(encoding="ascii").strip()))


def find(project: Project) -> Edge | None:
    """The edge that runs for this project; None when its gateway is not alive."""
    edge = _recorded(project)
    return edge if edge is None or edge.gateway.is_alive else _successor(project, edge)


def client(project: Project) -> Gateway | None:
    """Who takes orders for the gateway that runs for this project; None while none does."""
    edge = find(project)
    return edge.client() if edge else None


def obstacles(project: Project, spec: Spec) -> tuple[Problem, ...]:
    """Why the gateway of this spec could not serve here: files that are not there, and an open door without keys."""
    wanted = spec.gateway
    found = [
        Problem(f"there is no file {name}", _remedy(key, project, name), key)
        for key, name in {**files_of(wanted), **_headers(spec)}.items()
        if not project.file(name).exists()
    ]
    if not IPv4Address(wanted.address).is_loopback and not wanted.keys and not project.keys.exists():
        what = f"{wanted.address} can be reached from other machines, and there are no API keys"
        found.append(Problem(what, "make one with: arriero keys add NAME, or listen on 127.0.0.1", "gateway.address"))
    return tuple(found)


def ensure(project: Project, spec: Spec, listener: Listener, *, has_targets: bool = True) -> Edge:
    """The running edge, started where it is not; returns once the gateway reports a target that is up, if it has any.

    One that runs already is told to read its spec anew: sites may have come and gone. Where the spec's `gateway`
    changed, a new gateway process takes over, without a lost connection unless the address is another.
    Raises ArrieroError when it does not come up within 20 seconds.
    """
    if problems := obstacles(project, spec):
        raise Refused(problems)
    running = find(project)
    if running is None or _address(running) != spec.gateway.address:
        _end(_recorded(project), _stop_seconds(project))
        running = _start(project, spec)
        for _ in range(STARTS_AGAIN):
            if not _lost_its_port(running):
                break
            _end(running, GRACE_SECONDS)
            running = _start(project, spec)
        _say(listener, f"the gateway listens at {running.url}")
    else:
        running = _controlled(project, running)
        running = _renew(project, spec, running, listener)
    if has_targets:
        _wait_for_a_target(project, running)
    return running


def stop(project: Project) -> None:
    """Drains and ends the edge of this project, if there is one."""
    edge = _recorded(project)
    # One that was restarted a moment ago has two gateway processes: one that drains, and one that serves.
    for running in (edge, _successor(project, edge)) if edge else ():
        _end(running, _stop_seconds(project))
    _record(project).unlink(missing_ok=True)


def _successor(project: Project, edge: Edge) -> Edge | None:
    """The same edge with the gateway's present process, which took over from the one recorded; None if none answers."""
    try:
        gateway = process.find(edge.client().status().pid)
    except (GatewayError, OSError):
        return None
    if gateway is None:
        return None
    found = replace(edge, gateway=gateway)
    _write_private(_record(project), json.dumps(asdict(found)))
    return found


def _controlled(project: Project, running: Edge) -> Edge:
    """The edge with a controller that reads its spec anew; one that died has a successor, and the gateway serves on."""
    if running.controller.is_alive:
        running.controller.signal(signal.SIGHUP)
        return running
    renewed = replace(running, controller=_spawn(project.edge, "controller", _controller_command(project)))
    _write_private(_record(project), json.dumps(asdict(renewed)))
    return renewed


def _start(project: Project, spec: Spec) -> Edge:
    folder = project.make_state() / "edge"
    folder.mkdir(mode=0o700, exist_ok=True)
    token = folder / "token"
    _write_private(token, secrets.token_urlsafe(32))
    address = f"{spec.gateway.address}:{_free_port(spec.gateway.address, spec.gateway.port, _kept_ports(spec))}"
    control = f"127.0.0.1:{_free_port('127.0.0.1', 0)}"
    settings = settings_of(spec, _places(project, address, control))
    settings.write(_settings_file(project))
    command = [sys.executable, "-m", "arriero.gateway", str(_settings_file(project))]
    gateway = _spawn(folder, "gateway", command, gateway_environment(os.environ))
    controller = _spawn(folder, "controller", _controller_command(project))
    edge = Edge(_url(spec, address), f"http://{control}", gateway, controller, str(token))
    _write_private(_record(project), json.dumps(asdict(edge)))
    return edge


def _renew(project: Project, spec: Spec, running: Edge, listener: Listener) -> Edge:
    """Has a new process take over with the spec's settings, if they are other ones than those of the running one."""
    address = running.url.rpartition("/")[2]
    settings = settings_of(spec, _places(project, address, running.control_url.rpartition("/")[2]))
    file = _settings_file(project)
    if json.loads(file.read_text(encoding="utf-8")) == json.loads(json.dumps(settings.as_json())):
        return running
    settings.write(file)
    former, clock = running.client().restart(), SystemClock()
    deadline = clock.monotonic() + START_SECONDS
    while clock.monotonic() < deadline:
        with contextlib.suppress(GatewayError):
            if (found := process.find(running.client().status().pid)) and found.pid != former:
                renewed = replace(running, url=_url(spec, address), gateway=found)
                _write_private(_record(project), json.dumps(asdict(renewed)))
                _say(listener, f"the gateway took up its new settings at {renewed.url}")
                return renewed
        clock.sleep(0.1)
    raise ArrieroError(
        Problem("the gateway did not take up its new settings", "read its log", file=str(project.edge / "gateway.log"))
    )


def _places(project: Project, listen: str, control: str) -> Places:
    return Places(
        listen=listen,
        control=control,
        token=str(project.edge / "token"),
        targets=str(project.edge / "targets.json"),
        keys=str(project.keys),
        placed=lambda name: str(project.file(name)),
        access_log=str(project.edge / ACCESS_LOG),
        drain_seconds=DRAIN_SECONDS,
    )


def _headers(spec: Spec) -> dict[str, str]:
    """What the controller beside it needs to send log lines away."""
    ship = spec.logs.ship
    return {"logs.ship.headers_file": ship.headers_file} if ship and ship.headers_file else {}


def _remedy(key: str, project: Project, name: str) -> str:
    if key == "gateway.keys":
        return "make a key with: arriero keys add NAME"
    return f"put it at {project.file(name)}, or correct the path"


def _url(spec: Spec, address: str) -> str:
    return f"{'https' if spec.gateway.tls else 'http'}://{address}"


def _address(edge: Edge) -> str:
    return edge.url.rpartition("/")[2].rpartition(":")[0]


def _settings_file(project: Project) -> Path:
    return project.edge / "gateway.json"


def _stop_seconds(project: Project) -> float:
    """A little more than the gateway itself takes to drain."""
    try:
        limits = json.loads(_settings_file(project).read_text(encoding="utf-8"))["limits"]
    except FileNotFoundError:
        return DRAIN_SECONDS + GRACE_SECONDS
    return float(limits["drain_seconds"]) + GRACE_SECONDS


def _controller_command(project: Project) -> list[str]:
    overlay = ["--env", project.overlay] if project.overlay else []
    return [sys.executable, "-m", "arriero", "controller", "run", "--file", str(project.spec), *overlay]


def gateway_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What of it a gateway is started with."""
    own = {name: value for name, value in environment.items() if _GATEWAY_GETS.fullmatch(name)}
    return sealed_for_python(environment, own)


def _spawn(folder: Path, name: str, command: list[str], environment: Mapping[str, str] | None = None) -> Process:
    """Without `environment` it has ours."""
    with (folder / f"{name}.log").open("ab") as log:
        started = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=folder,
        )
    found = process.find(started.pid)
    if found is None:
        raise ArrieroError(Problem(f"the {name} ended at once", "read its log", file=str(folder / f"{name}.log")))
    return found


def _lost_its_port(edge: Edge) -> bool:
    """Whether the gateway ended before it answered, and its port is another's; returns as soon as that is known."""
    clock = SystemClock()
    deadline = clock.monotonic() + START_SECONDS
    while edge.gateway.is_alive and clock.monotonic() < deadline:
        with contextlib.suppress(GatewayError):
            edge.client().status()
            return False
        clock.sleep(0.05)
    places = [url.rpartition("/")[2].rpartition(":") for url in (edge.url, edge.control_url)]
    return not edge.gateway.is_alive and not all(_free(address, int(port)) for address, _, port in places)


def _wait_for_a_target(project: Project, edge: Edge) -> None:
    clock, log = SystemClock(), project.edge / "gateway.log"
    deadline = clock.monotonic() + START_SECONDS
    while clock.monotonic() < deadline:
        if not edge.gateway.is_alive:
            raise ArrieroError(Problem("the gateway ended at once", "read its log", file=str(log)))
        with contextlib.suppress(GatewayError):
            if any(target.state == "up" for target in edge.client().status().targets):
                return
        clock.sleep(0.1)
    raise ArrieroError(Problem("the gateway found no target that answers", "see: arriero status", file=str(log)))


def _end(edge: Edge | None, within_seconds: float) -> None:
    for running in (edge.controller, edge.gateway) if edge else ():
        running.end(within_seconds)


def _record(project: Project) -> Path:
    return project.edge / "edge.json"


def _recorded(project: Project) -> Edge | None:
    try:
        data = json.loads(_record(project).read_text())
    except FileNotFoundError:
        return None
    processes = {name: Process(**data[name]) for name in ("gateway", "controller")}
    return Edge(**{**data, **processes})


def _kept_ports(spec: Spec) -> frozenset[int]:
    """Where others' servers belong, also while they are down: an edge there would be its own target; and nginx."""
    places = [server.rpartition(":") for site in spec.sites.values() for server in site.adopt]
    ours = spec.gateway.address
    nginx = spec.ingress.nginx if spec.ingress.nginx and spec.ingress.nginx.run == "here" else None
    before = [port for port in (nginx.port, nginx.redirect_from) if port] if nginx else []
    return frozenset([*before, *(int(port) for address, _, port in places if ours in (address, "0.0.0.0"))])


def _free_port(address: str, first: int, kept: Collection[int] = ()) -> int:
    """`first` if nobody listens there, else the next free one that is not `kept`; 0 asks the system for any."""
    for port in [port for port in range(first, first + 100) if port not in kept] if first else (0,):
        if found := _free(address, port):
            return found
    raise ArrieroError(Problem(f"ports {first} to {first + 99} are taken", "set another port", key="gateway.port"))


def _free(address: str, port: int) -> int:
    """The port (of 0, any that is free); 0 where somebody listens."""
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, port))
        return int(probe.getsockname()[1])
    return 0


def _write_private(path: Path, text: str) -> None:
    new = path.with_name(path.name + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    new.replace(path)


def _say(listener: Listener, text: str) -> None:
    listener(Event("edge.started", SystemClock().now(), fields={"text": text}))
