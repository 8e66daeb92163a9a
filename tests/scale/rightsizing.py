"""Metric series of shapes that services have, by seed: percent for each hour."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

HOURS = 24


def made(shape: str, days: int, level: float, top: float, seed: int) -> list[float]:
    """`steady` between `level` and `top`; `spiky`: at `level`, one hour in thirty at `top`; `leaking`: from `level` up
    to `top` in five days, then a restart; `idle`; `loading`: jumps between them as models come and go.
    """
    source = random.Random(seed)
    draw: Callable[[int], float] = {
        "steady": lambda hour: level + (top - level) * (0.5 + 0.45 * _day(hour)) + source.uniform(-0.5, 0.5),
        "spiky": lambda hour: top - source.random() if hour % 30 == 7 else level + source.random(),
        "leaking": lambda hour: level + (top - level) * (hour % 120) / 119 + source.uniform(-0.5, 0.5),
        "idle": lambda hour: level + source.random() * (top - level),
        "loading": lambda hour: (top if hour // 9 % 3 == 1 else level) + source.uniform(-0.5, 0.5),
    }[shape]
    return [max(0.0, min(100.0, draw(hour))) for hour in range(days * HOURS)]


def _day(hour: int) -> float:
    """From -1 by night to 1 at noon."""
    return 1.0 - abs(hour % 24 - 12) / 6.0


Series = Sequence[float]
