"""The nginx that `up` runs on this machine: its configuration, made from the spec and the gateway that runs, goes to
`deploy.nginx`, and what stands there into plan and status. Wiring only.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from arriero.cli.here import Here
from arriero.cli.scaling import log
from arriero.clock import SystemClock
from arriero.deploy import edge
from arriero.deploy.edge import Edge
from arriero.deploy.nginx import here as running_here
from arriero.deploy.nginx.wanted import Wanted, is_asked_for, url_of, wanted
from arriero.errors import ArrieroError, Problem
from arriero.events import Event, Json, Listener
from arriero.pipeline.nginx import files
from arriero.plan.model import Action, Change

KEEP_SECONDS = 2.0
WORDS: Mapping[Action, str] = {
    "create": "listens at ",
    "replace": "was started anew and listens at ",
    "update": "took up its new configuration at ",
    "remove": "has ended, which listened at ",
}
# From the folder of its configuration to that of the spec.
_HOME = Path("../..")


def url(here: Here) -> str:
    """Where clients go if the spec has it run here; empty where not."""
    nginx = here.spec.ingress.nginx
    return url_of(nginx, here.spec.gateway.hosts) if nginx and is_asked_for(here.spec) else ""


def obstacles(here: Here) -> tuple[Problem, ...]:
    """Why it could not serve, if the spec wants it here."""
    nginx = here.spec.ingress.nginx
    if nginx is None or not is_asked_for(here.spec):
        return ()
    try:
        files.refuse(here.spec, here.project.folder)
    except ArrieroError as error:
        return (*error.problems, *running_here.obstacles(here.project, nginx))
    return running_here.obstacles(here.project, nginx)


def pending(here: Here) -> Change | None:
    """What `up` would do to it, as the gateway is now."""
    return running_here.pending(here.project, _wanted(here, edge.find(here.project)))


def ensure(here: Here, gateway: Edge, listener: Listener) -> tuple[Problem, ...]:
    """Starts, changes or ends it, by the address of the gateway that runs; why that was not done, if so."""
    try:
        done = running_here.ensure(here.project, _wanted(here, gateway))
    except ArrieroError as error:
        return error.problems
    if done:
        listener(Event("nginx.changed", SystemClock().now(), fields={"text": f"nginx {WORDS[done.action]}{done.name}"}))
    return ()


def stop(here: Here) -> None:
    running_here.stop(here.project)


def status(here: Here) -> Mapping[str, Json] | None:
    if not (where := url(here)):
        return None
    running = running_here.find(here.project)
    if running is None:
        return {"url": where, "state": "stopped", "pid": None}
    return {"url": running.url, "state": "running", "pid": running.master.pid}


def _wanted(here: Here, gateway: Edge | None) -> Wanted | None:
    nginx = here.spec.ingress.nginx
    if nginx is None or not is_asked_for(here.spec):
        return None
    own = gateway.url.rpartition("/")[2] if gateway else ""
    [text] = files.files(here.spec, _HOME, own).values()
    return wanted(here.project, here.spec, nginx, text, edge.DRAIN_SECONDS)


@dataclass
class Keeper:
    """Looks after it every two seconds, in a thread of its own, where the spec has it run here."""

    here: Here
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        if is_asked_for(self.here.spec):
            self._thread = threading.Thread(target=self._run, name="keep nginx", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        said = ""
        while not self._ended.wait(KEEP_SECONDS):
            try:
                kind, text = "nginx.kept", running_here.keep(self.here.project)
            except (ArrieroError, OSError) as error:
                kind, text = "nginx.failed", str(error)
            if text and text != said:
                log(Event(kind, SystemClock().now(), fields={"text": text}))
            said = text
