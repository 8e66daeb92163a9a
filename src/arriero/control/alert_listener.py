"""Where alerts are told: a small HTTP listener of the controller, beside nothing else.

One thread accepts, each connection has one of its own for at most `PATIENCE_SECONDS`; a request is answered as soon as
it is read, and acted on by whoever waits for it. It speaks no TLS: off this machine a proxy has to stand before it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from arriero.control.alerts import Alert, Refusal, judged, read

PATIENCE_SECONDS = 10.0
CONNECTIONS_MOST = 32


class AlertListener:
    """Listens at `address`:`port` (0: any free one) from `start` to `stop`; raises OSError where it can't.

    `take` is called for each alert that was told with the key; `refused` for each request that was not taken.
    """

    def __init__(
        self, address: str, port: int, key: str, take: Callable[[Alert], None], refused: Callable[[Refusal], None]
    ) -> None:
        self._server = _Server((address, port), _Handler)
        self._server.key, self._server.take, self._server.refused = key, take, refused
        self._thread = threading.Thread(target=self._server.serve_forever, name="listens for alerts", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    key: str
    take: Callable[[Alert], None]
    refused: Callable[[Refusal], None]

    def __init__(self, *arguments: Any) -> None:
        self._free = threading.BoundedSemaphore(CONNECTIONS_MOST)
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        """More connections than are served at a time are closed unread."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is nobody's concern here, and its traceback would hold the key."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = PATIENCE_SECONDS
    server_version, sys_version = "arriero", ""

    def _serve(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        refusal = judged(self.command, self.path, headers, self.server.key)
        alert = None
        if refusal is None:
            try:
                alert = read(self.rfile.read(int(headers["content-length"])))
            except ValueError as error:
                refusal = Refusal(400, str(error))
        if refusal is not None:
            self.server.refused(refusal)
            self._answer(refusal.status, {"error": refusal.why})
        elif alert is not None:
            self.server.take(alert)
            self._answer(202, {"taken": alert.rule})

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _serve  # noqa: N815 - http.server's names

    def _answer(self, status: int, told: dict[str, str]) -> None:
        body = json.dumps(told).encode()
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        if status == 405:
            self.send_header("Allow", "POST")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the request line holds the key."""
