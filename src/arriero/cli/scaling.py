"""Wires the loop that scales: its clouds, its rights, where it tells what it decided; and reads that for `status`."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from arriero.cli.here import Here
from arriero.clock import SystemClock
from arriero.clouds import read
from arriero.clouds.aws import publishing
from arriero.clouds.scaling import CoverModule, Require, ScalingModule, Standing, cover_of, naming_of, scaling_of
from arriero.control.alert_listener import AlertListener
from arriero.control.alerts import KEY_LENGTH_LEAST, Alert, Refusal
from arriero.control.client import Gateway
from arriero.deploy import releasing
from arriero.deploy.project import Project
from arriero.events import Event
from arriero.plan.model import SiteRef
from arriero.plan.sleep import Orders, sleeps
from arriero.releases import opening, orders
from arriero.releases.ledger import Ledger
from arriero.releases.turns import Turns
from arriero.scale import controller
from arriero.scale.alarms import Alarms
from arriero.scale.controller import Controller, Memory
from arriero.scale.going import Parting
from arriero.scale.publishing import Publisher
from arriero.scale.telling import Report
from arriero.spec.model import ResolvedSite

# Orders about off hours are looked up in the ledger so often; the hours themselves hold at once.
ORDERS_SECONDS = 30.0
# A controller tells something every ten seconds; what is older is of one that runs no more.
FRESH_SECONDS = 60.0
CLOSE_SECONDS = 2.0
USUAL, LEARNT_SECONDS = "usual-day.json", 900.0


@dataclass(frozen=True, slots=True)
class Fleet:
    """A site's targets, through its cloud's module."""

    module: ScalingModule
    ref: SiteRef

    def read(self) -> Standing:
        return self.module.read(self.ref)

    def start(self, standing: Standing, more: int, require: Require) -> Sequence[str]:
        return self.module.start(self.ref, standing, more, require)

    def stop(self, standing: Standing, leaving: Sequence[str], require: Require) -> None:
        self.module.stop(self.ref, standing, leaving, require)


@dataclass(frozen=True, slots=True)
class Cover:
    """A site's stand-ins for Spot, through its cloud's module."""

    module: CoverModule
    ref: SiteRef

    def read(self) -> Standing:
        return self.module.read(self.ref)

    def stand_in(self, more: int, require: Require) -> Sequence[str]:
        return self.module.stand_in(self.ref, more, require)

    def dismiss(self, leaving: Sequence[str], require: Require) -> None:
        self.module.dismiss(self.ref, leaving, require)


@dataclass
class Scaler:
    """The loop in a thread of its own, so that a slow cloud holds up no list of targets."""

    here: Here
    memory: Memory
    _turns: Turns = field(init=False)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _teller: threading.Thread | None = None
    _listeners: list[AlertListener] = field(default_factory=list)
    _ledger: Ledger | None = None
    _orders: Orders = field(default_factory=Orders)
    _orders_at: float = float("-inf")

    def start(self, edge: Callable[[], Gateway | None]) -> None:
        """Begins to look, where any site of the spec may be scaled."""
        spec, clock = self.here.spec, SystemClock()
        covers = {ref.site: Cover(cover, ref) for ref in read.refs(spec) if (cover := cover_of(ref.cloud))}
        namings = {
            ref.site: partial(naming.set_right, ref)
            for ref in read.refs(spec)
            if ref.edges and (naming := naming_of(ref.cloud))
        }
        fleets = {
            ref.site: Parting(Fleet(scaling_of(ref.cloud), ref), clock.monotonic)
            for ref in read.refs(spec)
            if _is_scaled_here(spec.site(ref.site)) or spec.site(ref.site).spot or ref.site in namings
        }
        self._publish(edge)
        if not fleets:
            return
        _recall(self.here.project, self.memory)
        self._turns = Turns(self._opened, releasing.who(), float(spec.ledger.lease), clock)
        loop = Controller(
            spec,
            fleets,
            self._turns,
            clock,
            self.memory,
            self._asleep,
            log,
            partial(_keep, self.here.project, self.memory),
            self.here.loaded.prices,
            covers=covers,
            namings=namings,
        )
        self._listen(loop.alarms)
        self._thread = threading.Thread(target=self._run, args=(loop, edge), name="scaling", daemon=True)
        self._thread.start()

    def _publish(self, edge: Callable[[], Gateway | None]) -> None:
        """Tells AWS what it scales sites by, in a thread of its own: it needs no right and changes nothing."""
        refs = [ref for ref in read.refs(self.here.spec) if _is_told(self.here.spec.site(ref.site))]
        if refs:
            publisher = Publisher({ref.site: partial(publishing.tell, ref) for ref in refs}, SystemClock(), log)
            self._teller = threading.Thread(
                target=publisher.run, args=(edge, self._ended.is_set), name="telling CloudWatch", daemon=True
            )
            self._teller.start()

    def _listen(self, alarms: Alarms) -> None:
        """Where alerts are told, if the spec has any tell. What can't listen is said, and the rest goes on."""
        spec, folder = self.here.spec, self.here.project.folder
        for told in dict.fromkeys(site.alerts for name in spec.sites if (site := spec.site(name)).alerts):
            assert told is not None
            try:
                key = _key(folder / told.key_file)
                listener = AlertListener(told.address, told.port, key, partial(_take, alarms), _refused)
            except (OSError, ValueError) as error:
                what = f"no alert can be told at {told.address}:{told.port}: {error}"
                log(Event("alerts.failed", SystemClock().now(), fields={"text": what}))
                continue
            listener.start()
            self._listeners.append(listener)

    def stop(self, *, at_once: bool = False) -> None:
        """Ends after the round that is under way, and gives the controllers' lease back if that is done soon.

        Without `at_once` it returns only when nothing is done any more: the environment, which says where the clouds
        are, may be another one after that.
        """
        self._ended.set()
        for listener in self._listeners:
            listener.stop()
        if self._teller is not None:
            self._teller.join(CLOSE_SECONDS if at_once else None)
        if self._thread is None:
            return
        self._thread.join(CLOSE_SECONDS if at_once else None)
        closing = threading.Thread(target=self._turns.rest, name="give back the lease", daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)

    def wakes(self) -> tuple[str, ...]:
        """The models for which a site at zero is started: none while all such sites have their off hours."""
        spec = self.here.spec
        idle = [name for name in spec.sites if _may_be_idle(spec.site(name))]
        asleep = self._asleep(SystemClock().now()) if idle else frozenset()
        is_waking = self._thread is not None and any(name not in asleep for name in idle)
        return tuple(model.name for model in spec.models) if is_waking else ()

    def _run(self, loop: Controller, edge: Callable[[], Gateway | None]) -> None:
        try:
            controller.run(loop, edge, self._ended.is_set)
        finally:
            loop.close()

    def _opened(self) -> Ledger:
        spec = self.here.spec
        found = opening.read(spec, read.check_accounts(spec, self.here.endpoints))
        self._ledger = found.ledger
        return found.ledger

    def _asleep(self, now: datetime) -> frozenset[str]:
        spec = self.here.spec
        sites = [site for name in spec.sites if (site := spec.site(name)).off]
        if sites and self._ledger and now.timestamp() - self._orders_at >= ORDERS_SECONDS:
            self._orders, self._orders_at = orders.read(self._ledger), now.timestamp()
        return frozenset(site.name for site in sites if sleeps(site, self._orders, now))


