"""The controller's loops for one reading of the spec: the list of targets, how many run, who is active; and where the
spec has log lines sent away or nginx run here, that.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from arriero.cli.here import Here
from arriero.cli.nginx_here import Keeper
from arriero.cli.roles import Roles
from arriero.cli.scaling import Scaler, log
from arriero.cli.shipping import Logs
from arriero.control.client import Gateway
from arriero.deploy import edge
from arriero.observe import discovery
from arriero.observe.shipping.shipper import Memory as Unsent
from arriero.scale.controller import Memory
from arriero.scale.failover import Past


@dataclass
class Learnt:
    """What outlives a new spec."""

    scaling: Memory = field(default_factory=Memory)
    pasts: dict[tuple[str, ...], Past] = field(default_factory=dict)
    unsent: Unsent = field(default_factory=Unsent)


def control(
    here: Here,
    theirs: Callable[[], Gateway] | None,
    learnt: Learnt,
    is_told: Callable[[], bool],
    access_log: Path | None = None,
) -> None:
    """Runs until `is_told`; a change of roles begins the two other loops anew, with the roles of then.

    `access_log` is that of their gateway.
    """
    told: Callable[[], Gateway | None] = theirs or partial(edge.client, here.project)
    logs = Logs(here, access_log if theirs else here.project.edge / edge.ACCESS_LOG, learnt.unsent)
    logs.start(told)
    roles = Roles(here, learnt.pasts)
    roles.start(told)
    nginx = Keeper(here)
    nginx.start()
    try:
        while not is_told():
            now = replace(here, loaded=replace(here.loaded, spec=roles.spec()))
            _serve(now, told, learnt, is_told, roles.changed.is_set, partial(logs.stop, at_once=True))
    finally:
        nginx.stop()
        roles.stop()
        logs.stop()


def _serve(
    here: Here,
    told: Callable[[], Gateway | None],
    learnt: Learnt,
    is_told: Callable[[], bool],
    is_changed: Callable[[], bool],
    farewell: Callable[[], None],
) -> None:
    scaler = Scaler(here, learnt.scaling)
    scaler.start(told)

    def is_over() -> bool:
        return is_told() or is_changed()

    try:
        discovery.run(here.spec, told, listener=log, is_ended=is_over, prices=here.loaded.prices, wakes=scaler.wakes)
    except SystemExit:
        scaler.stop(at_once=True)
        farewell()
        os._exit(0)  # a read that hangs would be waited for
    # Where roles changed, a site may be lost whose calls hang: the list of targets must not wait for them.
    scaler.stop(at_once=not is_told())
