"""The way in: a CONNECT proxy that opens no connection at all.

A client asks for `CONNECT management.azure.com:443`; on the same socket it then speaks TLS with *us*. Every other host
is answered 403, and there is no code that could dial one. Who runs: one accepting thread, and a thread a connection,
which answers its requests one after the other; `stop` closes all sockets, and the threads end.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import sys
import threading
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from socketserver import BaseRequestHandler, ThreadingTCPServer
from urllib.parse import urlsplit

from arriero.rehearse.azure.answers import Answer, Request

Respond = Callable[[Request], Answer]

_IDLE_SECONDS = 120
_HEAD_BYTES = 16384
_MOST_BODY_BYTES = 8 * 1024 * 1024


class Proxy:
    """Serves `hosts` (a leading `*.` stands for one label) on 127.0.0.1:`port`; 0 chooses a free port.

    A host of these that is not `is_resolved` has no name in DNS: the proxy answers 502, as one does then.
    """

    def __init__(
        self,
        port: int,
        hosts: tuple[str, ...],
        context: ssl.SSLContext,
        respond: Respond,
        deny: Callable[[str], None],
        is_resolved: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._server = _Server(port, hosts, context, respond, deny)
        self._server.is_resolved = is_resolved

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="azure proxy", daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._server.close_connections()


class _Server(ThreadingTCPServer):
    is_resolved: Callable[[str], bool]
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(
        self, port: int, hosts: tuple[str, ...], context: ssl.SSLContext, respond: Respond, deny: Callable[[str], None]
    ) -> None:
        self.hosts, self.context, self.respond, self.deny = hosts, context, respond, deny
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Connection)

    def opened(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)
        with contextlib.suppress(OSError):
            connection.close()

    def close_connections(self) -> None:
        with self._lock:
            still = list(self._open)
        for connection in still:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def serves(self, host: str) -> bool:
        return host in self.hosts or f"*.{host.partition('.')[2]}" in self.hosts

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are none of our errors; anything else ends this connection only, and is shown."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Connection(BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        plain: socket.socket = self.request
        plain.settimeout(_IDLE_SECONDS)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        host = self._asked_host(plain)
        if host is None:
            return
        plain.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        secure = self.server.context.wrap_socket(plain, server_side=True)
        self.server.opened(secure)
        try:
            _Requests(secure, self.client_address, self.server, host)
        finally:
            self.server.closed(secure)

    def _asked_host(self, plain: socket.socket) -> str | None:
        head = b""
        while b"\r\n\r\n" not in head:
            more = plain.recv(4096)
            if not more or len(head) > _HEAD_BYTES:
                return None
            head += more
        method, target, *_ = (*head.split(b"\r\n", 1)[0].decode(errors="replace").split(" "), "", "")
        host = target.rpartition(":")[0].lower()
        if method == "CONNECT" and target.endswith(":443") and self.server.serves(host):
            if self.server.is_resolved(host):
                return host
            plain.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return None
        # Without CONNECT the target is a whole address, which may be a secret itself: a webhook's is.
        self.server.deny(target if method == "CONNECT" else urlsplit(target).netloc.rpartition("@")[2])
        plain.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return None


class _Requests(BaseHTTPRequestHandler):
    """The requests of one connection, one after the other."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet for head and body

    def __init__(self, connection: ssl.SSLSocket, address: tuple[str, int], server: _Server, host: str) -> None:
        self.host = host
        self.respond = server.respond
        super().__init__(connection, address, server)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Said in the request log instead."""

    def handle_one(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        if size > _MOST_BODY_BYTES:
            self.close_connection = True
            return self.send_error(413)
        raw = self.rfile.read(size) if size else b""
        request = Request.of(self.command, self.host, self.path, dict(self.headers.items()), raw)
        self._send(self.respond(request), self.headers.get("x-ms-client-request-id"))
        return None

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = do_HEAD = handle_one  # noqa: N815

    def _send(self, answer: Answer, correlation: str | None) -> None:
        data = b"" if answer.body is None else json.dumps(answer.body).encode()
        data = data if answer.content is None else answer.content
        self.send_response(answer.status)
        if answer.body is not None:
            self.send_header("Content-Type", "application/json; charset=utf-8")
        if answer.status != 204:
            self.send_header("Content-Length", str(len(data)))
        identifier = str(uuid.uuid4())
        self.send_header("x-ms-request-id", identifier)
        self.send_header("x-ms-correlation-request-id", correlation or identifier)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        body = data if self.command != "HEAD" and answer.status != 204 else b""
        self.end_headers()
        self.wfile.write(body)
