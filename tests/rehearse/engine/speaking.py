"""A client that speaks to a simulated server in raw bytes, and the recorded exchanges."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from arriero.rehearse.processes import Server

CAPTURES = Path(__file__).parents[4] / "shared" / "data" / "ollama-captures" / "v0.32.15"
needs_captures = pytest.mark.skipif(not CAPTURES.is_dir(), reason="the recorded exchanges are not here")
QUICK = {"load_seconds": 0.02, "first_token_seconds": 0.001, "tokens_per_second": 2000, "pull_seconds": 0.01}


@dataclass(frozen=True)
class Response:
    """Header names as they were written; `chunks` is None where the body had a length."""

    status_line: str
    headers: list[tuple[str, str]]
    body: bytes
    chunks: list[bytes] | None

    @property
    def status(self) -> int:
        return int(self.status_line.split()[1])

    def json(self) -> dict:  # type: ignore[type-arg]
        return json.loads(self.body)  # type: ignore[no-any-return]

    def lines(self) -> list[dict]:  # type: ignore[type-arg]
        return [json.loads(line) for line in self.body.splitlines() if line]


def parse(raw: bytes) -> Response:
    head, _, rest = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    if ("Transfer-Encoding", "chunked") not in headers:
        return Response(first, headers, rest, None)
    chunks = []
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        chunks.append(rest[: int(size, 16)])
        rest = rest[int(size, 16) + 2 :]
    return Response(first, headers, b"".join(chunks), chunks)


class Client:
    """Speaks to one server in raw bytes, a connection a request."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def connect(self) -> socket.socket:
        return socket.create_connection((self.server.address, self.server.spec.port), timeout=20)

    def raw(self, request: bytes) -> Response:
        with self.connect() as connection:
            connection.sendall(request)
            reader = connection.makefile("rb")
            if b"Connection: close" in request:
                return parse(reader.read())
            head = b"".join(iter(reader.readline, b"\r\n")) + b"\r\n"  # the connection stays open
            return parse(head + reader.read(int(re.findall(rb"Content-Length: (\d+)", head)[0])))

    def send(self, method: str, path: str, body: object = None, host: str = "localhost", **headers: str) -> Response:
        return self.raw(self.request(method, path, body, host, **headers))

    def request(self, method: str, path: str, body: object = None, host: str = "localhost", **headers: str) -> bytes:
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {"Host": host, "Content-Length": str(len(content)), "Connection": "close", **headers}
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in named.items())
        return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + content

    def ask(self, path: str, **body: object) -> Response:
        return self.send("POST", path, body)

    def resident(self) -> list[str]:
        return [model["name"] for model in self.send("GET", "/api/ps").json()["models"]]


Start = Callable[..., Client]


def recorded(name: str) -> tuple[bytes, Response]:
    """A recorded request and its response."""
    text = (CAPTURES / f"{name}.txt").read_text()
    request = text.split(">>> REQUEST\n", 1)[1].split("\n<<< RESPONSE HEAD", 1)[0]
    head, _, body = request.partition("\n\n")
    body = body.strip("\n")
    length = re.search(r"Content-Length: (\d+)", head)
    if length and int(length[1]) > len(body.encode()):
        pytest.fail(f"{name}: the recording holds only a part of its request")
    whole = (head.replace("\n", "\r\n") + "\r\n\r\n" + body).encode()
    raw = CAPTURES / f"{name}.resp.raw"
    return whole, parse(raw.read_bytes()) if raw.exists() else _from_text(text)


def _from_text(text: str) -> Response:
    """Of a response whose bytes were not kept, for they named a path."""
    answer = text.split("<<< RESPONSE HEAD\n", 1)[1]
    head, _, rest = answer.partition("\n\n<<< BODY")
    body = rest.partition("\n")[2].split("\n\n--- total_ms")[0]
    return parse((head.replace("\n", "\r\n").replace("Transfer-Encoding: chunked", "") + "\r\n\r\n" + body).encode())
