"""What the nginx on this machine is to be, and how far the one that runs is from that. Pure but for files' dates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from arriero.clouds.local.process import Process
from arriero.deploy.project import Project
from arriero.plan.model import Action, Change
from arriero.spec.ingress import Nginx
from arriero.spec.model import Spec

KIND = "local.nginx"
_LINE_LENGTH = 80


@dataclass(frozen=True, slots=True)
class Wanted:
    """`configuration` is the whole file; `doors` are `address:port`; `reads` the files it names, in absolute paths.
    When it ends, open streams have `drain_seconds`.
    """

    configuration: str
    url: str
    doors: tuple[str, ...]
    reads: tuple[str, ...]
    drain_seconds: float


@dataclass(frozen=True, slots=True)
class Running:
    """What was started: as `Wanted` then, with the dates of `reads` when they were loaded. `leaving` are processes of
    former ones that have open streams.
    """

    url: str
    doors: tuple[str, ...]
    reads: tuple[str, ...]
    dates: tuple[str, ...]
    drain_seconds: float
    master: Process
    leaving: tuple[Process, ...] = ()


def is_asked_for(spec: Spec) -> bool:
    return spec.ingress.nginx is not None and spec.ingress.nginx.run == "here"


def wanted(project: Project, spec: Spec, nginx: Nginx, configuration: str, drain_seconds: float) -> Wanted:
    """Of a spec and the configuration made from it; `drain_seconds` counts where the spec says nothing."""
    return Wanted(
        configuration,
        url_of(nginx, spec.gateway.hosts),
        doors_of(nginx),
        tuple(str(project.file(name)) for name in files_of(nginx).values()),
        float(spec.gateway.limits.drain_within or drain_seconds),
    )


def files_of(nginx: Nginx) -> dict[str, str]:
    """Each file that must be there before it can serve, by its key in the spec; paths as they are written."""
    tls = nginx.tls
    named = {
        "ingress.nginx.tls.certificate": tls.certificate if tls else None,
        "ingress.nginx.tls.key": tls.key if tls else None,
        "ingress.nginx.tls.client_ca": tls.client_ca if tls else None,
        "ingress.nginx.gateways_ca": nginx.gateways_ca,
    }
    return {key: name for key, name in named.items() if name}


def doors_of(nginx: Nginx) -> tuple[str, ...]:
    ports = (nginx.port, nginx.redirect_from)
    return tuple(f"{nginx.address}:{port}" for port in ports if port is not None)


def url_of(nginx: Nginx, hosts: Sequence[str]) -> str:
    """Where clients go: by name where there is one in a certificate, else by an address of this machine."""
    if nginx.tls is None:
        return f"http://{_here(nginx.address)}:{nginx.port}"
    name = hosts[0] if hosts else _here(nginx.address)
    return f"https://{name}" + ("" if nginx.port == 443 else f":{nginx.port}")


def dates(files: Sequence[str]) -> tuple[str, ...]:
    """What tells a file from the one that was there before; the content of a key is nobody's business."""
    return tuple(_date(Path(file)) for file in files)


def change(wish: Wanted | None, running: Running | None, is_alive: bool, loaded: str) -> Change | None:
    """What brings the nginx here to what is wished: None where it is that. `loaded` is the file that it serves by."""
    if wish is None:
        return _change("remove", running.url, "the spec wants none here") if running else None
    if running is None:
        return _change("create", wish.url, "nothing is there")
    if not is_alive:
        return _change("create", wish.url, "its process has ended")
    if moved := clash(wish.doors, running.doors):
        return _change("replace", wish.url, f"{moved[0]} becomes {moved[1]}, which nginx can't do while it runs")
    if wish.configuration != loaded:
        return _change("update", wish.url, f"its configuration differs: {first_difference(loaded, wish.configuration)}")
    for file, then, now in zip(running.reads, running.dates, dates(wish.reads), strict=False):
        if then != now:
            return _change("update", wish.url, f"{Path(file).name} was renewed")
    return None


def clash(wished: Sequence[str], former: Sequence[str]) -> tuple[str, str] | None:
    """A door and the one that it is to become, which can't be opened before it is shut: of one port."""
    for door in wished:
        for old in former:
            if door not in former and door.rpartition(":")[2] == old.rpartition(":")[2]:
                return old, door
    return None


def first_difference(old: str, new: str) -> str:
    """A line that only one of both has, with its sign, in at most 80 characters."""
    before, after = old.splitlines(), new.splitlines()
    came = [f"+ {line.strip()}" for line in after if line not in set(before)]
    went = [f"- {line.strip()}" for line in before if line not in set(after)]
    return (*came, *went, "the order of its lines")[0][:_LINE_LENGTH]


def _change(action: Action, name: str, reason: str) -> Change:
    return Change("", action, KIND, name, reason)


def _here(address: str) -> str:
    return "127.0.0.1" if address == "0.0.0.0" else address


def _date(file: Path) -> str:
    try:
        found = file.stat()
    except OSError:
        return ""
    return f"{found.st_mtime_ns} {found.st_size} {found.st_ino}"
