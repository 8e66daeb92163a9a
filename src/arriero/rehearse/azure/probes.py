"""Liveness and readiness probes: real HTTP to the container, as often as its definition says.

Who runs: the reconciler asks `due` at each tick and gets verdicts back; the requests themselves run in a few threads,
one a probe at most. A probe that executes a command (`ollama list`) asks the container's own server for `/`: there is
no container to run it in.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["liveness", "readiness"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`failed` says why a probe failed; `is_final` that it failed as often as its threshold allows."""

    kind: Kind
    failed: str = ""
    is_final: bool = False


@dataclass
class _Watch:
    next_at: float
    failures: int = 0
    running: Future[str] | None = None


@dataclass
class Probes:
    """The probes of all containers; a watch ends when its process does (its key holds the pid)."""

    _watches: dict[tuple[str, Kind], _Watch] = field(default_factory=dict)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(4, "azure probe"))

    def due(
        self,
        process: str,
        asker: tuple[str, int],
        address: str,
        port: int,
        container: Mapping[str, Any],
        now: float,
        age: float,
    ) -> Iterator[Verdict]:
        """Starts what is due for one running process of `age` seconds; yields what has come back."""
        kinds: tuple[Kind, ...] = ("liveness", "readiness")
        for kind in kinds:
            probe = container.get(f"{kind}Probe") or {}
            get = probe.get("httpGet") or ({"port": port} if probe.get("exec") else None)
            if not get:
                continue
            first = now - age + float(probe.get("initialDelaySeconds") or 0)
            watch = self._watches.setdefault((process, kind), _Watch(first))
            if watch.running is not None and watch.running.done():
                yield self._judge(watch, kind, int(probe.get("failureThreshold") or 3))
            if watch.running is None and now >= watch.next_at:
                watch.next_at = now + float(probe.get("periodSeconds") or 10)
                watch.running = self._pool.submit(_get, asker, address, get, float(probe.get("timeoutSeconds") or 1))

    def forget(self, process: str) -> None:
        for key in [key for key in self._watches if key[0] == process]:
            del self._watches[key]

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _judge(self, watch: _Watch, kind: Kind, threshold: int) -> Verdict:
        failed = watch.running.result() if watch.running else ""
        watch.running = None
        watch.failures = watch.failures + 1 if failed else 0
        return Verdict(kind, failed, bool(failed) and watch.failures >= threshold)


def _get(asker: tuple[str, int], address: str, get: Mapping[str, Any], seconds: float) -> str:
    """Why the probe failed; empty if it passed (200 to 399)."""
    connection = http.client.HTTPConnection(address, int(get["port"]), timeout=seconds, source_address=asker)
    headers = {one["name"]: one["value"] for one in get.get("httpHeaders") or []}
    try:
        connection.request("GET", get.get("path") or "/", headers=headers)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()
    return "" if 200 <= status < 400 else f"HTTP probe failed with statuscode: {status}"
