"""A door before a gateway's control port: it passes every request on as it came, and logs and counts it as clouds do.

Who runs: one accepting thread, and one a connection; all end with the stage.
"""

from __future__ import annotations

import http.client
import json
import os
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from arriero.rehearse.tripwire import Tripwire

_SECONDS = 30.0
_DROPPED = b'{"error": "the connection was cut"}'


class GatewayDoor:
    """Leads to the control port `to` (host:port) from a free port of 127.0.0.1, see `address`."""

    def __init__(self, to: str, log: Path, tripwire: Tripwire) -> None:
        self._server = _Server(to, log, tripwire)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="gateway's door", daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, to: str, log: Path, tripwire: Tripwire) -> None:
        self.to, self.log, self.tripwire = to, log, tripwire
        super().__init__(("127.0.0.1", 0), _Order)


class _Order(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Said in the request log instead."""

    def handle_order(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        writes, call = self.command != "GET", f"gateway {self.command} {self.path}"
        passed, number = self.server.tripwire.begins(call) if writes else (True, 0)
        status, answer = self._forward(body) if passed else (503, _DROPPED)
        self._note(writes, status)
        self.server.tripwire.ends(call, number)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_POST = do_DELETE = handle_order  # noqa: N815

    def _forward(self, body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.server.to, timeout=_SECONDS)
        try:
            connection.request(self.command, self.path, body or None, dict(self.headers.items()))
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            return 502, json.dumps({"error": str(error)}).encode()
        finally:
            connection.close()

    def _note(self, writes: bool, status: int) -> None:
        line = {
            "at": datetime.now(UTC).isoformat(),
            "cloud": "gateway",
            "region": "",
            "action": f"{self.command} {self.path}",
            "name": "",
            "client": self.headers.get("User-Agent", ""),
            "writes": writes,
            "status": status,
        }
        # One write a line, so that several writers never mix.
        file = os.open(self.server.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, json.dumps(line).encode() + b"\n")
        finally:
            os.close(file)
