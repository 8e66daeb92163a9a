"""Why a request goes where it goes, in words and seconds. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from arriero.control.messages import Reason, Routing
from arriero.gateway.routing.policy import forecast
from arriero.gateway.routing.prospects import Ask, Prospect
from arriero.gateway.routing.speeds import Speeds
from arriero.gateway.routing.target import Target


def explain(targets: Iterable[Target], ask: Ask, speeds: Speeds, now: float, found: object) -> Routing:
    """`found` is what the pool answered: a target, or why there is none."""
    known = list(targets)
    prospects = sorted(forecast(known, ask, speeds, now), key=lambda each: (each.cost, each.target.entry.id))
    reasons = [_reason(each) for each in prospects]
    told = {each.target for each in reasons}
    reasons += [_unusable(target, ask) for target in known if target.entry.id not in told]
    if not isinstance(found, Target):
        what = "it waits for a place" if prospects else f"it is refused: no target {getattr(found, 'value', found)}"
        return Routing(ask.model, "", what, tuple(reasons))
    chosen = next(each for each in prospects if each.target is found)
    return Routing(ask.model, found.entry.id, _outcome(chosen, prospects, ask), tuple(reasons))


def _outcome(chosen: Prospect, prospects: list[Prospect], ask: Ask) -> str:
    equal = [each for each in prospects if each.finds is chosen.finds and each.cost == chosen.cost]
    words = f"{chosen.target.entry.id}: {chosen.finds.value}; first token in about {chosen.seconds:.2f} s"
    if len(equal) == 1:
        return words
    by = "the conversation's beginning" if ask.mark else "the smaller load"
    return f"{words}; of {len(equal)} like it, by {by}"


def _reason(prospect: Prospect) -> Reason:
    entry = prospect.target.entry
    words = prospect.finds.value
    seconds, penalty = round(prospect.seconds, 3), round(prospect.penalty, 3)
    return Reason(entry.id, entry.site, words, seconds, penalty, prospect.can_now)


def _unusable(target: Target, ask: Ask) -> Reason:
    entry = target.entry
    if not target.can_take:
        words = f"it is {target.state}: {target.reason}"
    elif not target.has(ask.model):
        words = "it does not have this model"
    else:
        words = "it failed this request already"
    return Reason(entry.id, entry.site, words, 0.0, 0.0, False)
