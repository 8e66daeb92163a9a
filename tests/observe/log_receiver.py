"""A receiver of log lines on loopback, as strict as Loki and an OTLP collector are, that fails as it is told to."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse

LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
LABELS_LIMIT, LINE_LIMIT = 15, 256 * 1024


@dataclass(frozen=True)
class Got:
    """One line as it came: for OTLP `labels` are the resource's attributes and the severity."""

    labels: dict[str, str]
    nanoseconds: int
    text: str
    beside: dict[str, str]
    trace: str = ""


@dataclass
class Fault:
    """What is answered in place of a good answer. `slow` says nothing for so long, `cut` breaks off in mid-answer."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    slow_seconds: float = 0.0
    is_cut: bool = False
    echoes: bool = False


class Receiver:
    """`faults` are used up one by one; what it took is in `got`, and what was sent in `heads`."""

    def __init__(self) -> None:
        self.faults: deque[Fault] = deque()
        self.got: list[Got] = []
        self.heads: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.rejected = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Here", (_Handler,), {"receiver": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def take(self, path: str, body: bytes) -> tuple[int, bytes]:
        if path.endswith("/loki/api/v1/push"):
            try:
                self.got += list(_loki(json.loads(body)))
            except (ValueError, KeyError, TypeError, AssertionError) as error:
                return 400, repr(error).encode()
            return 204, b""
        if path.endswith("/v1/logs"):
            self.got += list(_otlp(ExportLogsServiceRequest.FromString(body)))
            answer = ExportLogsServiceResponse()
            if self.rejected:
                answer.partial_success.rejected_log_records = self.rejected
            return 200, answer.SerializeToString()
        return 404, b"404 page not found"


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    try:
        yield receiver
    finally:
        receiver.stop()


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _loki(data: dict[str, object]) -> Iterator[Got]:
    streams = data["streams"]
    assert isinstance(streams, list)
    for stream in streams:
        labels = stream["stream"]
        assert 0 < len(labels) <= LABELS_LIMIT
        assert all(LABEL.fullmatch(name) and isinstance(value, str) for name, value in labels.items())
        for nanoseconds, text, *more in stream["values"]:
            assert isinstance(nanoseconds, str)
            assert isinstance(text, str)
            assert len(text.encode()) <= LINE_LIMIT
            assert len(more) <= 1
            beside = more[0] if more else {}
            assert all(isinstance(value, str) for value in beside.values())
            yield Got(labels, int(nanoseconds), text, beside)


def _otlp(request: ExportLogsServiceRequest) -> Iterator[Got]:
    for resource in request.resource_logs:
        labels = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
        for scope in resource.scope_logs:
            for record in scope.log_records:
                beside = {pair.key: pair.value.string_value for pair in record.attributes}
                level = {"severity": f"{record.severity_number} {record.severity_text}".strip()}
                text = record.body.string_value
                yield Got({**labels, **level}, record.time_unix_nano, text, beside, record.trace_id.hex())


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        receiver = self.receiver
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver.heads.append(dict(self.headers.items()))
        receiver.paths.append(self.path)
        fault = receiver.faults.popleft() if receiver.faults else None
        if fault and fault.slow_seconds:
            time.sleep(fault.slow_seconds)
        if fault and fault.is_cut:
            self.wfile.write(b"HTTP/1")
            self.close_connection = True
            return
        if fault and fault.status:
            said = fault.body + (str(self.headers).encode() if fault.echoes else b"")
            self._say(fault.status, said, fault.headers)
            return
        assert self.headers["Content-Encoding"] == "gzip"
        self._say(*receiver.take(self.path, gzip.decompress(body)), {})

    def _say(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        with contextlib.suppress(OSError):  # Who asked may have gone.
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (named by http.server)
        """Quiet."""
