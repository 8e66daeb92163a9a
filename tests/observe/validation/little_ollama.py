"""A server that answers as a target does, with what a test wants to be wrong about it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DIGEST = "a" * 64
NO_HEADERS: Mapping[str, str] = {}
METRICS = "# HELP arriero_sidecar_slots Slots.\narriero_sidecar_slots 4\n"


@dataclass
class Behaviour:
    """What it says; a path in `broken` answers with that status."""

    answer: str = "Hello there, all of you who came to this place."
    digests: dict[str, str] = field(default_factory=lambda: {"llama2:latest": DIGEST})
    vectors: dict[str, list[float]] = field(default_factory=dict)
    capabilities: tuple[str, ...] = ("completion",)
    metrics: str = METRICS
    broken: dict[str, int] = field(default_factory=dict)
    is_cut: bool = False
    # So many questions it refuses first, as a sidecar does whose slots are all in use.
    refused: int = 0
    retry_after: str = "1"
    asked: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[str]:
    """The server's `host:port`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(behaviour))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(behaviour: Behaviour) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            tags = {"models": [{"name": n, "digest": d} for n, d in behaviour.digests.items()]}
            bodies = {"/metrics": behaviour.metrics, "/api/tags": json.dumps(tags)}
            self._send(bodies.get(self.path, "Ollama is running"))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            behaviour.asked.append({"path": self.path, **body})
            if behaviour.refused:
                behaviour.refused -= 1
                return self._send(
                    json.dumps({"error": "all 4 slots are in use"}), 503, {"Retry-After": behaviour.retry_after}
                )
            self._send("".join(json.dumps(line) + "\n" for line in self._lines(body)))

        def _lines(self, body: dict[str, Any]) -> list[dict[str, Any]]:
            if self.path == "/api/show":
                return [{"capabilities": list(behaviour.capabilities)}]
            if self.path == "/api/embed":
                return [{"embeddings": [behaviour.vectors.get(body["input"], [0.0, 1.0])]}]
            if self.path == "/api/generate":
                return [{"done": True}]
            end = {"done": True, "eval_count": 20, "eval_duration": 400_000_000}
            said = [{"message": {"content": letter}} for letter in behaviour.answer]
            return said if behaviour.is_cut else [*said, {"message": {"content": ""}, **end}]

        def _send(self, text: str, status: int = 200, headers: Mapping[str, str] = NO_HEADERS) -> None:
            self.send_response(behaviour.broken.get(self.path, status))
            self.send_header("Content-Length", str(len(text.encode())))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None: ...

    return Handler
