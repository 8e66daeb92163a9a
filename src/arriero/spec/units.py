"""Amounts with units, as people write them: `16GiB`, `4 vCPU`, `90s`, `22:00 Europe/Berlin`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import time
from decimal import Decimal
from typing import Any, ClassVar, Self
from zoneinfo import ZoneInfo

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

_BYTES = {
    "B": 1,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
}
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_AMOUNT = r"(\d{1,15}(?:\.\d{1,9})?)"


class _Quantity:
    """The pydantic side of a unit: parsed from text, written back as text."""

    pattern: ClassVar[str]
    example: ClassVar[str]

    @classmethod
    def parse(cls, text: object) -> Self:
        """Reads what a user wrote; raises ValueError with the remedy."""
        raise NotImplementedError

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.to_string_ser_schema(when_used="always")
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": cls.pattern, "examples": [cls.example]}


class Bytes(_Quantity, int):
    """An amount of memory or storage, in bytes."""

    pattern = r"^\d{1,15}(\.\d{1,9})? ?([KMGT]i?)?B$"
    example = "16GiB"

    @classmethod
    def gib(cls, amount: float) -> Self:
        return cls(round(amount * 2**30))

    @classmethod
    def parse(cls, text: object) -> Self:
        if isinstance(text, cls):
            return text
        match = re.fullmatch(_AMOUNT + r" ?((?:[KMGT]i?)?B)", text) if isinstance(text, str) else None
        if not match:
            raise ValueError(f"is {_shown(text)}, not an amount with its unit; write it like 16GiB")
        return cls(round(Decimal(match[1]) * _BYTES[match[2]]))

    @property
    def in_gib(self) -> float:
        return self / 2**30

    def __str__(self) -> str:
        unit = next((u for u in ("TiB", "GiB", "MiB", "KiB") if self and self % _BYTES[u] == 0), "B")
        return f"{int(self) // _BYTES[unit]}{unit}"


class VCpu(_Quantity, float):
    """Virtual processors."""

    pattern = r"^\d{1,15}(\.\d{1,9})? ?vCPU$"
    example = "4 vCPU"

    @classmethod
    def parse(cls, text: object) -> Self:
        if isinstance(text, cls):
            return text
        match = re.fullmatch(_AMOUNT + " ?vCPU", text) if isinstance(text, str) else None
        if not match:
            raise ValueError(f"is {_shown(text)}, not a number of processors with its unit; write it like 4 vCPU")
        return cls(match[1])

    def __str__(self) -> str:
        return f"{float(self)!r} vCPU".replace(".0 ", " ")


class Duration(_Quantity, float):
    """A length of time, in seconds."""

    pattern = r"^\d{1,15}(\.\d{1,9})? ?(ms|s|m|h|d)$"
    example = "90s"

    @classmethod
    def parse(cls, text: object) -> Self:
        if isinstance(text, cls):
            return text
        match = re.fullmatch(_AMOUNT + " ?(ms|s|m|h|d)", text) if isinstance(text, str) else None
        if not match:
            raise ValueError(f"is {_shown(text)}, not a length of time with its unit; write it like 90s or 15m")
        return cls(round(float(match[1]) * _SECONDS[match[2]], 3))

    def __str__(self) -> str:
        unit = next((u for u in ("d", "h", "m", "s") if self and self % _SECONDS[u] == 0), "ms")
        return f"{round(float(self) / _SECONDS[unit])}{unit}"


class Percent(_Quantity, float):
    """A share, as a fraction of one: `30%` is 0.3."""

    pattern = r"^\d{1,4}(\.\d{1,4})? ?%$"
    example = "30%"

    @classmethod
    def parse(cls, text: object) -> Self:
        if isinstance(text, cls):
            return text
        match = re.fullmatch(r"([0-9]{1,4}(?:\.[0-9]{1,4})?) ?%", text) if isinstance(text, str) else None
        if not match:
            raise ValueError(f"is {_shown(text)}, not a share; write it like 30%")
        return cls(float(match[1]) / 100)

    def __str__(self) -> str:
        return f"{float(self) * 100:g}%"


class Dollars(_Quantity, float):
    """An amount of US dollars, to the cent."""

    pattern = r"^\d{1,12}(\.\d{1,2})? ?USD$"
    example = "500 USD"

    @classmethod
    def parse(cls, text: object) -> Self:
        if isinstance(text, cls):
            return text
        match = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,2})?) ?USD", text) if isinstance(text, str) else None
        if not match:
            raise ValueError(f"is {_shown(text)}, not an amount of US dollars; write it like 500 USD")
        return cls(match[1])

    def __str__(self) -> str:
        return f"{float(self):.2f} USD".replace(".00 ", " ")


@dataclass(frozen=True, slots=True)
class TimeOfDay(_Quantity):
    """A moment of every day on the clock of a place: `22:00 Europe/Berlin`."""

    pattern: ClassVar[str] = r"^([01]\d|2[0-3]):[0-5]\d \S+$"
    example: ClassVar[str] = "22:00 Europe/Berlin"
    hour: int
    minute: int
    zone: str

    @classmethod
    def parse(cls, text: object) -> Self:
        if isinstance(text, cls):
            return text
        match = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d) (\S+)", text) if isinstance(text, str) else None
        if not match:
            raise ValueError(f"is {_shown(text)}, not a time of day with its zone; write it like 22:00 Europe/Berlin")
        if not _is_zone(match[3]):
            raise ValueError(f"names no time zone, {match[3]}; write one like Europe/Berlin or UTC")
        return cls(int(match[1]), int(match[2]), match[3])

    @property
    def time(self) -> time:
        return time(self.hour, self.minute, tzinfo=ZoneInfo(self.zone))

    def __str__(self) -> str:
        return f"{self.hour:02}:{self.minute:02} {self.zone}"


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _shown(value: object) -> str:
    """What was written, short enough for a message."""
    text = value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return repr(text if len(text) <= 40 else text[:37] + "...") if isinstance(value, str) else text[:40]
