"""As much of a gateway as what stands before one needs to be tried with."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Behind:
    """It answers with its name; asked to generate, it streams that, and a second piece once it is told to."""

    name: str
    go_on: threading.Event = field(default_factory=threading.Event)
    address: str = ""

    @contextlib.contextmanager
    def served(self) -> Iterator[Behind]:
        told = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self._piece(told.name)
                told.go_on.wait(30)
                self._piece("end")
                self._piece("")

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(told.name)))
                self.end_headers()
                self.wfile.write(told.name.encode())

            def _piece(self, text: str) -> None:
                self.wfile.write(f"{len(text):x}\r\n{text}\r\n".encode())
                self.wfile.flush()

            def log_request(self, *_: object) -> None:
                """Nothing to say."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
            thread = threading.Thread(target=serving.serve_forever, args=(0.02,))
            thread.start()
            self.address = f"127.0.0.1:{serving.server_address[1]}"
            try:
                yield self
            finally:
                self.go_on.set()
                serving.shutdown()
                thread.join()
