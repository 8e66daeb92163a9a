"""Whether a release is slower than the last stable one; pure."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from arriero.observe.validation.findings import Speed
from arriero.spec.validation import Tolerance

# Below this a later first token is the network's or the scheduler's doing, and nobody notices it.
NOTICED_SECONDS = 0.2


def typical(measured: Iterable[Speed]) -> Speed | None:
    """The median of several answers; None of none."""
    speeds = list(measured)
    if not speeds:
        return None
    rates = [speed.tokens_per_second for speed in speeds if speed.tokens_per_second]
    return Speed(median(speed.first_token_seconds for speed in speeds), median(rates) if rates else 0.0)


def compare(now: Speed, then: Speed, tolerance: Tolerance) -> tuple[bool, str]:
    """Whether `now` is fast enough, and the figures in words."""
    later = now.first_token_seconds - then.first_token_seconds
    is_late = later > max(NOTICED_SECONDS, then.first_token_seconds * tolerance.first_token)
    least = then.tokens_per_second * (1 - tolerance.tokens_per_second)
    is_slow = bool(now.tokens_per_second and then.tokens_per_second) and now.tokens_per_second < least
    said = [
        f"first token {now.first_token_seconds * 1000:.0f} ms, was {then.first_token_seconds * 1000:.0f} ms"
        + (f" (at most {tolerance.first_token} later)" if is_late else ""),
        f"{now.tokens_per_second:.1f} tokens/s, was {then.tokens_per_second:.1f}"
        + (f" (at most {tolerance.tokens_per_second} fewer)" if is_slow else ""),
    ]
    return not (is_late or is_slow), "; ".join(said)
