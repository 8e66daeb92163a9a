"""The same conversation to the same target, so that the server finds its beginning in the prompt cache. Pure.

Rendezvous hashing: every target gets a number made of its id and the conversation's beginning, and the highest wins;
so a target that comes or goes moves only its own share. Every gateway gives the same answer. A target that has more
than its share of the load is passed over (bounded loads): a popular beginning spreads.

A target that reads a prompt is the last choice, unless the conversation was there before: what comes in while it reads
delays that prompt's first token and its own, while one that only writes answers has much to spare.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log

from arriero.gateway.routing.target import Target

LOAD_FACTOR = 1.25
_MASK = 0xFFFFFFFFFFFFFFFF


def pick(targets: Sequence[Target], mark: int) -> Target:
    """One of these, of which each has the model in memory and a free place; `mark` 0 stands for no conversation."""
    if len(targets) == 1:
        return targets[0]
    if not mark:
        return _least_loaded(targets)
    total = 1
    for target in targets:
        total += target.in_flight + target.others
    most = ceil(LOAD_FACTOR * total / len(targets))
    best, best_score = targets[0], -1.0
    for target in targets:
        if target.in_flight + target.others < most and (not target.reading or target.has_met(mark)):
            score = -target.weight / log(drawn(mark ^ target.salt))
            if score > best_score:
                best, best_score = target, score
    return best if best_score >= 0.0 else _least_loaded(targets)


def drawn(number: int) -> float:
    """Between 0 and 1, the same in every process (splitmix64)."""
    number = number * 0x9E3779B97F4A7C15 & _MASK
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    return ((number ^ number >> 27) * 0x94D049BB133111EB >> 32 & 0xFFFFFFFF | 1) / 4294967296.0


def _least_loaded(targets: Sequence[Target]) -> Target:
    """Who reads the fewest prompts, then by requests for each slot and weight; of equals the one that was asked less
    often. Written out: `min` with a key takes three times as long, and every request without a conversation comes here.
    """
    best = targets[0]
    fewest = best.reading
    least = (best.in_flight + best.others + 1) / (best.slots * best.weight)
    for target in targets:
        reading = target.reading
        if reading > fewest:
            continue
        load = (target.in_flight + target.others + 1) / (target.slots * target.weight)
        if reading < fewest or load < least or (load == least and target.turns < best.turns):
            best, least, fewest = target, load, reading
    return best
