"""Is a new release as good as the one it replaces? Judged by what the gateway saw of both at the same time. Pure.

Four figures: failed requests, answers without a text, time to the first token, time a token. For each one an interval
is made around the difference, Z standard errors to both sides. It is bad if the whole interval lies beyond what is
tolerated, good if the whole interval lies within what is accepted, and open in between: then more requests are needed.
So noise alone neither condemns nor acquits, and a judgement may be looked at again and again while requests come in.

Shares: Wilson's score interval, and Newcombe's for the difference of two (Statistics in Medicine 17, 1998, method 10).
Times: the ratio of geometric means, so that a few slow answers weigh as much as their logarithm; compared within each
stratum (`control/trials.py`), so cold prompt caches are held against cold ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, hypot, log, sqrt
from typing import Literal

from arriero.control.trials import Moments, Tally

Judgement = Literal["good", "bad", "open", "none"]

Z = 3.0
LEAST_REQUESTS = 20
LEAST_FAULTS = 3
# More faulty answers by so much of all requests: tolerated, and still accepted.
TOLERATED_SHARE, ACCEPTED_SHARE = 0.02, 0.10
# So many times as long: tolerated, and still accepted; and where both did not serve at the same time, so that the load
# of the hour speaks too.
AT_ONCE, ONE_AFTER_THE_OTHER = (1.25, 1.75), (2.0, 3.0)
# The share of faults that a release is believed to have of which nothing is known.
USUAL_SHARE = 0.02
# From so many answers on a release's own spread is believed; below, that of both together.
OWN_SPREAD = 30


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure of both, e.g. 0.31 and 0.01 failed requests or 0.84 and 0.41 seconds; `none`: nothing to compare."""

    what: str
    new: float
    old: float
    requests: int
    judgement: Judgement

    def __str__(self) -> str:
        return f"{self.what} {self.new:.3g} (running release: {self.old:.3g}; {self.requests} requests)"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`good` and `bad` need enough requests to mean it; else it is open."""

    findings: tuple[Finding, ...]

    @property
    def is_bad(self) -> bool:
        return any(finding.judgement == "bad" for finding in self.findings)

    @property
    def is_good(self) -> bool:
        known = {finding.judgement for finding in self.findings} - {"none"}
        return known == {"good"}

    @property
    def reason(self) -> str:
        """What speaks against it; or what is not known well enough; or all that was found."""
        worst = [str(f) for f in self.findings if f.judgement == "bad"]
        unknown = [str(f) for f in self.findings if f.judgement == "open"]
        return "; ".join(worst or unknown or map(str, self.findings))


def judge(new: Tally, old: Tally, is_at_once: bool = True) -> Verdict:
    """`is_at_once`: `old` is what the running release did meanwhile, and not before."""
    ratios = AT_ONCE if is_at_once else ONE_AFTER_THE_OTHER
    return Verdict(
        (
            _share("failed requests", (new.errors, new.attempts), (old.errors, old.attempts)),
            _share("answers without a text", (new.empty, new.answers), (old.empty, old.answers)),
            _times("seconds to the first token", new.first_token, old.first_token, ratios),
            _times("seconds a token", new.token_seconds, old.token_seconds, ratios),
        )
    )


def wilson(faults: float, count: float, z: float = Z) -> tuple[float, float]:
    """The score interval of a share, both ends within 0 and 1."""
    share, more = faults / count, z * z / count
    middle = (share + more / 2) / (1 + more)
    half = z / (1 + more) * sqrt(share * (1 - share) / count + more / (4 * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def _share(what: str, new: tuple[float, float], old: tuple[float, float]) -> Finding:
    faults, count = new
    if not count:
        return Finding(what, 0.0, 0.0, 0, "open")
    if old[1] < LEAST_REQUESTS:
        usual, low_old, high_old = USUAL_SHARE, USUAL_SHARE, USUAL_SHARE
    else:
        usual, (low_old, high_old) = old[0] / old[1], wilson(*old)
    share, (low, high) = faults / count, wilson(faults, count)
    least = share - usual - hypot(share - low, high_old - usual)
    most = share - usual + hypot(high - share, usual - low_old)
    is_bad = count >= LEAST_REQUESTS and faults >= LEAST_FAULTS and least > TOLERATED_SHARE
    return Finding(what, share, usual, round(count), "bad" if is_bad else "good" if most < ACCEPTED_SHARE else "open")


def _times(what: str, new: Sequence[Moments], old: Sequence[Moments], ratios: tuple[float, float]) -> Finding:
    tolerated, accepted = map(log, ratios)
    pairs = [(n, o) for n, o in zip(new, old, strict=True) if n.count >= 2 and o.count >= 2]
    count = sum(n.count for n, _ in pairs)
    if not pairs:
        return Finding(what, 0.0, 0.0, 0, "none")
    weights = [1 / _variance(n, o) for n, o in pairs]
    ratio = sum(w * (_mean(n) - _mean(o)) for w, (n, o) in zip(weights, pairs, strict=True)) / sum(weights)
    error, usual = Z / sqrt(sum(weights)), exp(sum(n.count * _mean(o) for n, o in pairs) / count)
    is_bad = count >= LEAST_REQUESTS and ratio - error > tolerated
    is_good = ratio + error < accepted
    return Finding(what, usual * exp(ratio), usual, round(count), "bad" if is_bad else "good" if is_good else "open")


def _mean(moments: Moments) -> float:
    return moments.total / moments.count


def _variance(new: Moments, old: Moments) -> float:
    """Of the difference of both means."""
    both = (_spread(new) + _spread(old)) / (new.count + old.count - 2)
    own = _spread(new) / (new.count - 1) if new.count >= OWN_SPREAD else both
    other = _spread(old) / (old.count - 1) if old.count >= OWN_SPREAD else both
    # Figures that are all the same on a quiet machine have no spread, which nobody believes.
    return max(own / new.count + other / old.count, 1e-6)


def _spread(moments: Moments) -> float:
    """The sum of the squared distances from the mean."""
    return max(0.0, moments.squares - moments.total**2 / moments.count)
