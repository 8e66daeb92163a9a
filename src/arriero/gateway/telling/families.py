"""Every figure that `/metrics` tells: its name, kind, meaning and labels. Names that were proposed for Ollama itself
are kept (ollama/ollama#3144 and its pull requests): `ollama_requests_queued`, `ollama_queue_capacity`,
`ollama_models_loaded`, `ollama_load_duration_seconds`, `ollama_eval_total`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0)
TOKEN_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0)
TOKEN_RATES = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 500.0, 1000.0)


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """`bounds` are a histogram's. `is_own`: every worker sees the same thing, so one's view is told, not the sum.

    Each is one of a kind: a dictionary finds it by itself, not by its fields.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    text: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    is_own: bool = False

    @property
    def width(self) -> int:
        """Words in a row: a histogram's buckets, the one above them, and the sum."""
        return len(self.bounds) + 2 if self.bounds else 1

    def row_name(self, *values: str) -> str:
        """`name{labels}`, as Prometheus writes it; label values may hold anything."""
        pairs = zip(self.labels, values, strict=True)
        return self.name + "{" + ",".join(f'{label}="{_escaped(value)}"' for label, value in pairs) + "}"


def _escaped(text: str) -> str:
    clean = text.encode("utf-8", "replace").decode().replace("\0", "")
    return clean.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


REQUESTS = Family(
    "arriero_requests_total", "counter", "Requests over, by path, status and outcome.", ("path", "status", "outcome")
)
ERRORS = Family("arriero_errors_total", "counter", "Requests that got no whole answer, by kind.", ("kind",))
FIRST_BYTE = Family(
    "arriero_first_byte_seconds", "histogram", "From a request to its answer's first byte.", ("path",), SECONDS
)
SECONDS_IN_ALL = Family(
    "arriero_request_seconds", "histogram", "From a request to its answer's last byte.", ("path",), SECONDS
)
ATTEMPTS = Family("arriero_attempts_total", "counter", "Requests sent to targets, by what came of it.", ("result",))
RETRIES = Family("arriero_retries_total", "counter", "Attempts after a request's first one.")
MIGRATIONS = Family("arriero_migrations_total", "counter", "Cut answers that another target carried on.")

MODEL_REQUESTS = Family("arriero_model_requests_total", "counter", "Requests over, by model.", ("model", "outcome"))
FIRST_TOKEN = Family(
    "arriero_time_to_first_token_seconds", "histogram", "From a request to its first token.", ("model",), SECONDS
)
SITE_FIRST_TOKEN = Family(
    "arriero_site_time_to_first_token_seconds", "histogram", "The same, by site.", ("site",), SECONDS
)
BETWEEN_TOKENS = Family(
    "arriero_time_between_tokens_seconds",
    "histogram",
    "Mean time between the tokens of a streamed answer.",
    ("model",),
    TOKEN_SECONDS,
)
TOKEN_RATE = Family(
    "arriero_tokens_per_second", "histogram", "Tokens a second of one streamed answer.", ("model",), TOKEN_RATES
)
TOKENS_IN = Family("ollama_prompt_eval_total", "counter", "Tokens read, by model.", ("model",))
TOKENS_OUT = Family("ollama_eval_total", "counter", "Tokens generated, by model.", ("model",))
LOAD_SECONDS = Family(
    "ollama_load_duration_seconds", "histogram", "Time spent loading the model for a request.", ("model",), SECONDS
)
FOUND = Family(
    "arriero_model_found_total",
    "counter",
    "Requests sent to targets, by how the model was there: warm, loading or cold.",
    ("model", "found"),
)
QUEUE_SECONDS = Family("arriero_queue_seconds", "histogram", "Wait for a target's free slot.", ("model",), SECONDS)

