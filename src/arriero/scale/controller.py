"""The loop that scales: reads the gateway's load and the sites, asks the pure decisions, and has targets start and go.

It remembers nothing that matters: how many run it reads from the clouds, who is about to leave from the gateway, whose
weight for it is 0. What it learns of the load is lost with it, and until it knows it again it lets nothing go. Changes
are made in a turn of the deployers' lease (`releases/turns.py`), by facts read in that turn.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from arriero.catalog.prices import BUILT_IN, Prices
from arriero.clock import Clock
from arriero.clouds.scaling import Busy, Require, Standing, Throttled
from arriero.control.client import GatewayError
from arriero.control.messages import GatewayStatus, Weights
from arriero.errors import ArrieroError, CloudError
from arriero.events import Event, Json, Listener, ignore
from arriero.releases.turns import NotNow
from arriero.scale.alarmed import by_alarms
from arriero.scale.alarms import Alarms
from arriero.scale.autoscale import Decision, Past, Policy, decide
from arriero.scale.covering import Cover, Covering
from arriero.scale.leaving import Leaver, leave_first
from arriero.scale.limits import Creations, within_budget
from arriero.scale.naming import Name, name_targets
from arriero.scale.ordering import costs, ranked
from arriero.scale.rights import Edge, Rights
from arriero.scale.sharing import Room, bounds, shares
from arriero.scale.spot import Mix
from arriero.scale.telling import Report, SiteReport, SiteView, room_of
from arriero.scale.work import Work
from arriero.spec.model import Spec
from arriero.spec.schedule import standing

LOOK_SECONDS = 10.0
# Where nothing runs, whoever comes waits for the look, too.
IDLE_LOOK_SECONDS = 2.0
PATIENCE_SECONDS = 8.0
# A site that did not do what was asked is left alone for so long, each time twice as long; others take its part.
FAILED_SECONDS, LONGEST_FAILED_SECONDS = 60.0, 900.0
START_SECONDS = 60.0
WRITE_SECONDS = 5.0
# The controllers' lease is held while there is something to do, and for so many rounds after.
RESTS_AFTER = 12


class Fleet(Protocol):
    """One site's targets in its cloud; see `clouds.scaling.ScalingModule`."""

    def read(self) -> Standing: ...

    def start(self, standing: Standing, more: int, require: Require) -> Sequence[str]: ...

    def stop(self, standing: Standing, leaving: Sequence[str], require: Require) -> None: ...


@dataclass
class Memory:
    """What is learnt of the load; it outlives a new spec."""

    work: Work = field(default_factory=Work)
    past: Past = field(default_factory=Past)
    creations: dict[str, Creations] = field(default_factory=dict)