def _is_scaled_here(site: ResolvedSite) -> bool:
    """By the load, or because the cloud that should scale it can only call us."""
    return site.scale_by == "load" or (site.scale_by == "cloud" and site.cloud == "azure")


def _key(file: Path) -> str:
    """Raises OSError or ValueError: without a key that nobody guesses, nobody is listened to."""
    key = file.read_text(encoding="utf-8").strip()
    if len(key) < KEY_LENGTH_LEAST:
        raise ValueError(f"the key in {file.name} has fewer than {KEY_LENGTH_LEAST} characters")
    return key


def _take(alarms: Alarms, alert: Alert) -> None:
    log(Event("alert.told", SystemClock().now(), fields={"rule": alert.rule, "fired": alert.is_fired, "at": alert.at}))
    alarms.take(alert)


def _refused(refusal: Refusal) -> None:
    log(Event("alert.refused", SystemClock().now(), fields={"status": refusal.status, "text": refusal.why}))


def _is_told(site: ResolvedSite) -> bool:
    return site.cloud == "aws" and site.scale_by == "cloud" and site.track.requests is not None


def log(event: Event) -> None:
    """The controller's log: a JSON object a line."""
    print(json.dumps(event.as_json(), default=str), flush=True, file=sys.stdout)


def last_report(project: Project) -> Report | None:
    """What the controller of this machine decided a moment ago; None where none runs."""
    try:
        report = Report.from_json(json.loads((project.edge / "scaling.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    is_fresh = SystemClock().now() - report.at < timedelta(seconds=FRESH_SECONDS)
    return report if is_fresh else None


def _keep(project: Project, memory: Memory, report: Report) -> None:
    """What was decided, and four times an hour what was learnt of the day: the next controller goes on from there."""
    _write(project.edge / "scaling.json", report.as_json())
    usual = project.edge / USUAL
    if not usual.exists() or report.at.timestamp() - usual.stat().st_mtime >= LEARNT_SECONDS:
        _write(usual, {"schema": 1, "usual": memory.work.demand.learnt()})


def _recall(project: Project, memory: Memory) -> None:
    """What a controller before this one learnt. A file that can't be read is written anew: the day is learnt again."""
    if any(each is not None for day in memory.work.demand.learnt() for each in day):
        return
    with suppress(OSError, ValueError, KeyError, TypeError):
        memory.work.demand.restore(json.loads((project.edge / USUAL).read_text(encoding="utf-8"))["usual"])


def _write(file: Path, content: Mapping[str, Any]) -> None:
    new = file.with_name(f".{file.name}.new")
    new.write_text(json.dumps(content), encoding="utf-8")
    new.replace(file)


def _may_be_idle(site: ResolvedSite) -> bool:
    """Whether it may run nothing, and can be started from there."""
    return site.min == 0 and site.scale_by == "load" and site.cloud != "local"
