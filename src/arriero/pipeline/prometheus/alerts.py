"""When somebody has to be called, as Prometheus's alert rules over what the gateway tells at `/metrics`. Pure data.

The two objectives burn an error budget; an alert looks at two windows at once, so that it neither fires for a moment's
trouble nor stays on after its end (multi-window, multi-burn-rate alerts: Google's SRE workbook, chapter 5, which has
14.4 times the budget over an hour, and 6 times over six). Each alert has series that make it fire and others that must
not, in promtool's own notation, and a page that says what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from arriero.cost.estimate import HOURS_A_MONTH
from arriero.pipeline.prometheus.objectives import ERROR_BUDGET, SLOW_BUDGET
from arriero.spec.model import Spec

JOB, SIDECARS_JOB = "arriero-gateway", "arriero-sidecars"
FAST, SLOW = 14.4, 6.0
_COSTS = "arriero_cost_dollars_per_hour"

# A request a second, and what is wrong with some of them; a value a minute, for ten hours.
_GOOD = 'arriero_requests_total{path="/api/chat",status="200",outcome="answered"}'
_BAD = 'arriero_requests_total{path="/api/chat",status="502",outcome="failed"}'
_QUICK = 'arriero_time_to_first_token_seconds_bucket{model="llama2:latest",le="5.0"}'
_ALL = 'arriero_time_to_first_token_seconds_bucket{model="llama2:latest",le="+Inf"}'
_UP = 'arriero_targets{site="a",state="up"}'
_DOWN = 'arriero_targets{site="a",state="down"}'
_OTHER = 'arriero_targets{site="b",state="up"}'
_BROKE = 'arriero_attempts_total{result="broke"}'
# Not the time of loads: Ollama tells some milliseconds of it with every answer, warm ones too.
_COLD = 'arriero_model_found_total{model="llama2:latest",found="cold"}'
_WARM = 'arriero_model_found_total{model="llama2:latest",found="warm"}'
_EVICTED = 'arriero_sidecar_evictions_total{site="a",target="a-1"}'
# A counter is told from its first count on: then it has risen, and `increase` knows of no value before.
_NEW = "increase({name}[10m]) > 0 or ({name} unless {name} offset 10m) > 0"
_USED = 'arriero_key_limit_used_ratio{key="app",limit="tokens_a_minute"}'
_QUEUED = 'ollama_requests_queued{model="llama2:latest"}'


@dataclass(frozen=True, slots=True)
class Alert:
    """`holds` is for how long `expr` must be true. `fires` and `quiet`: values by series, one a minute, for a test that
    looks after `minutes`. `labels` are those of the alert that fires.
    """

    name: str
    severity: str
    expr: str
    holds: str
    summary: str
    fires: Mapping[str, str]
    quiet: Mapping[str, str]
    minutes: int = 60
    labels: Mapping[str, str] = field(default_factory=dict)


def _burning(record: str, budget: float, factor: float, long: str, short: str) -> str:
    limit = f"{factor * budget:g}"
    return f"{record}:ratio_rate{long} > {limit} and {record}:ratio_rate{short} > {limit}"


ALERTS: tuple[Alert, ...] = (
    Alert(
        "ArrieroErrorBudgetBurnsFast", "page",
        _burning("arriero:errors", ERROR_BUDGET, FAST, "1h", "5m"), "2m",
        "Of the requests of the last hour so many failed that a month's budget is gone in two days.",
        {_GOOD: "0+54x120", _BAD: "0+6x120"}, {_GOOD: "0+60x120", _BAD: "0+0.1x120"}, 90,
    ),
    Alert(
        "ArrieroErrorBudgetBurnsSlowly", "ticket",
        _burning("arriero:errors", ERROR_BUDGET, SLOW, "6h", "30m"), "15m",
        "Of the requests of the last six hours so many failed that a month's budget is gone in five days.",
        {_GOOD: "0+57x600", _BAD: "0+3x600"}, {_GOOD: "0+60x600", _BAD: "0+0.1x600"}, 540,
    ),
    Alert(
        "ArrieroFirstTokenBudgetBurnsFast", "page",
        _burning("arriero:slow_first_tokens", SLOW_BUDGET, FAST, "1h", "5m"), "2m",
        "Most answers of the last hour began late.",
        {_QUICK: "0+6x120", _ALL: "0+60x120"}, {_QUICK: "0+59x120", _ALL: "0+60x120"}, 90,
    ),
    Alert(
        "ArrieroFirstTokenBudgetBurnsSlowly", "ticket",
        _burning("arriero:slow_first_tokens", SLOW_BUDGET, SLOW, "6h", "30m"), "15m",
        "A third of the answers of the last six hours began late.",
        {_QUICK: "0+36x600", _ALL: "0+60x600"}, {_QUICK: "0+59x600", _ALL: "0+60x600"}, 540,
    ),
    Alert(
        "ArrieroGatewayDown", "page", f'up{{job="{JOB}"}} == 0', "2m",
        "The gateway tells no figures: it may answer nobody.",
        {f'up{{job="{JOB}",instance="g"}}': "0x60"}, {f'up{{job="{JOB}",instance="g"}}': "1x60"},
        labels={"job": JOB, "instance": "g"},
    ),
    Alert(
        "ArrieroNoTargetUp", "page",
        'sum(arriero_targets) > 0 unless sum(arriero_targets{state=~"up|suspect"}) > 0', "1m",
        "No target answers: every request is refused.",
        {_UP: "0x60", _DOWN: "2x60"}, {_UP: "1x60", _DOWN: "1x60"},
    ),
    Alert(
        "ArrieroSiteDown", "ticket",
        'sum by (site) (arriero_targets{state=~"new|down"}) > 0 unless on (site)'
        ' sum by (site) (arriero_targets{state=~"up|suspect|draining"}) > 0', "5m",
        "No target of the site {{ $labels.site }} answers; the others carry its load.",
        {_UP: "0x60", _DOWN: "2x60", _OTHER: "2x60"}, {_UP: "1x60", _DOWN: "1x60", _OTHER: "2x60"},
        labels={"site": "a"},
    ),
    Alert(
        "ArrieroTargetsBreak", "ticket",
        'sum(increase(arriero_attempts_total{result=~"broke|unreachable"}[10m])) > 10', "0m",
        "Requests were broken off or found nobody at a target again and again in ten minutes.",
        {_BROKE: "0+2x60"}, {_BROKE: "0+0.5x60"},
    ),
    Alert(
        "ArrieroQueueLong", "ticket",
        "max by (model) (ollama_requests_queued) / on () group_left () max(ollama_queue_capacity) > 0.5", "5m",
        "More than half of the line before {{ $labels.model }} is full: soon requests are refused.",
        {_QUEUED: "60x60", "ollama_queue_capacity": "100x60"}, {_QUEUED: "40x60", "ollama_queue_capacity": "100x60"},
        labels={"model": "llama2:latest"},
    ),
    Alert(
        "ArrieroKeyNearLimit", "ticket", "max by (key, limit) (arriero_key_limit_used_ratio) > 0.9", "10m",
        "The key {{ $labels.key }} is at nine tenths of its limit {{ $labels.limit }} or above.",
        {_USED: "0.95x60"}, {_USED: "0.8x60"}, labels={"key": "app", "limit": "tokens_a_minute"},
    ),
    Alert(
        "ArrieroColdLoads", "ticket",
        'sum(increase(arriero_model_found_total{found=~"cold|loading"}[15m])) > 5'
        ' and sum(increase(arriero_model_found_total{found=~"cold|loading"}[15m]))'
        " > 0.2 * sum(increase(arriero_model_found_total[15m]))", "10m",
        "A fifth of the requests had to wait for a model to be loaded: too little memory for the models in use.",
        {_COLD: "0+4x60", _WARM: "0+10x60"}, {_COLD: "0+1x60", _WARM: "0+60x60"},
    ),
    Alert(
        "ArrieroModelsPushOut", "ticket", "sum by (site) (increase(arriero_sidecar_evictions_total[30m])) > 10", "10m",
        "At the site {{ $labels.site }} models push each other out of memory again and again.",
        {_EVICTED: "0+1x60"}, {_EVICTED: "0+0.2x60"}, labels={"site": "a"},
    ),
    Alert(
        "ArrieroRequestsLost", "page", _NEW.format(name="arriero_worker_requests_lost_total"), "0m",
        "A process of the gateway died with requests open in it.",
        {"arriero_worker_requests_lost_total": "_x55 1x5"}, {"arriero_worker_requests_lost_total": "3x60"},
    ),
    Alert(
        "ArrieroAccessLogDropsLines", "ticket", "increase(arriero_log_lines_dropped_total[15m]) > 0", "0m",
        "The access log has lost lines: its disk is full, or who reads it is stuck.",
        {"arriero_log_lines_dropped_total": "0x50 5x10"}, {"arriero_log_lines_dropped_total": "7x60"},
    ),
    Alert(
        "ArrieroLogsLost", "ticket", "sum by (why) (increase(arriero_logs_lost_total[15m])) > 0", "0m",
        "Log lines that should have been sent away were given up ({{ $labels.why }}).",
        {'arriero_logs_lost_total{why="full"}': "0x50 5x10"}, {'arriero_logs_lost_total{why="full"}': "7x60"},
        labels={"why": "full"},
    ),
)  # fmt: skip


def alerts_of(spec: Spec) -> tuple[Alert, ...]:
    """Those of every service, and one on the budget where the spec has one."""
    budget = spec.budget
    if budget.monthly is None:
        return ALERTS
    costs = f'{_COSTS}{{service="{spec.name}"}}'
    monthly, share = float(budget.monthly), float(budget.warn)
    limit = monthly * share / float(HOURS_A_MONTH)
    series = f'{_COSTS}{{service="{spec.name}",site="a"}}'
    # A day's mean: what grows at noon and shrinks at night is no news.
    alert = Alert(
        "ArrieroCostNearBudget", "ticket",
        f"sum(max by (site) (avg_over_time({costs}[1d]))) * {HOURS_A_MONTH} > {monthly * share:g}", "1h",
        f"At the mean of the last day the targets cost more than {share:.0%} of the budget of ${monthly:g} a month.",
        {series: f"{limit * 1.1:.6f}x120"}, {series: f"{limit * 0.9:.6f}x120"}, 90,
    )  # fmt: skip
    return (*ALERTS, alert)
