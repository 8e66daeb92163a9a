"""A webhook on this machine that keeps what it is told, and refuses as often as a test wants."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """`refusals` are the statuses of its first answers; after them it answers 200 with `says`."""

    refusals: list[int] = field(default_factory=list)
    says: str = "ok"
    url: str = ""
    heard: list[Any] = field(default_factory=list)
    tries: int = 0


@contextmanager
def receiving(*refusals: int, says: str = "ok") -> Iterator[Receiver]:
    receiver = Receiver(list(refusals), says)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(receiver))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/hooks/T0/B0/verysecretpath"
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.tries += 1
            status = receiver.refusals.pop(0) if receiver.refusals else 200
            if status == 200:
                receiver.heard.append(json.loads(body))
            said = receiver.says.encode()
            self.send_response(status)
            if status == 429:
                self.send_header("Retry-After", "0")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None: ...

    return Handler
