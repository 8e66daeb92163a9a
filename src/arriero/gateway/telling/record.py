"""What is remembered of one request when it is over: the access line, and what the metrics count. Never its text."""

from __future__ import annotations

from json.encoder import encode_basestring_ascii as _quoted
from typing import TYPE_CHECKING, Literal

from arriero.gateway.words.paths import label_of

if TYPE_CHECKING:
    from arriero.gateway.access.guard import Caller
    from arriero.gateway.routing.memory import Found
    from arriero.gateway.routing.target import Target
    from arriero.gateway.telling.trace import Trace
    from arriero.gateway.wire.request import Request

Outcome = Literal["answered", "failed", "cut", "gone", "refused"]
MODEL_LENGTH_LIMIT = 128


class Record:
    """`outcome`: answered by a target or here; failed (5xx); cut in mid-stream; the client had gone; refused (4xx).

    `path` is what it is counted as. `key` is the name of the API key, and `caller` what the guard holds open for it
    until the request is over. `queue_seconds` passed before a target was granted. Tokens and `load_seconds` are as the
    answer's last record tells them; `migrations` counts the targets that carried on a cut answer, `deaths` those that
    ended under the request.
    `found` tells how the last target held the model, `is_new_there` whether the conversation was new to it; `is_empty`:
    the answer has no text.
    """

    __slots__ = (
        "attempts", "caller", "deaths", "first_byte_seconds", "found", "id", "is_empty", "is_new_there", "is_stream",
        "key", "load_seconds", "method", "migrations", "model", "outcome", "path", "queue_seconds", "received_bytes",
        "release", "seconds", "sent_bytes", "site", "status", "target", "tokens_in", "tokens_out", "trace",
    )  # fmt: skip

    def __init__(self, request_id: str, method: str, path: str) -> None:
        self.id, self.method, self.path = request_id, method, path
        self.model = self.site = self.target = self.key = ""
        self.outcome: Outcome = "answered"
        self.found: Found = ""
        self.trace: Trace | None = None
        self.is_stream = self.is_empty = False
        self.is_new_there = True
        self.release: int | None = None
        self.status = self.attempts = self.deaths = self.received_bytes = self.sent_bytes = 0
        self.tokens_in = self.tokens_out = self.migrations = 0
        self.seconds = self.queue_seconds = self.load_seconds = 0.0
        self.first_byte_seconds: float | None = None
        self.caller: Caller | None = None

    def went_to(self, target: Target, mark: int) -> None:
        """`mark` stands for the beginning of its conversation."""
        entry = target.entry
        self.target, self.site, self.release = entry.id, entry.site, entry.release
        self.is_new_there = target.meets(mark)

    def judge(self, status: int) -> None:
        self.status = status
        self.outcome = "answered" if status < 400 else "refused" if status < 500 else "failed"

    def line(self, at: str) -> str:
        """One JSON object. Put together by hand: in a third of the time, and every request pays it."""
        first = "null" if self.first_byte_seconds is None else f"{self.first_byte_seconds * 1000:.1f}"
        return (
            f'{{"at": "{at}", "event": "request", "id": {_quoted(self.id)}, "method": "{self.method}", '
            f'"path": {_quoted(self.path)}, "model": {_quoted(self.model[:MODEL_LENGTH_LIMIT])}, '
            f'"status": {self.status}, "outcome": "{self.outcome}", "site": {_quoted(self.site)}, '
            f'"target": {_quoted(self.target)}, "attempts": {self.attempts}, "migrations": {self.migrations}, '
            f'"key": {_quoted(self.key)}, "queue_ms": {self.queue_seconds * 1000:.1f}, "found": "{self.found}", '
            f'"first_byte_ms": {first}, "stream": {"true" if self.is_stream else "false"}, '
            f'"ms": {self.seconds * 1000:.1f}, "load_ms": {self.load_seconds * 1000:.1f}, '
            f'"tokens_in": {self.tokens_in}, "tokens_out": {self.tokens_out}, '
            f'"trace": "{self.trace.id if self.trace else ""}", '
            f'"received_bytes": {self.received_bytes}, "sent_bytes": {self.sent_bytes}}}'
        )


def record_of(request: Request) -> Record:
    """An empty record of this request, in the name of its caller."""
    record = Record(request.id, request.method, label_of(request.path))
    record.caller, record.trace = request.caller, request.trace
    record.key = request.caller.name if request.caller else ""
    return record
