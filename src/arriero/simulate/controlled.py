"""`arriero controller` in a play: its own eyes (`scale/work.py`) and its own decision, every ten seconds.

`ours.py` is told how many seconds of a whole target each request takes. The controller has to learn that, from how long
requests hold their slots: it has that only once all slots were taken, and then expects an eighth less.
"""

from __future__ import annotations

from arriero.control.load import GatewayLoad
from arriero.scale.autoscale import Past, Policy, decide
from arriero.scale.controller import LOOK_SECONDS, START_SECONDS
from arriero.scale.work import Work
from arriero.simulate.ours import MONDAY
from arriero.simulate.policies import Scaling, Sight


class Controlled(Scaling):
    """`slots` are those of one target. `steps`: when it changed the count, and to what. `memory`: what it learnt."""

    seconds = LOOK_SECONDS
    wants_told = True

    def __init__(self, policy: Policy, slots: float, start: int | None = None) -> None:
        self.start = max(policy.min, policy.warm) if start is None else start
        self.steps: list[tuple[float, int]] = []
        self._policy, self._slots = policy, slots
        self.memory, self._past = Work(), Past()

    def wanted(self, sight: Sight) -> int:
        now, policy = sight.now + MONDAY, self._policy
        self.memory.look(now, sight.told or GatewayLoad({}, {}), self._slots)
        load = self.memory.load(now, sight.count, sight.ready, self._slots, START_SECONDS, policy)
        decision = decide(now, load.after(self._past), policy)
        self._past = decision.past
        if decision.count != sight.count:
            self.steps.append((sight.now, decision.count))
        return decision.count
