"""A server of ours in a target's place: plays what it was told for each path, byte by byte if wished."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

Play = Callable[["Heard"], Awaitable[None]]


@dataclass
class Heard:
    """One request as it came, and the connection it came on."""

    head: bytes
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def path(self) -> str:
        return self.head.split(b" ")[1].decode()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def client_left(self) -> None:
        """Waits until the other side has ended the connection."""
        while await self.reader.read(1000):
            pass

    def break_off(self) -> None:
        self.writer.transport.abort()


@dataclass
class ScriptedServer:
    """Answers probes with `models` (all resident in `resident`), and other paths with `plays[path]`."""

    models: tuple[str, ...] = ("llama2:latest",)
    resident: tuple[str, ...] = ("llama2:latest",)
    plays: dict[str, Play] = field(default_factory=dict)
    version: str = "0.32.15"
    template: str = "{{ .Prompt }}{{ .Response }}"
    parameters: str = ""
    heard: list[Heard] = field(default_factory=list)
    connections: int = 0
    address: str = ""
    is_frozen: bool = False

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> ScriptedServer:
        self._writers: set[asyncio.StreamWriter] = set()
        self._server = await asyncio.start_server(self._serve, host, port, limit=2**24)
        port = self._server.sockets[0].getsockname()[1]
        self.address = f"{host}:{port}"
        return self

    async def stop(self) -> None:
        """As if killed: every connection breaks, nobody listens."""
        self._server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next((int(n) for n in _header(head, b"content-length")), 0)
                heard = Heard(head, await reader.readexactly(length), reader, writer)
                await self._play(heard)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _play(self, heard: Heard) -> None:
        while self.is_frozen:
            await asyncio.sleep(0.01)
        probes = {
            "/api/tags": {"models": [_model(name) for name in self.models]},
            "/api/ps": {"models": [_model(name) for name in self.resident]},
            "/api/version": {"version": self.version},
            "/api/show": {"template": self.template, "parameters": self.parameters},
        }
        if heard.path in probes and heard.path not in self.plays:
            await heard.send(json_response(probes[heard.path]))
            return
        if heard.path.startswith("/arriero/") and heard.path not in self.plays:
            # As an Ollama without a sidecar.
            await heard.send(response(b"404 page not found", "text/plain", "404 Not Found"))
            return
        self.heard.append(heard)
        await self.plays[heard.path](heard)


def response(body: bytes, kind: str = "application/json; charset=utf-8", status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def json_response(value: object, status: str = "200 OK") -> bytes:
    return response(json.dumps(value).encode(), status=status)


def stream_head(kind: str = "application/x-ndjson") -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()


def chunk(text: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(text), text)


def says(data: bytes) -> Play:
    """The same bytes for every request."""

    async def play(heard: Heard) -> None:
        await heard.send(data)

    return play


def _header(head: bytes, name: bytes) -> list[bytes]:
    lines = [line.partition(b":") for line in head.split(b"\r\n")]
    return [value.strip() for key, _, value in lines if key.lower() == name]


def _model(name: str) -> dict[str, object]:
    return {"name": name, "model": name, "digest": f"digest-of-{name}", "modified_at": "2026-11-23T08:00:50.099146662Z"}
