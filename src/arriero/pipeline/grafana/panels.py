"""What stands on the board: rows of panels, each with the questions that it puts to Prometheus. Pure data.

A few names are told by gateways and by sidecars alike, where Ollama's own are meant (`ollama_eval_total`). Sidecars'
series carry the label `target`, from service discovery; `target=""` takes the gateways' alone, so that nothing is
counted twice. `service=~"$service"` holds with `.*` for series without that label, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Unit = Literal["short", "reqps", "s", "percentunit", "bytes", "currencyUSD", "tokens"]

RATE = "[$__rate_interval]"
_S = 'service=~"$service"'
_SITE = f'{_S},site=~"$site"'
_MODEL = f'{_S},model=~"$model"'
_KEY = _S


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression with Grafana's variables; `legend` may hold `{{label}}`s, which the answer has."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """`width` is in the 24 columns of the board; a panel with `is_number` shows the latest value, large."""

    title: str
    text: str
    unit: Unit
    queries: tuple[Query, ...]
    width: int = 8
    is_number: bool = False
    is_stacked: bool = False
    limit: float | None = None
    """Values from here on are drawn as trouble."""


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    label: str
    query: str


def _quantile(part: float, family: str, selector: str, by: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({part}, sum by ({labels}) (rate({family}_bucket{{{selector}}}{RATE})))"


def _quantiles(family: str, selector: str, by: str) -> tuple[Query, ...]:
    return tuple(
        Query(_quantile(part, family, selector, by), f"p{part * 100:g} {{{{{by}}}}}") for part in (0.5, 0.95, 0.99)
    )


def _rate(family: str, selector: str, by: str = "") -> str:
    summed = f"sum by ({by}) " if by else "sum"
    return f"{summed}(rate({family}{{{selector}}}{RATE}))"


_OURS = f'{_S},outcome=~"answered|failed|cut"'
_BAD = f'{_S},outcome=~"failed|cut"'
_FIRST, _FIRST_BY_SITE = "arriero_time_to_first_token_seconds", "arriero_site_time_to_first_token_seconds"
# Each of several gateways tells the same of the targets: that is no sum.
_COSTS = "max by (service, site) (arriero_cost_dollars_per_hour{{{}}})"
_OUT = f'{_MODEL},target=""'

VARIABLES = (
    Variable("service", "Service", "label_values(arriero_targets, service)"),
    Variable("site", "Site", 'label_values(arriero_targets{service=~"$service"}, site)'),
    Variable("model", "Model", 'label_values(arriero_model_requests_total{service=~"$service"}, model)'),
)

# A release is told as a number; where it is another one than a minute ago, it becomes a mark on every panel.
_RELEASES = f'count_values by (service, site) ("release", arriero_release{{{_SITE}}} > 0)'
RELEASES = f"{_RELEASES} unless {_RELEASES.replace('} > 0', '} offset 1m > 0')}"

GLANCE = (
    Panel("Requests", "Requests over, a second; what clients broke off or asked wrongly is left out.", "reqps",
          (Query(_rate("arriero_requests_total", _OURS)),), 4, is_number=True),
    Panel("Failed", "The part of them that failed or was cut in mid-stream.", "percentunit",
          (Query(f'({_rate("arriero_requests_total", _BAD)} or vector(0))'
                 f' / {_rate("arriero_requests_total", _OURS)}'),), 4, is_number=True, limit=0.005),
    Panel("First token, p95", "From a request to the first token of a streamed answer.", "s",
          (Query(_quantile(0.95, _FIRST, _MODEL)),), 4, is_number=True, limit=5.0),
    Panel("Tokens a second", "Tokens generated.", "tokens",
          (Query(_rate("ollama_eval_total", _OUT)),), 4, is_number=True),
    Panel("Targets up", "Targets that get requests now.", "short",
          (Query(f'sum(max by (service, site, state) (arriero_targets{{{_SITE},state=~"up|suspect"}}))'),), 4,
          is_number=True),
    Panel("Cost an hour", "The targets in use, at list prices.", "currencyUSD",
          (Query(f"sum({_COSTS.format(_SITE)})"),), 4, is_number=True),
)  # fmt: skip

FIRST_TOKEN = (
    Panel("First token by model", "Half, 95 and 99 of a hundred answers began within this time.", "s",
          _quantiles(_FIRST, _MODEL, "model"), 12),
    Panel("First token by site", "The same, by the site that answered.", "s",
          _quantiles(_FIRST_BY_SITE, _SITE, "site"), 12),
    Panel("Wait for a place, p95", "How long requests stood in line before a target took them.", "s",
          (Query(_quantile(0.95, "arriero_queue_seconds", _MODEL, "model"), "{{model}}"),), 12),
    Panel("Time between tokens, p95", "Within a streamed answer.", "s",
          (Query(_quantile(0.95, "arriero_time_between_tokens_seconds", _MODEL, "model"), "{{model}}"),), 12),
)  # fmt: skip

LOAD = (
    Panel("Running", "Requests at the targets of each site.", "short",
          (Query(f"sum by (site) (arriero_requests_in_flight{{{_SITE}}})", "{{site}}"),), is_stacked=True),
    Panel("Waiting", "Requests in line before each model, and how many may be.", "short",
          (Query(f"sum by (model) (ollama_requests_queued{{{_MODEL}}})", "{{model}}"),
           Query(f"max(ollama_queue_capacity{{{_S}}})", "room for one model"))),
    Panel("Tokens a second by model", "Generated, and read of questions.", "tokens",
          (Query(_rate("ollama_eval_total", _OUT, "model"), "{{model}} out"),
           Query(_rate("ollama_prompt_eval_total", _OUT, "model"), "{{model}} in"))),
    Panel("Slots in use", "Of each target, as its sidecar counts them: 1 is full.", "percentunit",
          (Query(f"sum by (site, target) (arriero_sidecar_in_flight{{{_SITE}}})"
                 f" / sum by (site, target) (arriero_sidecar_slots{{{_SITE}}})", "{{target}}"),)),
    Panel("Requests by outcome", "", "reqps",
          (Query(_rate("arriero_requests_total", _S, "outcome"), "{{outcome}}"),), is_stacked=True),
    Panel("Clients", "Connections of clients that are open.", "short",
          (Query(f"sum(arriero_connections{{{_S}}})", "connections"),)),
)  # fmt: skip

MODELS = (
    Panel("How requests found their model", "Warm: in memory. Cold: it had to be loaded. Loading: it was on its way.",
          "reqps", (Query(_rate("arriero_model_found_total", _MODEL, "found"), "{{found}}"),), is_stacked=True),
    Panel("Time of a load, p95", "From the first request for a model to its being in memory, in the last hour.", "s",
          (Query(f'histogram_quantile(0.95, sum by (le, site) (increase(ollama_load_duration_seconds_bucket'
                 f'{{{_SITE},target!=""}}[1h])))', "{{site}}"),)),
    Panel("Loads", "Models brought into memory in five minutes, and pushed out of it for others, by target.", "short",
          (Query(f'sum by (site, target) (increase(ollama_load_duration_seconds_count{{{_SITE},target!=""}}[5m]))',
                 "{{target}} loaded"),
           Query(f"sum by (site, target) (increase(arriero_sidecar_evictions_total{{{_SITE}}}[5m]))",
                 "{{target}} pushed out"))),
    Panel("Models in memory", "How many targets hold each model.", "short",
          (Query(f"max by (model) (ollama_models_loaded{{{_OUT}}})", "{{model}}"),), 12),
    Panel("Memory of models", "By site.", "bytes",
          (Query(f"max by (site) (arriero_models_loaded_bytes{{{_SITE}}})", "{{site}}"),), 12, is_stacked=True),
)  # fmt: skip

SITES = (
    Panel("Targets by state and site", "Down: it does not answer. Draining: it gets nothing new.", "short",
          (Query(f"max by (site, state) (arriero_targets{{{_SITE}}})", "{{site}} {{state}}"),), is_stacked=True),
    Panel("Release", "The newest at each site.", "short",
          (Query(f"max by (site) (arriero_release{{{_SITE}}})", "{{site}}"),)),
    Panel("Ollama answers", "1 while it does, as its sidecar sees it.", "short",
          (Query(f"min by (site, target) (arriero_sidecar_ollama_up{{{_SITE}}})", "{{target}}"),)),
)  # fmt: skip

ERRORS = (
    Panel("Errors by kind", "Requests that got no whole answer.", "reqps",
          (Query(_rate("arriero_errors_total", _S, "kind"), "{{kind}}"),), is_stacked=True),
    Panel("Attempts by result", "What came of sending requests to targets.", "reqps",
          (Query(_rate("arriero_attempts_total", _S, "result"), "{{result}}"),), is_stacked=True),
    Panel("Saved", "Attempts after the first one, and cut answers that another target carried on.", "reqps",
          (Query(f"{_rate('arriero_retries_total', _S)} or vector(0)", "retried"),
           Query(f"{_rate('arriero_migrations_total', _S)} or vector(0)", "carried on"))),
)  # fmt: skip

KEYS = (
    Panel("Key limits in use", "1 is the limit: from there on requests are refused with 429.", "percentunit",
          (Query(f"max by (key, limit) (arriero_key_limit_used_ratio{{{_KEY}}})", "{{key}} {{limit}}"),), limit=0.9),
    Panel("Requests by key", "", "reqps",
          (Query(_rate("arriero_key_requests_total", _KEY, "key"), "{{key}}"),)),
    Panel("Tokens by key", "Read and generated.", "tokens",
          (Query(_rate("arriero_key_tokens_total", _KEY, "key, direction"), "{{key}} {{direction}}"),)),
)  # fmt: skip

COST = (
    Panel("Cost an hour by site", "Targets in use, at list prices; what a site costs without any is left out.",
          "currencyUSD", (Query(f"sum by (site) ({_COSTS.format(_SITE)})", "{{site}}"),), 12,
          is_stacked=True),
    Panel("Cost of a million tokens", "What is generated now, at what the targets cost now.", "currencyUSD",
          (Query(f"sum({_COSTS.format(_S)}) / 3600"
                 f" / (sum(rate(ollama_eval_total{{{_S},target=\"\"}}{RATE})) > 0) * 1e6", "a million tokens"),), 12),
)  # fmt: skip

ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    ("At a glance", GLANCE),
    ("First token", FIRST_TOKEN),
    ("Load", LOAD),
    ("Models", MODELS),
    ("Sites and targets", SITES),
    ("Errors", ERRORS),
    ("API keys", KEYS),
    ("Cost", COST),
)


def expressions() -> tuple[str, ...]:
    """Every question on the board, with Grafana's variables in it."""
    return (*(query.expr for _, panels in ROWS for panel in panels for query in panel.queries), RELEASES)