KEY_REQUESTS = Family("arriero_key_requests_total", "counter", "Requests over, by name of the API key.", ("key",))
KEY_TOKENS = Family("arriero_key_tokens_total", "counter", "Tokens read and generated, by key.", ("key", "direction"))
KEY_LIMIT_USED = Family(
    "arriero_key_limit_used_ratio",
    "gauge",
    "Used part of a key's limit, 1 when it is reached, as this gateway counts.",
    ("key", "limit"),
    is_own=True,
)

QUEUED = Family("ollama_requests_queued", "gauge", "Requests that wait for a target now, by model.", ("model",))
QUEUE_CAPACITY = Family("ollama_queue_capacity", "gauge", "Requests that may wait for one model.")
WARMING = Family("arriero_warming_requests", "gauge", "Waiting requests that are told that their model loads.")
OPEN = Family("arriero_requests_open", "gauge", "Requests at a target now.")
IN_FLIGHT = Family("arriero_requests_in_flight", "gauge", "Requests at the targets of a site now.", ("site",))
CONNECTIONS = Family("arriero_connections", "gauge", "Clients connected now.")
TASKS = Family("arriero_tasks", "gauge", "Tasks of the event loops now; without requests always the same few.")
TARGETS = Family("arriero_targets", "gauge", "Targets by site and state.", ("site", "state"), is_own=True)
MODELS_LOADED = Family(
    "ollama_models_loaded", "gauge", "Targets that hold the model in memory.", ("model",), is_own=True
)
LOADED_BYTES = Family(
    "arriero_models_loaded_bytes", "gauge", "Memory that loaded models take, by site.", ("site",), is_own=True
)
RELEASE = Family("arriero_release", "gauge", "Newest release among a site's targets.", ("site",), is_own=True)
COST = Family(
    "arriero_cost_dollars_per_hour",
    "gauge",
    "What a site's targets cost an hour, as the list of targets says.",
    ("site",),
    is_own=True,
)
LINES_DROPPED = Family(
    "arriero_log_lines_dropped_total", "counter", "Access lines lost to a full disk or a stuck reader."
)
# As the controller says: each process is told the same.
SHIPPED = Family("arriero_logs_shipped_total", "counter", "Log lines that the receiver of logs.ship took.", is_own=True)
SHIP_LOST = Family(
    "arriero_logs_lost_total",
    "counter",
    "Log lines that it never got, as too many waited or it refused their batch.",
    ("why",),
    is_own=True,
)
SHIP_FAILURES = Family(
    "arriero_logs_failures_total", "counter", "Tries to send log lines that are made again.", is_own=True
)
SHIP_WAITING = Family("arriero_logs_waiting", "gauge", "Log lines that wait to be sent.", is_own=True)
WORKERS = Family("arriero_workers", "gauge", "Processes that serve.")
WORKER_DEATHS = Family("arriero_worker_deaths_total", "counter", "Workers that ended unasked and were started anew.")
REQUESTS_LOST = Family(
    "arriero_worker_requests_lost_total", "counter", "Requests that were open in a worker when it died."
)

ALL = (
    REQUESTS, ERRORS, FIRST_BYTE, SECONDS_IN_ALL, ATTEMPTS, RETRIES, MIGRATIONS, MODEL_REQUESTS, FIRST_TOKEN,
    SITE_FIRST_TOKEN, BETWEEN_TOKENS, TOKEN_RATE, TOKENS_IN, TOKENS_OUT, LOAD_SECONDS, FOUND, QUEUE_SECONDS,
    KEY_REQUESTS, KEY_TOKENS, KEY_LIMIT_USED, QUEUED, QUEUE_CAPACITY, WARMING, OPEN, IN_FLIGHT, CONNECTIONS, TASKS,
    TARGETS, MODELS_LOADED, LOADED_BYTES, RELEASE, COST, LINES_DROPPED, SHIPPED,
    SHIP_LOST, SHIP_FAILURES, SHIP_WAITING, WORKERS, WORKER_DEATHS, REQUESTS_LOST,
)  # fmt: skip