@dataclass
class Controller:
    """One loop; `look` is one round. `fleets` are the sites that can be scaled, `covers` those where targets on demand
    can stand in for Spot; `asleep` tells who is off at a time.
    """

    spec: Spec
    fleets: Mapping[str, Fleet]
    rights: Rights
    clock: Clock
    memory: Memory = field(default_factory=Memory)
    asleep: Callable[[datetime], Collection[str]] = lambda _: ()
    listener: Listener = ignore
    tell: Callable[[Report], None] = lambda _: None
    prices: Prices = BUILT_IN
    alarms: Alarms = field(default_factory=Alarms)
    patience_seconds: float = PATIENCE_SECONDS
    covers: Mapping[str, Cover] = field(default_factory=dict)
    namings: Mapping[str, Name] = field(default_factory=dict)
    is_idle: bool = False
    _known: dict[str, Standing] = field(default_factory=dict)
    _unread: dict[str, str] = field(default_factory=dict)
    _pending: dict[str, Future[Standing]] = field(default_factory=dict)
    _failed: dict[str, tuple[float, float, str]] = field(default_factory=dict)
    _said: tuple[object, ...] = ()
    _calm_rounds: int = 0
    _threads: ThreadPoolExecutor = field(init=False)
    _covering: Covering = field(init=False)

    def __post_init__(self) -> None:
        self._covering = Covering(self.covers, self.rights, self.clock, self._event)
        self._threads = ThreadPoolExecutor(max(1, len(self.fleets)), thread_name_prefix="read for scaling")
        self._costs = costs(ranked(self.spec, {}, self.prices))
        sites = [self.spec.site(name) for name in self.spec.sites]
        self._slots = sum(site.ollama.num_parallel for site in sites) / len(sites)

    def look(self, edge: Edge) -> Report:
        """One round: look, decide, act. Raises GatewayError where the gateway can't be asked."""
        now = self.clock.timestamp()
        status, load = edge.status(), edge.load()
        self.memory.work.look(now, load, self._slots)
        self._read_all()
        self._costs = costs(ranked(self.spec, load.speeds, self.prices))
        views = self._views(status)
        rooms = [room_of(view) for view in views]
        self.is_idle = not any(room.count for room in rooms)
        decision = self._decide(now, views, rooms)
        sized, heard = by_alarms(self.alarms, self.clock.monotonic(), views, rooms, shares(decision.count, rooms))
        wanted, unpaid = within_budget(self.spec, self.prices, {room.site: room.count for room in rooms}, sized)
        moves = {view.site.name: self._covering.decide(view) for view in views}
        is_due = any(moves.values()) or any(_is_due(view, wanted[view.site.name]) for view in views)
        report = Report(
            at=self.clock.now(),
            paused=self._objection(is_due),
            reason="; ".join(filter(None, (decision.reason, heard, unpaid))),
            need=decision.need,
            is_burst=decision.is_panic,
            open=load.open,
            waiting=load.waiting,
            sites=tuple(
                SiteReport(room.site, room.count, wanted[room.site], room.why, view.warm)
                for room, view in zip(rooms, views, strict=True)
            ),
        )
        self._carry_out(edge, views, wanted, report, unpaid)
        for view in views if not report.paused else ():
            self._covering.act(edge, view, moves[view.site.name])
            name_targets(view, self.namings, self.rights, self._event)
        return report

    def look_blindly(self) -> None:
        """One round without a gateway, by alerts alone; more only, for nobody knows where streams are open."""
        self._read_all()
        views = self._views(GatewayStatus(self.spec.name, False, 0))
        rooms = [room_of(view) for view in views]
        counts = {room.site: room.count for room in rooms}
        heard, why = by_alarms(self.alarms, self.clock.monotonic(), views, rooms, counts)
        more = {site: max(counts[site], heard[site]) for site in counts}
        wanted, unpaid = within_budget(self.spec, self.prices, counts, more)
        if wanted == counts:
            return
        told = tuple(SiteReport(room.site, room.count, wanted[room.site], room.why) for room in rooms)
        reason = "; ".join(filter(None, (why, "the gateway can't be asked", unpaid)))
        report = Report(self.clock.now(), self._objection(True), reason, sum(wanted.values()), False, 0, 0, told)
        self._carry_out(None, views, wanted, report, unpaid)

    def close(self) -> None:
        """Lets reads that are under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _decide(self, now: float, views: Sequence[SiteView], rooms: Sequence[Room]) -> Decision:
        least, count, greatest = bounds(rooms)
        scale = self.spec.scale
        policy = Policy(
            min=least,
            max=greatest,
            utilisation=float(scale.utilisation),
            hold_seconds=float(scale.hold),
            idle_seconds=float(scale.idle),
        )
        ready = sum(view.ready for view in views)
        load = self.memory.work.load(now, count, ready, self._slots, START_SECONDS, policy)
        if not scale.forecast:
            load = replace(load, due=0.0)
        decision = decide(now, load.after(self.memory.past), policy)
        self.memory.past = decision.past
        return decision

    def _objection(self, is_due: bool) -> str:
        """Why nothing may be done now. Rights are asked for only where something is to be done: it costs writes."""
        self._calm_rounds = 0 if is_due else self._calm_rounds + 1
        if self._calm_rounds == RESTS_AFTER:
            self.rights.rest()
        return self.rights.objection() if is_due else ""

    # What stands

    def _read_all(self) -> None:
        for site, fleet in self.fleets.items():
            if site not in self._pending:
                self._pending[site] = self._threads.submit(fleet.read)
        done = wait(self._pending.values(), self.patience_seconds).done
        for site in self.fleets:
            if self._pending[site] not in done:
                self._unread[site] = "its cloud takes long to answer"
                continue
            try:
                self._known[site] = self._pending.pop(site).result()
                self._unread.pop(site, None)
            except CloudError as error:
                self._unread[site] = str(error)

    def _views(self, status: GatewayStatus) -> list[SiteView]:
        asleep = self.asleep(self.clock.now())
        here = {name: [target for target in status.targets if target.site == name] for name in self.spec.sites}
        return [
            SiteView(
                site=self.spec.site(name),
                cost=self._costs[name],
                standing=None if name in self._unread else self._known.get(name),
                targets=tuple(here[name]),
                creations=self._creations(name).left(self.clock.monotonic()),
                is_asleep=name in asleep,
                unread=self._unread.get(name, ""),
                failed=self._failure(name),
                least=self._least(name),
            )
            for name in self.spec.sites
        ]

    def _least(self, name: str) -> int:
        """In hours for which targets are to be warm already, so many; in off hours none of it counts."""
        site = self.spec.site(name)
        is_due = site.prewarm is not None and standing(self.clock.now(), site.prewarm.hours).is_off
        return max(site.min, site.prewarm.least) if site.prewarm is not None and is_due else site.min

    def _failure(self, site: str) -> str:
        until, _, why = self._failed.get(site, (float("-inf"), 0.0, ""))
        return why if self.clock.monotonic() < until else ""

    def _creations(self, site: str) -> Creations:
        return self.memory.creations.setdefault(self.spec.sites[site].region, Creations())

    # What is done

    def _carry_out(
        self, edge: Edge | None, views: Sequence[SiteView], wanted: Mapping[str, int], report: Report, unpaid: str
    ) -> None:
        if unpaid or report.paused:
            self._give_back_step()
        self._say(report)
        if report.paused:
            return
        for view in views:
            self._act(edge, view, wanted[view.site.name])

    def _act(self, edge: Edge | None, view: SiteView, wanted: int) -> None:
        if view.standing is None or view.site.scale_by == "hand":
            return
        name, more = view.site.name, wanted - view.count
        try:
            if more > 0:
                self._grow(edge, view, view.standing, more)
            elif edge is None:
                return
            elif more < 0:
                self._release(edge, view, -more)
            if more <= 0 and (free := [target.id for target in view.leaving if not target.in_flight]):
                self._stop(name, view.standing, free)
            return
        except NotNow as error:
            self._event("scale.waits", name, text=str(error))
        except Busy as error:
            self._event("scale.waits", name, text=str(error))
        except Throttled as error:
            self._creations(name).refused(self.clock.monotonic(), error.wait_seconds)
            self._event("scale.throttled", name, text=str(error))
        except CloudError as error:
            self._has_failed(name, str(error))
        self._give_back_step()

    def _has_failed(self, site: str, why: str) -> None:
        _, former, _ = self._failed.get(site, (0.0, FAILED_SECONDS / 2, ""))
        seconds = min(2 * former, LONGEST_FAILED_SECONDS)
        self._failed[site] = (self.clock.monotonic() + seconds, seconds, why)
        self._event("scale.failed", site, text=why)

    def _give_back_step(self) -> None:
        """What was decided and not done is no step of the minute."""
        self.memory.past = replace(self.memory.past, stepped_out=Past().stepped_out)

    def _grow(self, edge: Edge | None, view: SiteView, standing: Standing, more: int) -> None:
        """Those that were about to leave stay; then new ones are started."""
        self.alarms.stepped(view.site.name, self.clock.monotonic(), is_out=True)
        kept = [target.id for target in view.leaving[:more]]
        if kept and edge is not None:
            edge.set_weights(Weights(dict.fromkeys(kept, 100)))
            self._event("scale.kept", view.site.name, text=f"{', '.join(kept)} stay after all")
        more -= len(kept)
        if more <= 0:
            return
        with self.rights.turn() as lease:
            fresh = self._fresh(view.site.name, standing)
            if fresh is None:
                return
            before = fresh.count
            if fresh.creates:
                self._creations(view.site.name).made(self.clock.monotonic(), more)
            names = self.fleets[view.site.name].start(fresh, more, lambda: lease.require(WRITE_SECONDS))
        self._failed.pop(view.site.name, None)
        started = f": {', '.join(names)}" if names else ""
        self._event("scale.out", view.site.name, text=f"from {before} to {before + more}{started}", count=before + more)

    def _release(self, edge: Edge, view: SiteView, fewer: int) -> None:
        """No new request reaches who is to leave; what is open there goes on to its end."""
        self.alarms.stepped(view.site.name, self.clock.monotonic(), is_out=False)
        leavers = leave_first(_leavers(view), fewer, _mix(view))
        if leavers:
            edge.drain(*leavers)
            self._event("scale.draining", view.site.name, text=f"{', '.join(leavers)}: nothing new goes there")

    def _stop(self, site: str, standing: Standing, free: Sequence[str]) -> None:
        with self.rights.turn() as lease:
            fresh = self._fresh(site, standing)
            if fresh is None:
                return
            self.fleets[site].stop(fresh, free, lambda: lease.require(WRITE_SECONDS))
            count = fresh.count - len(free)
        self._event("scale.in", site, text=f"from {fresh.count} to {count}: {', '.join(free)}", count=count)

    def _fresh(self, site: str, seen: Standing) -> Standing | None:
        """What stands there in this turn; None where that is not what was decided by."""
        fresh = self.fleets[site].read()
        if fresh.count == seen.count:
            return fresh
        self._event("scale.waits", site, text=f"{fresh.count} are asked for there by now, no more {seen.count}")
        return None

    # What is told

    def _say(self, report: Report) -> None:
        """An event for each decision that is not the one before."""
        said = (report.paused, tuple((site.site, site.wanted, site.why) for site in report.sites))
        if said != self._said:
            self._said = said
            self._event("scale.paused" if report.paused else "scale.decided", "", **report.as_json())
        self.tell(report)

    def _event(self, kind: str, site: str, **fields: Json) -> None:
        self.listener(Event(kind, self.clock.now(), site, dict(fields)))


def run(controller: Controller, edge: Callable[[], Edge | None], is_ended: Callable[[], bool]) -> None:
    """Looks every ten seconds until `is_ended`, and when an alert was told. A gateway that can't be asked is asked
    again in the next round; until then more are started by alerts alone.
    """
    said = ""
    while not is_ended():
        trouble = _round(controller, edge)
        if trouble != said and trouble:
            controller.listener(Event("scale.failed", controller.clock.now(), fields={"text": trouble}))
        said = trouble
        end = controller.clock.monotonic() + (IDLE_LOOK_SECONDS if controller.is_idle else LOOK_SECONDS)
        while not is_ended() and controller.clock.monotonic() < end and not controller.alarms.is_woken():
            controller.clock.sleep(min(0.5, LOOK_SECONDS))


def _round(controller: Controller, edge: Callable[[], Edge | None]) -> str:
    """What kept this round from being made; empty where nothing did."""
    try:
        gateway = edge()
        if gateway is not None:
            controller.look(gateway)
        else:
            controller.look_blindly()
    except GatewayError as error:
        return _blind_round(controller, str(error))
    except ArrieroError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - a fault in one round must not end the loop
        return f"a fault of arriero's own: {error!r}"
    return ""


def _blind_round(controller: Controller, trouble: str) -> str:
    try:
        controller.look_blindly()
    except ArrieroError as error:
        return f"{trouble}; {error}"
    return trouble


def _is_due(view: SiteView, wanted: int) -> bool:
    return view.standing is not None and (wanted != view.count or bool(view.leaving) or view.standing.is_misnamed)


def _leavers(view: SiteView) -> list[Leaver]:
    """In the order in which the gateway has them, the youngest last."""
    facts = {target.id: target for target in view.standing.targets} if view.standing else {}
    zones = {zone: number for number, zone in enumerate(sorted({target.zone for target in facts.values()}))}
    return [
        Leaver(t.id, t.state != "up", t.in_flight, facts[t.id].is_spot, zones[facts[t.id].zone], float(place))
        for place, t in enumerate(view.staying)
        if t.id not in view.watched
    ]


def _mix(view: SiteView) -> Mix:
    return Mix(view.site.spot.base, view.site.spot.share) if view.site.spot else Mix()
