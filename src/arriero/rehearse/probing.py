"""Whether a server behind an emulated ingress is in use: asked again and again, counted as the clouds do."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from arriero.rehearse.latency import Latency
from arriero.rehearse.low_ports import opened

State = Literal["initial", "healthy", "unhealthy"]
_LEAST_SECONDS = 0.2
PACE = 10.0  # checks pass ten times as fast as written, at the clouds' own pace when latencies are played


def pace_of(latency: Latency) -> float:
    """How many times faster than written health checks pass."""
    return PACE if latency.scale == 0 else max(1.0, min(PACE, 1 / latency.scale))


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


class Judge(Protocol):
    """What counts answers."""

    @property
    def state(self) -> State: ...

    def take(self, *, is_good: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class Ask:
    """How a server is asked: with which headers besides, and in https where `tls` says each time how; it is expected to
    be called `name` then. `source` is the address from which it is asked, if any.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    tls: Callable[[], ssl.SSLContext] | None = None
    name: str = ""
    source: str = ""


_PLAIN = Ask()


class Count:
    """One server's state. The first good answer is enough, as it is for a new target at AWS."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._state: State = "initial"
        self._good = self._bad = 0

    @property
    def state(self) -> State:
        return self._state

    def take(self, *, is_good: bool) -> None:
        self._good, self._bad = (self._good + 1, 0) if is_good else (0, self._bad + 1)
        if self._good >= (1 if self._state == "initial" else self._check.healthy):
            self._state = "healthy"
        elif self._bad >= self._check.unhealthy:
            self._state = "unhealthy"


async def probe(host: str, port: int, check: Check, count: Judge, ask: Ask = _PLAIN) -> None:
    """Asks for ever; to be cancelled. While a server begins it is asked sooner than the interval says."""
    while True:
        count.take(is_good=await _is_good(host, port, check, ask))
        pause = max(_LEAST_SECONDS, check.interval / check.pace)
        await asyncio.sleep(_LEAST_SECONDS if count.state == "initial" else pause)


async def _is_good(host: str, port: int, check: Check, ask: Ask) -> bool:
    with contextlib.suppress(OSError, ValueError, IndexError):
        async with asyncio.timeout(check.timeout):  # unlike `wait_for` it never takes a cancellation for its own
            return await _status(host, port, check.path, ask) in check.codes
    return False


async def _status(host: str, port: int, path: str, ask: Ask) -> int:
    reader, writer = await opened(host, port, ask.tls() if ask.tls else None, ask.name, ask.source)
    try:
        said = {"Host": f"{host}:{port}", "User-Agent": "health-check", **ask.headers, "Connection": "close"}
        lines = (f"{name}: {value}" for name, value in said.items())
        writer.write("\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode())
        return int((await reader.readline()).split()[1])
    finally:
        writer.transport.abort()
