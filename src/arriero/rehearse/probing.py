"""Whether a server behind an emulated ingress is in use: asked again and again, counted as the clouds do."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Literal

State = Literal["initial", "healthy", "unhealthy"]
_LEAST_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Check:
    """Seconds are as written; answers in a row until a server's state changes. `pace`: so many times faster."""

    path: str
    interval: float
    timeout: float
    healthy: int
    unhealthy: int
    codes: frozenset[int] = frozenset((200,))
    pace: float = 1.0


class Count:
    """One server's state. The first good answer is enough, as it is for a new target at AWS."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self.state: State = "initial"
        self._good = self._bad = 0

    def take(self, *, is_good: bool) -> None:
        self._good, self._bad = (self._good + 1, 0) if is_good else (0, self._bad + 1)
        if self._good >= (1 if self.state == "initial" else self._check.healthy):
            self.state = "healthy"
        elif self._bad >= self._check.unhealthy:
            self.state = "unhealthy"


async def probe(host: str, port: int, check: Check, count: Count) -> None:
    """Asks for ever; to be cancelled. While a server begins it is asked sooner than the interval says."""
    while True:
        count.take(is_good=await _is_good(host, port, check))
        pause = max(_LEAST_SECONDS, check.interval / check.pace)
        await asyncio.sleep(_LEAST_SECONDS if count.state == "initial" else pause)


async def _is_good(host: str, port: int, check: Check) -> bool:
    with contextlib.suppress(OSError, ValueError, IndexError):
        return await asyncio.wait_for(_status(host, port, check.path), check.timeout) in check.codes
    return False


async def _status(host: str, port: int, path: str) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        asked = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: health-check\r\nConnection: close\r\n\r\n"
        writer.write(asked.encode())
        return int((await reader.readline()).split()[1])
    finally:
        writer.transport.abort()
