"""One Ollama's figures as Prometheus reads them. Names proposed for Ollama itself are used where there are any
(https://github.com/ollama/ollama/issues/3144); labels are bounded: known paths, and models that are on disk.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from itertools import accumulate

from arriero.clock import Clock
from arriero.gateway.sidecar.tally import Tally
from arriero.gateway.words import usage
from arriero.gateway.words.paths import label_of
from arriero.gateway.words.told import STATE_PATH

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
LOAD_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0)


class Figures:
    def __init__(self, clock: Clock) -> None:
        self.refused = 0
        self._clock = clock
        self._requests: Counter[tuple[str, int, str]] = Counter()
        self._tokens: Counter[tuple[str, str]] = Counter()
        self._load_counts = [0] * (len(LOAD_BUCKETS) + 1)
        self._load_seconds = 0.0
        self._loading_since: dict[str, float] = {}

    def count(self, path: str, status: int, outcome: str, model: str | None, last: bytes) -> None:
        """A request is over; `last` is what came last of its answer, which tells the tokens of a whole one."""
        label = path if path == STATE_PATH else label_of(path)
        self._requests[label, status, outcome] += 1
        if model and status == 200 and outcome == "answered":
            found = usage.read(last)
            self._tokens["in", model] += found.tokens_in
            self._tokens["out", model] += found.tokens_out

    def saw_loading(self, tally: Tally, now: float) -> None:
        """Measures loads: what is loading has begun, what was is in memory or was given up."""
        loading = tally.loading()
        for model in loading:
            self._loading_since.setdefault(model, now)
        for model in self._loading_since.keys() - loading:
            seconds = now - self._loading_since.pop(model)
            if tally.is_resident(model):
                self._load_counts[bisect_left(LOAD_BUCKETS, seconds)] += 1
                self._load_seconds += seconds

    def text(self, tally: Tally, readers: int) -> bytes:
        by_model = _running(tally)
        sizes = {_labels(model=name): _bytes(one.get("size")) for name, one in tally.resident.items()}
        blocks = (
            _block("arriero_sidecar_ollama_up", "gauge", "1 while Ollama answers.", {"": int(tally.answers)}),
            _block("arriero_sidecar_slots", "gauge", "Requests answered at a time.", {"": tally.slots}),
            _block("arriero_sidecar_in_flight", "gauge", "Requests that hold a slot.", {"": tally.in_flight}),
            _block("arriero_sidecar_model_in_flight", "gauge", "The same, by model.", by_model),
            _block("arriero_sidecar_loading", "gauge", "Models on their way into memory.", {"": len(tally.loading())}),
            _block("arriero_sidecar_draining", "gauge", "1 while it takes nothing new.", {"": int(tally.is_draining)}),
            _block("arriero_sidecar_readers", "gauge", "Edges that follow its state.", {"": readers}),
            _block("arriero_sidecar_refused_total", "counter", "Requests that found no slot.", {"": self.refused}),
            _block("arriero_sidecar_requests_total", "counter", "Requests over, by path, status and outcome.",
                   {_labels(path=p, status=str(s), outcome=o): n for (p, s, o), n in self._requests.items()}),
            _block("arriero_sidecar_evictions_total", "counter", "Models that left memory for another one.",
                   {"": tally.evictions}),
            _block("ollama_models_loaded", "gauge", "Models in memory.", {"": len(tally.resident)}),
            _block("ollama_model_memory_bytes", "gauge", "Memory of the models in it.", sizes),
            _block("ollama_prompt_eval_total", "counter", "Tokens read.", self._tokens_of("in", tally)),
            _block("ollama_eval_total", "counter", "Tokens written.", self._tokens_of("out", tally)),
            self._loads(),
        )  # fmt: skip
        return "".join(blocks).encode()

    def _tokens_of(self, way: str, tally: Tally) -> dict[str, int]:
        found: Counter[str] = Counter()
        for (direction, model), count in self._tokens.items():
            if direction == way:
                found[_labels(model=_known(tally, model))] += count
        return dict(found)

    def _loads(self) -> str:
        name, text = "ollama_load_duration_seconds", "From the first request for a model to its being in memory."
        bounds = (*map(str, LOAD_BUCKETS), "+Inf")
        rows = zip(bounds, accumulate(self._load_counts), strict=True)
        lines = [f'{name}_bucket{{le="{bound}"}} {count}' for bound, count in rows]
        lines += [f"{name}_sum {self._load_seconds:.6f}", f"{name}_count {sum(self._load_counts)}"]
        return "\n".join([f"# HELP {name} {text}", f"# TYPE {name} histogram", *lines]) + "\n"


def _running(tally: Tally) -> dict[str, int]:
    found: Counter[str] = Counter()
    for model, count in tally.running.items():
        found[_labels(model=_known(tally, model))] += count
    return dict(found)


def _known(tally: Tally, model: str) -> str:
    """Clients choose what they name: only what is there becomes a label."""
    return model if model in tally.on_disk else "other"


def _labels(**labels: str) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _block(name: str, kind: str, help_text: str, samples: Mapping[str, int]) -> str:
    if not samples:
        return ""
    lines = [f"{name}{{{labels}}} {value}" if labels else f"{name} {value}" for labels, value in samples.items()]
    return "\n".join([f"# HELP {name} {help_text}", f"# TYPE {name} {kind}", *lines]) + "\n"


def _bytes(size: object) -> int:
    return size if isinstance(size, int) else 0
