"""Traffic: takes it away from targets before they go."""

from __future__ import annotations

from collections.abc import Sequence

from arriero.clock import Clock
from arriero.control.client import GatewayError
from arriero.deploy import edge
from arriero.deploy.project import Project
from arriero.events import Event, Listener

DRAIN_SECONDS = 300.0


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
