"""Bytes as Ollama writes them: JSON in the manner of Go's encoder, times with nanoseconds, durations as text."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from typing import Any

_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_TO_ESCAPE = re.compile("[<>&\u2028\u2029]")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_NEVER = datetime(2318, 1, 1, tzinfo=UTC).timestamp()

FOREVER = float("inf")


def encode(value: Any) -> bytes:
    """Compact JSON with `<`, `>` and `&` escaped, as Go's `encoding/json` does by default."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _TO_ESCAPE.sub(lambda found: _ESCAPED[found[0]], text).encode("utf-8", "replace")


def stamp(seconds: float | None = None) -> str:
    """RFC 3339 in UTC with nanoseconds, trailing zeros dropped; the time now by default."""
    nanoseconds = time.time_ns() if seconds is None else round(min(seconds, _NEVER) * 1e9)
    whole, rest = divmod(nanoseconds, 1_000_000_000)
    fraction = f".{rest:09d}".rstrip("0").rstrip(".")
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}{fraction}Z"


def http_date() -> str:
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())


def parse_keep_alive(value: Any) -> float:
    """Seconds; negative means FOREVER. Raises ValueError with Go's own words."""
    if isinstance(value, str):
        seconds = _parse_duration(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    else:
        raise ValueError(f"Unsupported type: {value!r}")
    return FOREVER if seconds < 0 else seconds


def _parse_duration(text: str) -> float:
    body = text.lstrip("+-")
    parts = _DURATION.findall(body)
    if body != "0" and (not parts or "".join(number + unit for number, unit in parts) != body):
        plain = re.fullmatch(r"\d+(\.\d*)?", body)
        missing = "missing unit in duration" if plain else "invalid duration"
        raise ValueError(f'time: {missing} "{text}"')
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    return -seconds if text.startswith("-") else seconds
