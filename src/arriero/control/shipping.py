"""What a controller tells the gateway of the log lines that it sends away, so that `/metrics` has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Shipped:
    """Lines, counted since the controller began: `sent` were taken; `dropped` had waited too long for their place in
    memory; `refused` were not taken by the receiver. `failures` are tries that came to nothing and are made again.
    `waiting` is how many lines wait now.
    """

    sent: int = 0
    dropped: int = 0
    refused: int = 0
    failures: int = 0
    waiting: int = 0

    def as_json(self) -> dict[str, Any]:
        return {"schema": 1, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Shipped:
        """Raises KeyError or ValueError for what is none."""
        numbers = {each.name: data[each.name] for each in fields(cls)}
        if any(isinstance(number, bool) or not isinstance(number, int) or number < 0 for number in numbers.values()):
            raise ValueError("every count is a whole number from 0 on")
        return cls(**numbers)
