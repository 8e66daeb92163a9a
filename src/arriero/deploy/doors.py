"""Makes a service's Front Door in two turns: before its sites, for the id that their load balancers answer alone, and
after them, for where those are. The second one has something to do only where load balancers came, or moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from arriero.clouds import read
from arriero.deploy import making
from arriero.deploy.engine import Run, play
from arriero.errors import Problem
from arriero.plan import front_door
from arriero.plan.model import Change, Facts
from arriero.spec.front_door import AT
from arriero.spec.model import Spec

PLAYBOOK = "front_door.yml"


def made(run: Run, spec: Spec, facts: Facts) -> tuple[Facts, tuple[Problem, ...]]:
    """Makes what can be made of it now, and reads it anew; returns the facts with it, and what went wrong."""
    host = making.front_door_host(spec, facts, ())
    if host is None or not _possible(spec, facts):
        return facts, ()
    outcome = play(run, PLAYBOOK, [host])
    return read.front_door_of(spec, facts), tuple(replace(problem, key=AT) for problem in outcome.problems)


def led_after(run: Run, spec: Spec, facts: Facts, after: Facts) -> tuple[Problem, ...]:
    """Leads it to the load balancers as they are `after` the sites were made; returns what went wrong, or is still not
    as wished. A site that has no load balancer is told as one that failed, and not here.
    """
    sites = {**facts.sites, **after.sites}
    now, failed = made(run, spec, read.with_front_door(replace(facts, sites=sites), after.front_door))
    return failed or tuple(_still(change) for change in _possible(spec, now))


def _possible(spec: Spec, facts: Facts) -> Sequence[Change]:
    """The changes that can be made now, by the load balancers that stand."""
    planned = front_door.plan(spec, facts, ())
    return planned.changes if planned else ()


def _still(change: Change) -> Problem:
    what = f"{change.kind} {change.name} is still not as wanted after the deployment: {change.reason}"
    return Problem(what, "run arriero up again; if it stays, report it with the run's log", AT)
