"""The clients of the gateway's benchmark: small requests, streams that are counted, streams that are held open."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator

from proxies import Proxy, cpu_seconds

TOKENS_A_SECOND = 50


async def latencies(proxy: Proxy, count: int, at_once: int) -> list[float]:
    """Milliseconds until the first byte of `count` small requests, `at_once` at a time on connections that are kept."""
    body = json.dumps({"model": "llama2", "prompt": "yes or no?", "stream": False}).encode()
    request = _request(proxy, "/api/generate", body)
    taken: list[float] = []

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        for _ in range(count // at_once):
            started = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            taken.append((time.perf_counter() - started) * 1000)
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"{proxy.name} answered {head!r}")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
        writer.close()

    await asyncio.gather(*(one() for _ in range(at_once)))
    return taken


async def streams(proxy: Proxy, count: int, seconds: int) -> tuple[int, float]:
    """Chunks that came and CPU seconds that went in `seconds` in which `count` streams flow: none begins or ends there.

    Raises RuntimeError unless all of them were whole in the end.
    """
    tokens = (seconds + 2) * TOKENS_A_SECOND
    request = _request(proxy, "/api/chat", b'{"model":"llama2","messages":[],"options":{"num_predict":%d}}' % tokens)
    clients = await _clients(proxy, request, count)
    while not all(client.lines for client in clients):
        await asyncio.sleep(0.05)
    chunks, cpu = sum(client.lines for client in clients), cpu_seconds(proxy.pids)
    await asyncio.sleep(seconds)
    chunks, cpu = sum(client.lines for client in clients) - chunks, cpu_seconds(proxy.pids) - cpu
    await asyncio.gather(*(client.ended for client in clients))
    for client in clients:
        client.transport.close()
    if not all(client.lines == tokens + 1 for client in clients):
        raise RuntimeError(f"{proxy.name} lost chunks: {sorted({client.lines for client in clients})}")
    return chunks, cpu


@contextlib.asynccontextmanager
async def held_streams(proxy: Proxy, count: int, request_bytes: int, chunks: int) -> AsyncIterator[None]:
    """Open streams, each after a request of that size and so many chunks of text; they stay open within the block."""
    text = "Tell me of the mules. " * (request_bytes // 22)
    messages = json.dumps([{"role": "user", "content": text[:request_bytes]}])
    body = b'{"model":"llama2","messages":%b,"options":{"num_predict":-%d}}' % (messages.encode(), chunks)
    clients = await _clients(proxy, _request(proxy, "/api/chat", body), count)
    try:
        async with asyncio.timeout(60):
            while any(client.lines < chunks for client in clients):
                await asyncio.sleep(0.05)
        yield
    finally:
        for client in clients:
            client.ended.cancel()
            client.transport.abort()


async def _clients(proxy: Proxy, request: bytes, count: int) -> list[Counting]:
    loop, clients = asyncio.get_running_loop(), []
    for _ in range(count):
        _, client = await loop.create_connection(lambda: Counting(request), "127.0.0.1", proxy.port)
        clients.append(client)
        await asyncio.sleep(0.002)
    return clients


class Counting(asyncio.Protocol):
    """Counts the tokens of one stream; cheap, since it shares the cores with what is measured."""

    def __init__(self, request: bytes) -> None:
        self.request, self.lines, self.tail = request, 0, b""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        # A read may end within what is counted; a tail that is one byte shorter than that is never counted twice.
        text = self.tail + data
        self.lines += text.count(b'"done":')
        self.tail = text[-6:]
        if text.endswith(b"\r\n0\r\n\r\n") and not self.ended.done():
            self.ended.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(RuntimeError(f"a stream was cut: {error}"))


def _request(proxy: Proxy, path: str, body: bytes) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nUser-Agent: benchmark\r\n"
        f"Accept: */*\r\n{proxy.headers}Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body
