"""The HTTP door of the emulated AWS: every call is logged, delayed, judged, then answered by moto. What a task's own
containers ask of their agent comes in here too, and goes to `agent.py`.

Who runs: a thread a connection. moto is not made for threads (its conditional writes to S3 are not atomic, its response
filters are shared by all calls), so one lock, the world's, is held while moto works; the reconciler takes the same one.
moto computes under the interpreter's lock anyway, so this costs nothing.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from arriero.clock import Clock
from arriero.rehearse.aws import refusals
from arriero.rehearse.aws.agent import Agent
from arriero.rehearse.aws.calls import Call, read_call
from arriero.rehearse.aws.needs import needs_of
from arriero.rehearse.aws.refusals import Answer
from arriero.rehearse.aws.requests import RequestLog
from arriero.rehearse.latency import Latency
from arriero.rehearse.permissions import Need
from arriero.rehearse.tripwire import Tripwire

Judge = Callable[[Call, tuple[Need, ...]], Answer | None]
StartResponse = Callable[[str, list[tuple[str, str]]], object]


class Door:
    """The WSGI application. `judge` may answer in moto's place; `after_write` is called when a write succeeded."""

    def __init__(
        self,
        world: threading.RLock,
        log: RequestLog,
        judge: Judge,
        after_write: Callable[[], None],
        latency: Latency,
        clock: Clock,
        agent: Agent,
        tripwire: Tripwire,
    ) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._world = world
        self._log = log
        self._judge = judge
        self._after_write = after_write
        self._latency = latency
        self._clock = clock
        self._agent = agent
        self._tripwire = tripwire

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        body = _take_body(environ)
        told = self._agent.answer(environ["REQUEST_METHOD"], environ["PATH_INFO"], body)
        if told is not None:
            headers = [("Content-Type", "application/json"), ("Content-Length", str(len(told[1])))]
            start_response(f"{told[0]} {_REASONS.get(told[0], 'OK')}", headers)
            return [told[1]]
        call = read_call(environ, body)
        environ["wsgi.input"] = io.BytesIO(body)
        if delay := self._latency.seconds("aws.call"):
            self._clock.sleep(delay)
        with self._world:
            needs = needs_of(call)
        said = f"aws {call.label} {call.name}"
        passed, number = self._tripwire.begins(said) if call.writes else (True, 0)
        answer = self._judge(call, needs) if passed else refusals.unavailable(call)
        if answer is not None:
            status, headers, content = _rendered(answer)
        else:
            status, headers, content = self._ask_moto(environ, call)
        code = int(status.split()[0])
        if call.writes and code < 400:
            self._after_write()
        self._log.write(call, code, needs)
        self._tripwire.ends(said, number)
        start_response(status, headers)
        return [content]

    def _ask_moto(self, environ: dict[str, Any], call: Call) -> tuple[str, list[tuple[str, str]], bytes]:
        head: list[tuple[str, list[tuple[str, str]]]] = []

        def keep_head(status: str, headers: list[tuple[str, str]], *_: object) -> None:
            head.append((status, headers))

        with self._world:
            try:
                content = b"".join(self._moto(environ, keep_head))
            except Exception as error:  # noqa: BLE001 - whatever moto cannot do is said to the client, never a dead socket
                return _rendered(refusals.not_emulated(call, f"{type(error).__name__}: {error}"))
        status, headers = head[-1]
        return status, headers, content


class Server:
    """Serves `door` on 127.0.0.1:`port` in a thread of its own."""

    def __init__(self, door: Door, port: int) -> None:
        self._server: BaseWSGIServer = make_server("127.0.0.1", port, door, threaded=True, request_handler=_Handler)
        self.port: int = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="emulated AWS", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(MotoRequestHandler):  # type: ignore[misc]
    def log(self, *_: object) -> None:
        """Nothing: the request log says it all."""


def _take_body(environ: dict[str, Any]) -> bytes:
    """The whole body, read before the world's lock is taken: a slow client must hold up nobody."""
    stream = environ["wsgi.input"]
    if length := environ.get("CONTENT_LENGTH"):
        return bytes(stream.read(int(length)))
    return bytes(stream.read()) if environ.get("wsgi.input_terminated") else b""


def _rendered(answer: Answer) -> tuple[str, list[tuple[str, str]], bytes]:
    headers = [("Content-Type", answer.content_type), ("Content-Length", str(len(answer.body))), *answer.headers]
    return f"{answer.status} {_REASONS.get(answer.status, 'Error')}", headers, answer.body


_REASONS = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    501: "Not Implemented",
    503: "Unavailable",
}
