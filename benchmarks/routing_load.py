"""The clients of the routing benchmark: arrivals drawn once, played to each proxy, the first token timed."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

TOKENS = 16
EMPTY_SECONDS = 20


@dataclass(frozen=True)
class Arrival:
    """A request: `at` seconds after the start; its answer has so many tokens at most."""

    at: float
    model: str
    prompt: str
    tokens: int = TOKENS


@dataclass(frozen=True)
class Heard:
    """What came of it; `said` is the whole answer with its head."""

    first_token_ms: float | None
    is_whole: bool
    said: bytes


def arrivals(models: Sequence[str], rate: float, seconds: float, shifts: bool, seed: int) -> list[Arrival]:
    """Poisson arrivals of Zipf-skewed models; with `shifts` the ranks turn round at half time."""
    chance, found, at = random.Random(seed), [], 0.0
    weights = [1 / rank for rank in range(1, len(models) + 1)]
    for number in itertools.count():
        at += chance.expovariate(rate)
        if at >= seconds:
            return found
        ranked = models[::-1] if shifts and at > seconds / 2 else models
        model = chance.choices(ranked, weights)[0]
        found.append(Arrival(at, model, f"question {number} of the road"))
    raise AssertionError


async def play(port: int, requests: Sequence[Arrival], headers: str) -> list[Heard]:
    """Sends each at its time, whatever became of the others."""
    start = asyncio.get_running_loop().time()
    return await asyncio.gather(*(_one(port, request, start, headers) for request in requests))


async def empty_memories(addresses: Sequence[str]) -> None:
    """Unloads whatever the servers hold, and waits until it is gone."""
    await asyncio.gather(*(_empty(address) for address in addresses))


def percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


async def _one(port: int, request: Arrival, start: float, headers: str) -> Heard:
    await asyncio.sleep(max(0.0, start + request.at - asyncio.get_running_loop().time()))
    body = {
        "model": request.model,
        "messages": [{"role": "user", "content": request.prompt}],
        "options": {"num_predict": request.tokens, "temperature": 0},
    }
    sent_at, first_ms, said = time.perf_counter(), None, b""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_request("POST", "/api/chat", json.dumps(body).encode(), headers))
        while piece := await asyncio.wait_for(reader.read(65536), 120):
            said += piece
            if first_ms is None and b'"content":"' in said:
                first_ms = (time.perf_counter() - sent_at) * 1000
        writer.close()
    except (OSError, TimeoutError) as error:
        said += repr(error).encode()
    return Heard(first_ms, said.startswith(b"HTTP/1.1 200") and b'"done":true' in said, said)


async def _empty(address: str) -> None:
    async with asyncio.timeout(EMPTY_SECONDS):
        while resident := (await _ask(address, "GET", "/api/ps"))["models"]:
            for model in resident:
                await _ask(address, "POST", "/api/generate", {"model": model["name"], "keep_alive": 0})
            await asyncio.sleep(0.05)


async def _ask(address: str, method: str, path: str, body: object = None) -> dict[str, list[dict[str, str]]]:
    host, _, port = address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(_request(method, path, b"" if body is None else json.dumps(body).encode(), ""))
    answer = await reader.read()
    writer.close()
    found: dict[str, list[dict[str, str]]] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return found


def _request(method: str, path: str, body: bytes, headers: str) -> bytes:
    return (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
