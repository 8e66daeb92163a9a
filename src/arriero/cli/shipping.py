"""Wires the loop that sends log lines away: which lines, to whom, and where it is told how many."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from arriero.cli.here import Here
from arriero.cli.scaling import log
from arriero.clock import SystemClock
from arriero.clouds import read
from arriero.control.client import Gateway, GatewayError
from arriero.control.shipping import Shipped
from arriero.deploy.project import Project
from arriero.errors import ArrieroError
from arriero.events import Event
from arriero.observe.logs import following
from arriero.observe.shipping.line import Labels
from arriero.observe.shipping.post import Post, form_of
from arriero.observe.shipping.running import Shipping, begin_at
from arriero.observe.shipping.shipper import Memory, Shipper

NEWEST = "shipped.json"
CLOSE_SECONDS = 3.0


@dataclass
class Logs:
    """`memory` outlives this reading of the spec; `gateway_log` is None where the gateway writes none that is here."""

    here: Here
    gateway_log: Path | None
    memory: Memory
    _shipping: Shipping | None = field(default=None)

    def start(self, edge: Callable[[], Gateway | None]) -> None:
        """Begins to send, where the spec says so. What stands in its way is said, and all else goes on."""
        spec, clock = self.here.spec, SystemClock()
        wish = spec.logs.ship
        if wish is None:
            return
        if self.here.is_staged and not _is_here(wish.url):
            return _say("logs.kept", f"a rehearsal sends no line off this machine: {wish.url} gets none")
        try:
            form = form_of(wish.to)
        except ArrieroError as error:
            return _say("logs.kept", str(error))
        headers = self.here.project.file(wish.headers_file) if wish.headers_file else None
        # What came and was not taken yet waits in memory, and is not to come again.
        start = begin_at(self.memory.came or _known(self.here.project), clock.now())
        lines = partial(following.followed, read.refs(spec), start, self.gateway_log, self.memory.seen)
        shipper = Shipper(Post(form, wish.url, headers), clock, self.memory, log)
        self._shipping = Shipping(lines, Labels(spec.name), shipper, clock, partial(_tell, edge, self.here.project))
        self._shipping.start()

    def stop(self, *, at_once: bool = False) -> None:
        """Without `at_once` it returns only when no cloud is read any more."""
        if self._shipping is not None:
            self._shipping.stop(CLOSE_SECONDS if at_once else None)


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _tell(edge: Callable[[], Gateway | None], project: Project, shipped: Shipped, newest: datetime | None) -> None:
    """To the gateway, which may be away at the moment, and into the file from which the next controller goes on: where
    it can't be written, that one begins as the first did.
    """
    if newest is not None:
        file = project.edge / NEWEST
        with suppress(OSError):
            project.make_state()
            project.edge.mkdir(mode=0o700, exist_ok=True)
            new = file.with_name(f".{file.name}.new")
            new.write_text(json.dumps({"schema": 1, "newest": newest.isoformat()}), encoding="utf-8")
            new.replace(file)
    with suppress(GatewayError, OSError):
        gateway = edge()
        if gateway is not None:
            gateway.set_shipped(shipped)


def _known(project: Project) -> datetime | None:
    try:
        return datetime.fromisoformat(json.loads((project.edge / NEWEST).read_text(encoding="utf-8"))["newest"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _say(kind: str, text: str) -> None:
    log(Event(kind, SystemClock().now(), fields={"text": text}))
