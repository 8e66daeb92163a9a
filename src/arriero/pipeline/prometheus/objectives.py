"""What the service promises, and the ratios that tell how well it keeps that, over the windows that alerts look at."""

from __future__ import annotations

from collections.abc import Mapping

# Of a hundred requests that were ours to answer, 99.5 are; of a hundred answers, 95 begin within FIRST_TOKEN_SECONDS,
# which has to be a bucket of the histogram. Both are counted over a month.
ERROR_BUDGET = 0.005
SLOW_BUDGET = 0.05
FIRST_TOKEN_SECONDS = 5.0
WINDOWS = ("5m", "30m", "1h", "6h")


def records() -> Mapping[str, str]:
    """Expressions by the name that they are kept under. Clients that went, or asked for nonsense, count for none."""
    found = {}
    for window in WINDOWS:
        bad = f'sum(rate(arriero_requests_total{{outcome=~"failed|cut"}}[{window}]))'
        ours = f'sum(rate(arriero_requests_total{{outcome=~"answered|failed|cut"}}[{window}]))'
        found[f"arriero:errors:ratio_rate{window}"] = f"{bad} / {ours}"
    name = "arriero_time_to_first_token_seconds_bucket"
    for window in WINDOWS:
        quick = f'sum(rate({name}{{le="{FIRST_TOKEN_SECONDS}"}}[{window}]))'
        every = f'sum(rate({name}{{le="+Inf"}}[{window}]))'
        found[f"arriero:slow_first_tokens:ratio_rate{window}"] = f"1 - {quick} / {every}"
    return found
