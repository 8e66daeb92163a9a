"""The nginx that `up` runs on this machine: brought to what the spec says, kept alive, ended.

`nginx.json` in its folder says which process it is and what it was started with; a process that is not the recorded one
is never signalled. Whoever changes anything holds the folder's lock: `up`, `down`, and the controller, which starts it
again where it was killed and has it read certificates that were renewed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from arriero.clouds.local.process import Process
from arriero.deploy.nginx import process
from arriero.deploy.nginx.process import FILE
from arriero.deploy.nginx.wanted import Running, Wanted, change, clash, dates, doors_of, files_of
from arriero.deploy.project import Project
from arriero.errors import ArrieroError, Problem
from arriero.plan.model import Change
from arriero.spec.ingress import Nginx

TRIED = f"{FILE}.new"


def find(project: Project) -> Running | None:
    """The one that runs for this project; None while its master is not alive."""
    running = _recorded(project)
    return running if running and running.master.is_alive else None


def pending(project: Project, wish: Wanted | None) -> Change | None:
    """What `ensure` would change."""
    running = _recorded(project)
    return change(wish, running, running is not None and running.master.is_alive, _loaded(project))


def obstacles(project: Project, nginx: Nginx) -> tuple[Problem, ...]:
    """Why none could serve here: no program, no certificate, doors that are not to be had."""
    found = []
    if process.program() is None:
        found.append(process.MISSING)
    for key, name in files_of(nginx).items():
        if not project.file(name).exists():
            found.append(
                Problem(f"there is no file {name}", f"put it at {project.file(name)}, or correct the path", key)
            )
    own = _own_doors(project)
    for key, door in zip(("port", "redirect_from"), doors_of(nginx), strict=False):
        # Another address of a port that is ours already is free once ours is shut.
        is_ours = door in own or clash((door,), own)
        if not is_ours and (error := process.why_taken(door)):
            found.append(_closed(door, error, f"ingress.nginx.{key}"))
    return tuple(found)


def ensure(project: Project, wish: Wanted | None) -> Change | None:
    """Does what is pending, and returns it; then it serves by the new configuration, and open streams go on.

    Raises ArrieroError where nginx does not take it; one that runs goes on as it was.
    """
    if wish is None and _recorded(project) is None:
        return None
    if wish is None:
        found = pending(project, wish)
        stop(project)
        return found
    with _locked(project):
        found, running = pending(project, wish), _recorded(project)
        if found is not None:
            _carry_out(project, found, wish)
        elif running and running.drain_seconds != wish.drain_seconds:
            _write(project, replace(running, drain_seconds=wish.drain_seconds))
        return found


def keep(project: Project) -> str:
    """One round of the controller: what was done, in words; empty where nothing had to be, or `up` is at it.

    Raises ArrieroError where it can't be started again, or does not take a renewed certificate.
    """
    if _recorded(project) is None:
        return ""
    with _locked(project, waits=False) as is_held:
        running = _recorded(project) if is_held else None
        if running is None:
            return ""
        if not running.master.is_alive:
            _start(project, running)
            return f"nginx had ended and was started again at {running.url}"
        now = dates(running.reads)
        if now == running.dates or not all(now):
            return ""
        process.test(project.nginx, FILE)
        process.reload(project.nginx, running.master)
        _write(project, replace(running, dates=now))
        return "nginx read its renewed certificates"


def stop(project: Project) -> None:
    """Has it take nothing more, waits for open streams as long as the spec gives them, and ends it."""
    if _recorded(project) is None:
        return
    with _locked(project):
        running = _recorded(project)
        _record(project).unlink(missing_ok=True)
        leaving = process.leave(project.nginx, running.master) if running else ()
    if running:
        process.end((*leaving, *running.leaving), running.drain_seconds)


def _carry_out(project: Project, found: Change, wish: Wanted) -> None:
    former, running = _loaded(project), _recorded(project)
    tried = project.nginx / TRIED
    tried.write_text(wish.configuration, encoding="utf-8")
    process.test(project.nginx, TRIED)
    tried.replace(project.nginx / FILE)
    leaving = running.leaving if running else ()
    new = Running(
        wish.url, wish.doors, wish.reads, dates(wish.reads), wish.drain_seconds,
        running.master if running else Process(0, 0), leaving,
    )  # fmt: skip
    if found.action != "update":
        _start(project, new)
        return
    try:
        process.reload(project.nginx, new.master)
    except ArrieroError:
        # It goes on by the former file: the next look is to see that.
        (project.nginx / FILE).write_text(former, encoding="utf-8")
        raise
    _write(project, new)


def _start(project: Project, new: Running) -> None:
    """A new master, after the former one has shut its doors; who it was stays known until its streams have ended."""
    folder = project.nginx
    former = process.leave(folder, new.master) if new.master.pid else ()
    if former:
        process.wait_for_doors(new.doors)
    begun = process.log_size(folder)
    alive = tuple(each for each in (*new.leaving, *former) if each.is_alive)
    started = replace(new, dates=dates(new.reads), master=process.start(folder), leaving=alive)
    _write(project, started)
    process.wait_until_it_serves(folder, started.master, begun)


def _closed(door: str, error: OSError, key: str) -> Problem:
    address, _, port = door.rpartition(":")
    if isinstance(error, PermissionError):
        remedy = f"name one above 1023, or allow it: sysctl net.ipv4.ip_unprivileged_port_start={port}"
        return Problem(f"port {port} needs rights that you have not", remedy, key)
    if error.errno == errno.EADDRNOTAVAIL:
        what = f"{address} is no address of this machine"
        return Problem(what, "write one of this machine's, or 0.0.0.0 for all", "ingress.nginx.address")
    return Problem(f"somebody listens at {door} already", "name another port, or stop what listens there", key)


def _own_doors(project: Project) -> tuple[str, ...]:
    """Those of the one that runs, or of what a killed one left behind."""
    running = _recorded(project)
    is_there = running and (running.master.is_alive or process.crew(project.nginx, running.master))
    return running.doors if running and is_there else ()


def _loaded(project: Project) -> str:
    try:
        return (project.nginx / FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


@contextlib.contextmanager
def _locked(project: Project, *, waits: bool = True) -> Iterator[bool]:
    """Whether the folder's lock is held, which it always is in the end where one `waits` for it."""
    project.make_state()
    project.nginx.mkdir(mode=0o700, exist_ok=True)
    with (project.nginx / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


def _record(project: Project) -> Path:
    return project.nginx / "nginx.json"


def _recorded(project: Project) -> Running | None:
    try:
        told = json.loads(_record(project).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Running(
        told["url"], tuple(told["doors"]), tuple(told["reads"]), tuple(told["dates"]), told["drain_seconds"],
        Process(**told["master"]), tuple(Process(**each) for each in told["leaving"]),
    )  # fmt: skip


def _write(project: Project, running: Running) -> None:
    new = _record(project).with_suffix(".new")
    new.write_text(json.dumps(asdict(running)), encoding="utf-8")
    new.replace(_record(project))
