"""The gateway's figures in Prometheus text. Label sets are bounded: known paths, statuses, sites, states."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping

from arriero.control.messages import TargetStatus
from arriero.gateway.record import Record

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0)
CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


class Histogram:
    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(BUCKETS, value)] += 1
        self.sum += value

    def lines(self, name: str, labels: str) -> list[str]:
        total, lines = 0, []
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), self.counts, strict=True):
            total += count
            lines.append(f'{name}_bucket{{{labels},le="{bound}"}} {total}')
        return [*lines, f"{name}_sum{{{labels}}} {self.sum:.6f}", f"{name}_count{{{labels}}} {total}"]


class Metrics:
    def __init__(self) -> None:
        self._requests: Counter[tuple[str, int, str]] = Counter()
        self._attempts: Counter[str] = Counter()
        self._first_byte: dict[str, Histogram] = {}
        self._seconds: dict[str, Histogram] = {}

    def count(self, record: Record) -> None:
        """`record.path` has to be one of the known ones, or `other`."""
        path = record.path
        self._requests[path, record.status, record.outcome] += 1
        if path not in self._seconds:
            self._seconds[path], self._first_byte[path] = Histogram(), Histogram()
        self._seconds[path].observe(record.seconds)
        if record.first_byte_seconds is not None:
            self._first_byte[path].observe(record.first_byte_seconds)

    def count_attempt(self, result: str) -> None:
        """`result`: answered, unreachable, broke, status (5xx or a missing model), late."""
        self._attempts[result] += 1

    def text(self, open_requests: int, targets: Iterable[TargetStatus], dropped_lines: int) -> bytes:
        seen = list(targets)
        states = Counter((target.site, target.state) for target in seen)
        flights = Counter({target.site: 0 for target in seen})
        flights.update({site: sum(t.in_flight for t in seen if t.site == site) for site in list(flights)})
        resident = Counter(model for target in seen for model in target.resident)
        blocks = [
            _block("arriero_requests_total", "counter", "Requests answered, by path, status and outcome.",
                   {_labels(path=p, status=str(s), outcome=o): n for (p, s, o), n in self._requests.items()}),
            _block("arriero_attempts_total", "counter", "Requests sent to targets, by what came of it.",
                   {_labels(result=result): n for result, n in self._attempts.items()}),
            _block("arriero_requests_open", "gauge", "Requests at a target now.", {"": open_requests}),
            _block("arriero_requests_in_flight", "gauge", "Requests at the targets of a site now.",
                   {_labels(site=site): n for site, n in flights.items()}),
            _block("arriero_targets", "gauge", "Targets by site and state.",
                   {_labels(site=site, state=state): n for (site, state), n in states.items()}),
            _block("ollama_models_loaded", "gauge", "Targets that hold the model in memory.",
                   {_labels(model=model): n for model, n in resident.items()}),
            _block("arriero_log_lines_dropped_total", "counter", "Access lines lost to a full disk or a stuck reader.",
                   {"": dropped_lines}),
            _histograms("arriero_first_byte_seconds", "From a request to its answer's first byte.", self._first_byte),
            _histograms("arriero_request_seconds", "From a request to its answer's last byte.", self._seconds),
        ]  # fmt: skip
        return ("\n".join(block for block in blocks if block) + "\n").encode()


def _labels(**labels: str) -> str:
    return ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items())


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _block(name: str, kind: str, help_text: str, samples: Mapping[str, int]) -> str:
    if not samples:
        return ""
    lines = [f"{name}{{{labels}}} {value}" if labels else f"{name} {value}" for labels, value in samples.items()]
    return "\n".join([f"# HELP {name} {help_text}", f"# TYPE {name} {kind}", *lines])


def _histograms(name: str, help_text: str, by_path: Mapping[str, Histogram]) -> str:
    lines = [line for path, histogram in by_path.items() for line in histogram.lines(name, _labels(path=path))]
    return "\n".join([f"# HELP {name} {help_text}", f"# TYPE {name} histogram", *lines]) if lines else ""
