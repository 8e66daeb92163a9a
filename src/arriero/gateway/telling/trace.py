"""W3C Trace Context (https://www.w3.org/TR/trace-context/, version 00): whose trace a request belongs to.

A valid `traceparent` goes to the target as it came, unless this gateway records spans: then its own span stands
between. A request without one, or with one that breaks the rules, starts a new trace; `tracestate` goes with a bad one.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

_PARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_NO_ID, _NO_SPAN = "0" * 32, "0" * 16
SAMPLED = 1
# A new trace's id and span, side by side: neither may be zero.
_NOT_ZERO = 1 << 64 | 1


class Trace:
    """`parent` is the caller's span, empty for a new trace; `span` is ours. `is_kept`: the header passes as it came."""

    __slots__ = ("flags", "id", "is_kept", "is_state_kept", "parent", "span")

    def __init__(self, trace_id: str, parent: str, span: str, flags: int, is_kept: bool, is_state_kept: bool) -> None:
        self.id, self.parent, self.span, self.flags = trace_id, parent, span, flags
        self.is_kept, self.is_state_kept = is_kept, is_state_kept

    def header(self) -> bytes:
        return f"traceparent: 00-{self.id}-{self.span}-{self.flags:02x}\r\n".encode()


class Traces:
    """`records`: spans of this gateway's own are recorded. `chance` gives the new ids."""

    def __init__(self, records: bool, chance: random.Random) -> None:
        self.records = records
        self._bits = chance.getrandbits

    def of(self, parents: Sequence[bytes]) -> Trace:
        """Of a request with these `traceparent` headers; more than one are as good as none."""
        found = _read(parents[0]) if len(parents) == 1 else None
        fresh = f"{self._bits(192) | _NOT_ZERO:048x}"
        if found is None:
            return Trace(fresh[:32], "", fresh[32:], SAMPLED * self.records, False, not parents)
        trace_id, parent, flags = found
        return Trace(trace_id, parent, fresh[32:], flags, not self.records, True)


def _read(header: bytes) -> tuple[str, str, int] | None:
    """Trace id, span id and flags; None for what the rules call invalid."""
    match = _PARENT.fullmatch(header.strip())
    if match is None:
        return None
    version, trace_id, span, flags, more = (part.decode("latin-1") if part else "" for part in match.groups())
    if version == "ff" or (version == "00" and more) or trace_id == _NO_ID or span == _NO_SPAN:
        return None
    return trace_id, span, int(flags, 16)
