"""One batch to the receiver, and what it said: a connection each time, within a time in all, no redirect followed."""

from __future__ import annotations

import gzip
import http.client
import socket
import ssl
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast
from urllib.parse import urlsplit

from arriero.errors import ArrieroError
from arriero.observe.shipping import headers
from arriero.observe.shipping.line import Line
from arriero.secret import Secret

# A receiver that is slow holds up one thread of ours and no stream; meanwhile lines wait within their bounds.
SECONDS = 15.0
ANSWER_LIMIT = 65_536
SHOWN_LIMIT = 200


class Form(Protocol):
    """What `loki` and `otlp` offer: the protocol's path and type, a body of lines, how many a good answer refuses."""

    PATH: str
    CONTENT_TYPE: str

    def body(self, lines: Sequence[Line]) -> bytes: ...

    def refused(self, answer: bytes) -> int: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """`status` is 0 where none came. `why` says it in words, without any secret. `retry_after_seconds` as it asked."""

    status: int
    why: str = ""
    refused: int = 0
    retry_after_seconds: float = 0.0


class Receiver(Protocol):
    """To whom lines go."""

    def send(self, lines: Sequence[Line]) -> Answer: ...


def form_of(protocol: str) -> Form:
    """Raises ArrieroError where that protocol needs what is not installed."""
    return cast(Form, import_module(f"arriero.observe.shipping.{protocol}"))


@dataclass(frozen=True)
class Post:
    """`url` as in the spec; the file of headers is read for each batch, so that a new key needs no restart."""

    form: Form
    url: str
    headers_file: Path | None = None
    seconds: float = SECONDS
    _tls: ssl.SSLContext = field(default_factory=ssl.create_default_context, repr=False)

    def send(self, lines: Sequence[Line]) -> Answer:
        """Never raises: whatever goes wrong is said in the answer."""
        try:
            secrets = headers.read(self.headers_file) if self.headers_file else {}
        except ArrieroError as error:
            return Answer(0, str(error))
        try:
            return self._answer(lines, secrets)
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Answer(0, headers.without(f"{self._place}: {error or type(error).__name__}", secrets))

    @property
    def _place(self) -> str:
        return urlsplit(self.url).netloc

    def _answer(self, lines: Sequence[Line], secrets: Mapping[str, Secret]) -> Answer:
        parts = urlsplit(self.url)
        path = parts.path if parts.path.endswith(self.form.PATH) else parts.path.rstrip("/") + self.form.PATH
        said = {"Content-Type": self.form.CONTENT_TYPE, "Content-Encoding": "gzip", "User-Agent": "arriero"}
        said |= {name: secret.reveal() for name, secret in secrets.items()}
        connection = self._connection(parts.scheme, parts.hostname or "", parts.port)
        ended = threading.Event()
        try:
            connection.connect()
            watch = threading.Timer(self.seconds, _end, (connection.sock, ended))
            watch.daemon = True
            watch.start()
            try:
                connection.request("POST", path, gzip.compress(self.form.body(lines), 5), said)
                response = connection.getresponse()
                text = response.read(ANSWER_LIMIT)
            except (OSError, http.client.HTTPException):
                if ended.is_set():
                    return Answer(0, f"{self._place}: no answer within {self.seconds:g}s")
                raise
            finally:
                watch.cancel()
        finally:
            connection.close()
        return self._judged(response, text, secrets)

    def _connection(self, scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
        if scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=self.seconds, context=self._tls)
        return http.client.HTTPConnection(host, port, timeout=self.seconds)

    def _judged(self, response: http.client.HTTPResponse, text: bytes, secrets: Mapping[str, Secret]) -> Answer:
        if 200 <= response.status < 300:
            return Answer(response.status, refused=self.form.refused(text))
        words = "".join(c if c.isprintable() else " " for c in text.decode("utf-8", "replace"))
        words = headers.without(words, secrets)[:SHOWN_LIMIT].strip()
        why = f"{self._place} said {response.status}" + (f": {words}" if words else "")
        return Answer(response.status, why, retry_after_seconds=_seconds(response))


def _seconds(response: http.client.HTTPResponse) -> float:
    """Retry-After, in either of its forms; 0 where it says nothing that is understood."""
    text = response.getheader("Retry-After", "").strip()
    if text.isdecimal():
        return float(text[:6])
    try:
        until, now = parsedate_to_datetime(text), parsedate_to_datetime(response.getheader("Date", ""))
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return max(0.0, _between(now, until))


def _between(first: datetime, last: datetime) -> float:
    return (last - first).total_seconds() if (first.tzinfo is None) == (last.tzinfo is None) else 0.0


def _end(sock: socket.socket | None, ended: threading.Event) -> None:
    """Wakes whoever reads or writes there."""
    ended.set()
    if sock is not None:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # It is closed already.
