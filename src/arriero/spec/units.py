"""Numbers with units, as people write them: `16GiB`, `4 vCPU`, `90s`, `22:00 Europe/Berlin`."""

from __future__ import annotations

import re
from typing import Any, Self

from pydantic import GetCoreSchemaHandler
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


class _Quantity:
    """The pydantic side of a unit: parsed from text, written back as text."""

    pattern: str
    example: str

    @classmethod
    def parse(cls, text: object) -> Self:
        raise NotImplementedError

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse,
            serialization=core_schema.to_string_ser_schema(),
            metadata={
                "pydantic_js_functions": [
                    lambda _s, _h: {"type": "string", "pattern": cls.pattern, "examples": [cls.example]}
                ]
            },
        )


class Bytes(_Quantity, int):
    """An amount of memory or storage, in bytes."""

    pattern = r"^\d+(\.\d+)? ?(B|[KMGT]i?B)$"
    example = "16GiB"

    @classmethod
    def gib(cls, amount: float) -> Self:
        return cls(round(amount * 2**30))

    @classmethod
    def parse(cls, text: object) -> Self:
        if isinstance(text, cls):
            return text
        match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]?i?B)", text) if isinstance(text, str) else None
        if not match or match[2] not in _BYTES:
            raise ValueError("write an amount with its unit, like 16GiB")
        return cls(round(float(match[1]) * _BYTES[match[2]]))

    @property
    def in_gib(self) -> float:
        return self / 2**30

    def __str__(self) -> str:
        unit = next((u for u in ("TiB", "GiB", "MiB", "KiB") if self and self % _BYTES[u] == 0), "B")
        return f"{int(self) // _BYTES[unit]}{unit}"


class VCpu(_Quantity, float):
    """Virtual processors."""

    pattern = r"^\d+(\.\d+)? ?vCPU$"
    example = "4 vCPU"

    @classmethod
    def parse(cls, text: object) -> Self:
        if isinstance(text, cls):
            return text
        match = re.fullmatch(r"(\d+(?:\.\d+)?) ?vCPU", text) if isinstance(text, str) else None
        if not match:
            raise ValueError("write a number of processors with its unit, like 4 vCPU")
        return cls(match[1])

    def __str__(self) -> str:
        return f"{float(self):g} vCPU"


class Duration(_Quantity, float):
    """A length of time, in seconds."""

    pattern = r"^\d+(\.\d+)?(ms|s|m|h|d)$"
    example = "90s"

    @classmethod
    def parse(cls, text: object) -> Self:
        if isinstance(text, cls):
            return text
        match = re.fullmatch(r"(\d+(?:\.\d+)?) ?(ms|s|m|h|d)", text) if isinstance(text, str) else None
        if not match:
            raise ValueError("write a length of time with its unit, like 90s or 15m")
        return cls(float(match[1]) * _SECONDS[match[2]])

    def __str__(self) -> str:
        unit = next((u for u in ("d", "h", "m", "s") if self and self % _SECONDS[u] == 0), "ms")
        return f"{float(self) / _SECONDS[unit]:g}{unit}"
