"""Traffic: takes it away from targets before they go, and not before others have it."""

from __future__ import annotations

import signal
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from arriero.clock import Clock
from arriero.control.client import GatewayError
from arriero.control.messages import TargetStatus
from arriero.deploy import edge
from arriero.deploy.project import Project
from arriero.events import Event, Listener

DRAIN_SECONDS = 300.0
LOOK_SECONDS = 0.1
# Many rounds of the loop that tells the gateway of targets, each of which waits ten seconds for a slow cloud.
HEAR_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Heir:
    """What takes over: so many targets of a release at a site, or of any release at any site."""

    count: int
    site: str | None = None
    release: int | None = None


def unknown_heirs(project: Project, heirs: Sequence[Heir], leaving: Collection[str], clock: Clock) -> tuple[Heir, ...]:
    """Those that the gateway sends no requests to, even after a minute: none, if all is well.

    Only what is needed is waited for: where a site's `leaving` targets answer nobody, nobody misses them, and as many
    heirs as targets that do answer are enough. Without a gateway here, or with a silent one, there is nothing to wait
    for.
    """
    running = edge.find(project)
    deadline = clock.monotonic() + HEAR_SECONDS
    is_told = False
    while running is not None:
        try:
            up = [target for target in running.client().status().targets if target.state == "up"]
        except GatewayError:
            return ()
        missing = tuple(heir for heir in heirs if _is_missed(heir, up, leaving))
        if not missing or clock.monotonic() >= deadline:
            return missing
        if not is_told:
            # It looks every two seconds, at the sites of the spec as it was when it was told last.
            running.controller.signal(signal.SIGHUP)
            is_told = True
        clock.sleep(LOOK_SECONDS)
    return ()


def _is_missed(heir: Heir, up: Sequence[TargetStatus], leaving: Collection[str]) -> bool:
    here = [target for target in up if heir.site in (None, target.site)]
    going = sum(target.id in leaving for target in here)
    come = sum(heir.release in (None, target.release) and target.id not in leaving for target in here)
    return come < min(heir.count, going)


def drain(project: Project, targets: Sequence[str], listener: Listener, clock: Clock) -> None:
    """No new request reaches `targets` when this returns, and their open ones have ended (or had five minutes).

    What the gateway does not know gets no request. Without a gateway here nobody's requests pass through us, and there
    is nothing to wait for.
    """
    running = edge.find(project)
    if running is None or not targets:
        return
    gateway = running.client()
    try:
        known = {target.id for target in gateway.status().targets}
        leaving = tuple(target for target in targets if target in known)
        if not leaving:
            return
        listener(Event("edge.draining", clock.now(), fields={"text": f"draining {', '.join(leaving)}"}))
        gateway.drain(*leaving)
        is_empty = gateway.wait_until_empty(leaving, clock, DRAIN_SECONDS)
    except GatewayError as error:
        listener(Event("edge.silent", clock.now(), fields={"text": str(error)}))
        return
    if not is_empty:
        listener(Event("edge.cut", clock.now(), fields={"text": f"requests still open after {DRAIN_SECONDS:.0f} s"}))
