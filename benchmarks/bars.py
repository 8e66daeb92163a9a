"""What a benchmark has to show: each figure beside its bar, a verdict, and the exit code that follows."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Bar:
    """`value` has to be at most (or, with `is_least`, at least) `bar`; with no bar it is only told."""

    what: str
    value: float
    unit: str = ""
    bar: float | None = None
    is_least: bool = False

    @property
    def is_held(self) -> bool:
        if self.bar is None:
            return True
        return self.value >= self.bar if self.is_least else self.value <= self.bar

    def line(self) -> str:
        figure = f"{self.what:<58} {self.value:>9.3f} {self.unit:<4}"
        if self.bar is None:
            return figure.rstrip()
        word = "at least" if self.is_least else "at most"
        return f"{figure} {word} {self.bar:g}: {'held' if self.is_held else 'MISSED'}"


def conclude(bars: list[Bar], report: str = "") -> int:
    """Prints them; writes the JSON file `report` if one is named; 1 if a bar is missed."""
    load = os.getloadavg()[0]
    print(*(bar.line() for bar in bars), f"load of the machine (1 min) {load:.1f}, {os.cpu_count()} cores", sep="\n")
    if report:
        rows = [{**asdict(bar), "is_held": bar.is_held} for bar in bars]
        Path(report).write_text(json.dumps({"schema": 1, "load": round(load, 2), "figures": rows}, indent=2) + "\n")
    return 0 if all(bar.is_held for bar in bars) else 1


def table(columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    """Prints rows under columns; floats with two digits."""
    told = [columns, *(tuple(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row) for row in rows)]
    widths = [max(len(row[place]) for row in told) for place in range(len(columns))]
    for row in told:
        first, *others = (cell.ljust(width) if place == 0 else cell.rjust(width)
                          for place, (cell, width) in enumerate(zip(row, widths, strict=True)))  # fmt: skip
        print("  ".join((first, *others)), flush=True)
