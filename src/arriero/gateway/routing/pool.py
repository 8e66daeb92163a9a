"""The targets and what they hold, as one thing to ask. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from enum import Enum

from arriero.control.messages import Routing, TargetEntry, Targets, TargetStatus
from arriero.control.trials import Trial
from arriero.gateway.routing import policy
from arriero.gateway.routing.affinity import pick
from arriero.gateway.routing.explain import explain
from arriero.gateway.routing.prospects import Ask
from arriero.gateway.routing.speeds import Speeds
from arriero.gateway.routing.target import Target, Turn
from arriero.gateway.routing.trial import Split


class Without(Enum):
    """Why there is no target for a request, in words that follow `no target …`."""

    TARGETS = "is known yet"
    MODEL = "has this model"
    HEALTH = "that may have this model answers now"
    PLACE = "has a free place now"
    TURN = "has a free place for one that comes now"
    CHOICE = "is left to try"
    SITE = "of the site that was asked for can take this now"


class Pool:
    """Mutable, changed only from the event loop's thread. Targets that left the list stay until they are empty.

    `has_tiers`: some are dearer than others, or standbys.
    """

    def __init__(self) -> None:
        self.speeds = Speeds()
        self._first_tier = (False, 0.0)
        self.has_tiers = False
        self._targets: dict[str, Target] = {}
        self._leaving: list[Target] = []
        self._split: Split | None = None
        self.wakes: frozenset[str] = frozenset()

    @property
    def trial(self) -> Trial | None:
        return self._split.trial if self._split else None

    @property
    def is_shared(self) -> bool:
        """Whether places may become free without a word to this process."""
        return False

    def set_targets(self, targets: Targets) -> list[Turn]:
        """Replaces the list; a target that left, or came back at another address, gets nothing new."""
        former, self._targets = self._targets, {}
        turns = [self._enter(entry, former) for entry in targets.entries]
        turns += [target.become("draining", "left the list of targets") for target in former.values()]
        self._leaving = [target for target in (*self._leaving, *former.values()) if target.in_flight]
        self._first_tier = min((target.tier for target in self), default=self._first_tier)
        self.has_tiers = any(target.tier != self._first_tier for target in self)
        self.wakes = frozenset(targets.wakes)
        return [turn for turn in turns if turn]

    def set_weights(self, weights: Mapping[str, int]) -> list[Turn]:
        """Puts weights over the entries' own; unknown targets raise KeyError, and nothing is changed."""
        targets = [(self._targets[name], weight) for name, weight in weights.items()]
        return [turn for target, weight in targets if (turn := target.weigh(weight))]

    def weights(self) -> dict[str, int]:
        """Those that were put over the entries' own."""
        return {name: target.weight for name, target in self._targets.items() if target.weight != target.entry.weight}

    def set_trial(self, trial: Trial | None) -> None:
        """From now on requests are dealt so; None ends the trial, and all targets are on equal terms again."""
        self._split = Split(trial) if trial else None

    def entries(self) -> Targets:
        return Targets(tuple(target.entry for target in self._targets.values()), tuple(sorted(self.wakes)))

    def find(self, model: str | None, runs: bool, tried: Collection[str], now: float) -> Target | Without:
        """A target for a request about `model` (None: about none); `runs` says that it will be in memory."""
        if runs and model:
            return self._counted(self._place(Ask(model, tried), now))
        holding = [target for target in self._offered() if model is None or target.has(model)]
        return policy.any_of(holding, tried, now) or self._without(holding, tried)

    def usual(self, model: str, tried: Collection[str], mark: int, now: float) -> Target | None:
        """The usual case of `place`, in little time: a target against which nothing speaks can answer at once."""
        return self._usual(model, tried, mark, now)

    def place(self, ask: Ask, now: float) -> Target | Without:
        """A target with a place for a request that runs a model; `Without.PLACE`: it should wait for one."""
        return self._counted(self._place(ask, now))

    def place_at(self, site: str, model: str, now: float) -> Target | Without:
        """A place at this one site, for who tries it out: nobody waits there, so that nobody is passed by."""
        elsewhere = [target.entry.id for target in self if target.entry.site != site]
        found = self._dealt(Ask(model, elsewhere), now) if len(elsewhere) < len(self._targets) else None
        return self._counted(found or Without.SITE)

    def hope(self, model: str, tried: Collection[str]) -> Without:
        """`Without.PLACE` if it makes sense to wait for one, else why not. Where none answers, one may be started."""
        holding = [target for target in self._offered() if target.has(model)]
        may_wait = any(target.can_take and target.entry.id not in tried for target in holding)
        may_wait = may_wait or (model in self.wakes and not self.is_ready())
        return Without.PLACE if may_wait else self._without(holding, tried)

    def explain(self, ask: Ask, now: float) -> Routing:
        """Why such a request would go where it goes now."""
        routing = explain(self._targets.values(), ask, self.speeds, now, self._place(ask, now))
        if self.trial is None:
            return routing
        share = f"release {self.trial.release} is on trial with {self.trial.percent:g} % of the requests"
        return replace(routing, outcome=f"{routing.outcome}; {share}")

    def gave_back(self, target: Target) -> None:
        """A request there is over. Nobody else has to know: see `together.SharedPool`."""

    def tell_all(self) -> None:
        """The same for all targets."""

    def is_ready(self) -> bool:
        return any(target.can_take for target in self)

    def status(self) -> tuple[TargetStatus, ...]:
        self._leaving = [target for target in self._leaving if target.in_flight]
        return tuple(target.status() for target in (*self, *self._leaving))

    def __iter__(self) -> Iterator[Target]:
        return iter(self._targets.values())

    def __contains__(self, target: Target) -> bool:
        return self._targets.get(target.entry.id) is target

    def _usual(self, model: str, tried: Collection[str], mark: int, now: float) -> Target | None:
        if self._split is not None:
            return None
        warm = policy.warm_and_free(self._targets.values(), model, tried, self._first_tier, now)
        if tried and warm:
            # What ended one target may be ending its whole site: of two equals, the one elsewhere.
            sites = {self._targets[one].entry.site for one in tried if one in self._targets}
            warm = [target for target in warm if target.entry.site not in sites] or warm
        return pick(warm, mark) if warm else None

    def _place(self, ask: Ask, now: float) -> Target | Without:
        found = self._usual(ask.model, ask.tried, ask.mark, now) or self._dealt(ask, now)
        return found or self.hope(ask.model, ask.tried)

    def _dealt(self, ask: Ask, now: float) -> Target | None:
        """The choice among all targets or, during a trial, among those of its share first."""
        split = self._split
        if split is None:
            return policy.choose(self._targets.values(), ask, self.speeds, now)
        for offer in split.offers(self._targets.values(), ask.mark):
            found = policy.choose(offer, ask, self.speeds, now)
            if found is not None:
                return found
        return None

    def _counted(self, found: Target | Without) -> Target | Without:
        if self._split is not None and isinstance(found, Target):
            self._split.counted(found)
        return found

    def _offered(self) -> list[Target]:
        """All targets but those that a trial keeps from all requests."""
        split = self._split
        if split is None or split.trial.percent > 0:
            return list(self._targets.values())
        return [target for target in self._targets.values() if not split.is_on_trial(target)]

    def _without(self, holding: Collection[Target], tried: Collection[str]) -> Without:
        if not self._targets:
            return Without.TARGETS
        if tried:
            return Without.CHOICE
        is_known = holding or not all(target.has_answered for target in self)
        return Without.HEALTH if is_known else Without.MODEL

    def _enter(self, entry: TargetEntry, former: dict[str, Target]) -> Turn | None:
        known = former.get(entry.id)
        if known is None or known.entry.address != entry.address:
            self._targets[entry.id] = Target(entry)
            return None
        self._targets[entry.id] = former.pop(entry.id)
        return known.renew(entry)
