"""What a gateway counts, as it tells it: samples by name and labels, and what can be said of two moments. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Labels = tuple[tuple[str, str], ...]

_SAMPLE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Samples:
    """What was told at `at` (seconds of any clock): values by labels, by name."""

    at: float
    by_name: Mapping[str, Mapping[Labels, float]]

    def of(self, name: str, **labels: str) -> Iterator[tuple[Mapping[str, str], float]]:
        """The samples of this name that have these labels."""
        for key, value in self.by_name.get(name, {}).items():
            found = dict(key)
            if all(found.get(label) == wanted for label, wanted in labels.items()):
                yield found, value

    def sum(self, name: str, **labels: str) -> float:
        return sum(value for _, value in self.of(name, **labels))

    def values(self, name: str, label: str) -> tuple[str, ...]:
        """All values of this label, sorted."""
        return tuple(sorted({found[label] for found, _ in self.of(name) if label in found}))


def read(text: str, at: float) -> Samples:
    """Out of Prometheus's text form; what is none of it is left out."""
    by_name: dict[str, dict[Labels, float]] = {}
    for line in text.splitlines():
        match = None if line.startswith("#") else _SAMPLE.fullmatch(line)
        if match is None:
            continue
        name, labels, value = match.groups()
        try:
            by_name.setdefault(name, {})[_labels(labels or "")] = float(value)
        except ValueError:
            continue
    return Samples(at, by_name)


def rate(before: Samples, now: Samples, name: str, **labels: str) -> float:
    """A second; 0 where nothing was counted, or the counter began anew."""
    seconds = now.at - before.at
    risen = now.sum(name, **labels) - before.sum(name, **labels)
    return max(0.0, risen) / seconds if seconds > 0 else 0.0


def quantile(before: Samples, now: Samples, family: str, part: float, **labels: str) -> float | None:
    """Of what a histogram counted between two moments, as Prometheus reckons it; None where it counted nothing."""
    name = f"{family}_bucket"
    bounds = sorted({float(found["le"]): found["le"] for found, _ in now.of(name, **labels)}.items())
    rows = [(bound, now.sum(name, le=le, **labels) - before.sum(name, le=le, **labels)) for bound, le in bounds]
    if not rows or rows[-1][1] <= 0:
        return None
    wanted, low, below = part * rows[-1][1], 0.0, 0.0
    for bound, count in rows:
        if count >= wanted:
            if bound == float("inf"):
                return low
            return low + (bound - low) * (wanted - below) / (count - below) if count > below else bound
        low, below = bound, count
    return low


def _labels(text: str) -> Labels:
    return tuple((name, _ESCAPED.sub(_plain, value)) for name, value in _LABEL.findall(text))


def _plain(match: re.Match[str]) -> str:
    return "\n" if match.group(1) == "n" else match.group(1)
