"""Which targets a request is offered while a release is on trial, and in which order. Pure.

Conversations stay together: their beginning decides, so that both turns of a talk find the same release and its prompt
cache. Where that would leave the share of all requests too far from what is wanted (one beginning may be most of the
traffic), the count decides.
"""

from __future__ import annotations

from collections.abc import Iterable

from arriero.control.trials import Trial
from arriero.gateway.routing.affinity import drawn
from arriero.gateway.routing.target import Target

# So many requests the trial's share may be ahead or behind before a conversation's own draw counts no more.
SLACK = 3.0
_SALT = 0x7A11


class Split:
    """One trial's way of dealing: `counted` must be called once for each request that got a target."""

    __slots__ = ("_asked", "_given", "trial")

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self._asked = self._given = 0

    def offers(self, targets: Iterable[Target], mark: int) -> list[list[Target]]:
        """Groups of targets: the next one is asked only if the ones before have no free place for the request."""
        known, percent = list(targets), self.trial.percent
        ours = [target for target in known if self.is_on_trial(target)]
        if percent >= 100:
            replaced = [target for target in known if self._is_replaced(target)]
            return [[target for target in known if target not in replaced], replaced]
        others = [target for target in known if target not in ours]
        if percent <= 0:
            return [others]
        if self._is_for_trial(mark):
            return [ours, others]
        # Whoever is not for the trial waits for the others, however idle the trial's targets are, but not in vain.
        return [others] if any(target.can_take for target in others) else [others, ours]

    def counted(self, target: Target) -> None:
        self._asked += 1
        self._given += self.is_on_trial(target)

    def is_on_trial(self, target: Target) -> bool:
        return target.entry.release == self.trial.release and target.entry.site in self.trial.sites

    def _is_replaced(self, target: Target) -> bool:
        entry = target.entry
        return entry.site in self.trial.sites and entry.release not in (None, self.trial.release)

    def _is_for_trial(self, mark: int) -> bool:
        share = self.trial.percent / 100
        behind = share * (self._asked + 1) - self._given
        if not mark:
            return behind >= 1.0 - share / 2
        if abs(behind) > SLACK:
            return behind > 0
        return drawn(mark ^ _SALT) < share
