"""A wire between programs and the stage's clouds that keeps every message of both directions.

To AWS it stands in for the endpoint, to Azure for the proxy: there it opens the TLS with the stage's own certificate,
and speaks to the stage with TLS of its own. Nothing is changed on the way. A thread a connection; HTTP says one thing
at a time, so what comes after the other side has spoken is a new message.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

IDLE_SECONDS = 130
# What is no call to Resource Manager.
NOT_MANAGED = {"login.microsoftonline.com": "token", ".vault.azure.net": "secret", ".core.windows.net": "blob"}


@dataclass
class Message:
    """A request, or the answer to one; `name` says what was asked, as `PUT containerGroups`."""

    cloud: str
    is_answer: bool
    host: str
    asked: bytearray
    data: bytearray

    @property
    def name(self) -> str:
        return _name(self.host, bytes(self.asked))

    @property
    def place(self) -> str:
        return f"{'answer to' if self.is_answer else 'request'} {self.cloud} {self.name}"


@dataclass
class Wiretap:
    """`aws` and `azure` are the addresses to use in place of the stage's."""

    aws: str
    azure: str
    messages: list[Message]


@contextmanager
def tapped(aws: str, azure: str, certificates: Path) -> Iterator[Wiretap]:
    """`aws` and `azure` are the stage's endpoint and proxy, `certificates` its folder with ca.pem and server.pem."""
    inner = ssl.create_default_context(cafile=certificates / "ca.pem")
    inner.maximum_version = ssl.TLSVersion.TLSv1_2  # nothing comes on it but answers, so that reading can't hang
    outer = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    outer.load_cert_chain(certificates / "server.pem")
    messages: list[Message] = []
    plain = _Server(_Plain, _place(aws), messages)
    tunnel = _Server(_Tunnel, _place(azure), messages, inner, outer)
    for server in (plain, tunnel):
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield Wiretap(f"http://127.0.0.1:{plain.port}", f"http://127.0.0.1:{tunnel.port}", messages)
    finally:
        for server in (plain, tunnel):
            server.shutdown()
            server.server_close()


class _Server(ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self,
        handler: type[BaseRequestHandler],
        target: tuple[str, int],
        messages: list[Message],
        inner: ssl.SSLContext | None = None,
        outer: ssl.SSLContext | None = None,
    ) -> None:
        self.target, self.messages, self.inner, self.outer = target, messages, inner, outer
        super().__init__(("127.0.0.1", 0), handler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever hangs up does so to both sides; that is all there is to it. What else goes wrong is shown."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Plain(BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        with socket.create_connection(self.server.target, IDLE_SECONDS) as inside:
            _Talk("aws", "", self.server.messages).pass_on(self.request, inside)


class _Tunnel(BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        asked = _head(self.request)
        with socket.create_connection(self.server.target, IDLE_SECONDS) as inside:
            inside.sendall(asked)
            answer = _head(inside)
            self.request.sendall(answer)
            if answer.split(b" ")[1:2] != [b"200"]:
                return
            host = asked.split(b" ")[1].decode().rpartition(":")[0]
            assert self.server.inner
            assert self.server.outer
            with (
                self.server.inner.wrap_socket(inside, server_hostname=host) as clear,
                self.server.outer.wrap_socket(self.request, server_side=True) as client,
            ):
                _Talk("azure", host, self.server.messages).pass_on(client, clear)


@dataclass
class _Talk:
    """What is said on one connection."""

    cloud: str
    host: str
    messages: list[Message]
    _now: Message | None = field(default=None)

    def pass_on(self, client: socket.socket, inside: socket.socket) -> None:
        """Until either side hangs up."""
        ways = {client: inside, inside: client}
        while True:
            waiting = [side for side in ways if isinstance(side, ssl.SSLSocket) and side.pending()]
            for side in waiting or select.select(list(ways), [], [], IDLE_SECONDS)[0]:
                with contextlib.suppress(ConnectionError):
                    if data := side.recv(65536):
                        self._hear(side is inside, data)
                        ways[side].sendall(data)
                        continue
                return

    def _hear(self, is_answer: bool, data: bytes) -> None:
        now = self._now
        if now is None or now.is_answer != is_answer:
            # The rest of a question, after `100 Continue`, belongs to the same one.
            is_rest = now is not None and (is_answer or not data[:8].split(b" ")[0].isupper())
            told = bytearray()
            asked = now.asked if now is not None and is_rest else told
            now = self._now = Message(self.cloud, is_answer, self.host, asked, told)
            self.messages.append(now)
        now.data += data


def _head(connection: socket.socket) -> bytes:
    """What is said before TLS begins."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        more = connection.recv(1)
        if not more:
            raise ConnectionError
        head += more
    return head


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return str(parts.hostname), int(parts.port or 0)


def _name(host: str, asked: bytes) -> str:
    """At Azure the type or the action, at AWS the action; else the method alone."""
    head, _, body = asked.decode(errors="replace").partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    method, _, target = first.partition(" ")
    for suffix, what in NOT_MANAGED.items():
        if host.endswith(suffix):
            return f"{method} {what}"
    if host:
        kinds = urlsplit(target.partition(" ")[0]).path.rpartition("/providers/")[2].split("/")[1::2]
        return f"{method} {kinds[-1] if kinds else 'something'}"
    told = [line.rpartition(".")[2] for line in lines if line.lower().startswith("x-amz-target:")]
    return told[0] if told else parse_qs(body).get("Action", [method])[0]
