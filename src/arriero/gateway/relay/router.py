"""What becomes of one request: answered here, refused, or given to a target. The order of the checks is in `handle`."""

from __future__ import annotations

import re

from arriero.gateway.access.entrance import Entrance
from arriero.gateway.access.guard import METRICS_PATHS
from arriero.gateway.access.origins import Origins, cors_headers, preflight_headers
from arriero.gateway.access.shared import Asking
from arriero.gateway.context import Context
from arriero.gateway.relay.blame import quarantined
from arriero.gateway.relay.forward import Exchange
from arriero.gateway.relay.waiting import Queue
from arriero.gateway.relay.warming import start_if_asked
from arriero.gateway.relay.writing import Writing
from arriero.gateway.routing.pool import Pool, Without
from arriero.gateway.routing.target import Target
from arriero.gateway.telling import exposition, scraping
from arriero.gateway.telling.record import Record, record_of
from arriero.gateway.wire.answers import Answer, error_answer, json_answer, try_again
from arriero.gateway.wire.connection import ClientConnection, Work
from arriero.gateway.wire.request import Request
from arriero.gateway.words import listing
from arriero.gateway.words.dialects import NATIVE
from arriero.gateway.words.naming import canonical
from arriero.gateway.words.paths import Kind, Rule

RETRY_AFTER_SECONDS = 2
# Which site a client wants to try out; what fails there before its first byte is tried elsewhere all the same.
SITE = b"x-arriero-site"
_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


class Router:
    """The Handler of the clients' listener."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._origins = Origins(context.settings.origins, context.settings.hosts)
        self._queue = context.queue = Queue(context)
        self._entrance = Entrance(context, self._origins)
        self._writing = Writing(context, self._entrance)
        self.limits = context.settings.limits
        self.connections: set[ClientConnection] = set()
        self.now = context.now
        self._was_ready = False

    def handle(self, client: ClientConnection, request: Request) -> Work | None:
        request.close = request.close or self._context.is_draining
        rule = request.rule
        answer = self._entrance.wrong_way(request) or self._for_browsers(request, rule)
        answer = answer or self._misplaced(request, rule)
        if answer is None and rule is not None:
            answer = self._entrance.without_key(request, rule)
        if answer is None and rule is not None:
            if rule.kind is Kind.WRITE:
                return self._writing.start(client, request)
            if rule.kind is not Kind.LOCAL:
                return self._forward(client, request, rule)
            answer = self._local(client, request)
        if answer is not None:
            client.answer(answer)
        return None

    def objection(self, request: Request) -> tuple[int, str] | None:
        return self._entrance.objection(request, request.rule) if request.rule else None

    def headers_for(self, request: Request) -> bytes:
        if not request.id:
            request.id = self._id_of(request)
        origin = request.origin
        cors = b""
        if origin and self._origins.is_foreign(origin, request.host) and self._origins.may_ask(origin):
            cors = cors_headers(origin)
        return b"X-Request-Id: %b\r\n%b" % (request.id.encode(), cors)

    def answered(self, request: Request, status: int, sent_bytes: int, record: Record | None) -> None:
        record = record or record_of(request)
        record.judge(status)
        record.sent_bytes = sent_bytes
        record.seconds = self._context.now() - request.came_at
        self._context.finished(record)

    def _for_browsers(self, request: Request, rule: Rule | None) -> Answer | None:
        if request.method != "OPTIONS":
            return None
        allow = f"Allow: {', '.join(rule.methods)}\r\n".encode() if rule else b""
        is_preflight = self._origins.is_foreign(request.origin, request.host)
        headers = preflight_headers() if is_preflight else b""
        return Answer(204, b"", b"", allow + headers)

    def _misplaced(self, request: Request, rule: Rule | None) -> Answer | None:
        """Unknown paths and wrong methods, in Ollama's own bytes; verbs that change models."""
        if rule is None:
            return Answer(404, b"404 page not found", b"text/plain")
        if request.method not in rule.methods:
            allow = f"Allow: {', '.join(rule.methods)}\r\n".encode()
            return Answer(405, b"405 method not allowed", b"text/plain", allow)
        return self._writing.out_of_place() if rule.kind is Kind.WRITE else None

    def _local(self, client: ClientConnection, request: Request) -> Answer:
        path, pool = request.path, self._context.pool
        if path == "/":
            return Answer(200, b"Ollama is running")
        if path == "/healthz":
            return Answer(200, b"ok\n")
        if path == "/readyz":
            return self._readiness()
        if path in METRICS_PATHS:
            return self._entrance.without_sight(client.peer, request) or self._metrics(path)
        if not pool.is_ready():
            return self._none(request, Without.HEALTH if any(pool) else Without.TARGETS)
        if path == "/api/version":
            return json_answer({"version": listing.version(pool)}, NATIVE)
        merged = {"/api/tags": listing.tags, "/api/ps": listing.ps, "/v1/models": listing.openai_models}[path]
        only = request.caller.models if request.caller else ()
        return json_answer(merged(pool, only), request.dialect)

    def _readiness(self) -> Answer:
        if self._context.is_draining and not self._context.is_handing_over:
            return Answer(503, b"draining\n")
        pool = self._context.pool
        self._was_ready = self._was_ready or pool.is_ready()
        if pool.is_ready() or pool.wakes or (self._context.is_told_of_targets and self._is_no_worse(pool)):
            return Answer(200, b"ok\n")
        return Answer(503, b"no target answers\n")

    def _is_no_worse(self, pool: Pool) -> bool:
        """Where targets are found by name: none is there, or those that served are away. Another gateway in the place
        of this one would be no better, and whoever replaces what is not ready would cut its streams for nothing.
        """
        return self._was_ready or not any(pool)

    def figures(self) -> bytes:
        """What /metrics tells, in Prometheus's text form."""
        context = self._context
        exposition.refresh(context, self.connections)
        exposition.refresh_keys(context)
        return exposition.text(context.metrics.figures, context.beside)

    def _metrics(self, path: str) -> Answer:
        if path != scraping.PATH:
            return Answer(200, self.figures(), exposition.CONTENT_TYPE)
        context = self._context
        return json_answer(scraping.sidecars(context.pool, context.settings.service), NATIVE)

    def _forward(self, client: ClientConnection, request: Request, rule: Rule) -> Work | None:
        parents = request.all_of(b"traceparent") if b"traceparent" in request.known else ()
        request.trace = self._context.traces.of(parents)
        name = request.model()
        model = canonical(name) if name else None
        answer = self._entrance.over_limit(request, model)
        if answer is not None:
            client.answer(answer)
            return None
        shared = self._context.shared
        if shared is not None and shared.concerns(request.caller):
            go_on = lambda: self._route(client, request, rule, name, model)  # noqa: E731
            return Asking(self._context, shared, client, request, go_on)
        return self._route(client, request, rule, name, model)

    def _route(
        self, client: ClientConnection, request: Request, rule: Rule, name: str | None, model: str | None
    ) -> Work | None:
        """Gives it to a target, or puts it in the line before one. `name` is the model's as the client wrote it."""
        runs = rule.kind is Kind.RUN
        hold = self._context.quarantine.hold(request.path, request.body, self._context.now())
        if hold:
            request.id = request.id or self._id_of(request)
            client.answer(quarantined(request.dialect, hold), record_of(request))
            return None
        if runs and model and SITE in request.known:
            found = self._context.pool.place_at(request.known[SITE].decode("latin-1"), model, self._context.now())
        elif runs and model:
            found = self._queue.place(request, model, request.caller.name if request.caller else "")
        else:
            found = self._context.pool.find(model, False, (), self._context.now())
        request.id = request.id or self._id_of(request)
        if isinstance(found, Target):
            if request.streams and runs and model and not found.is_resident(model):
                start_if_asked(client, request, model, self.limits.warming_seconds)
            return Exchange(self._context, client, request, model, runs, found)
        record = record_of(request)
        record.model, record.received_bytes = model or "", len(request.body)
        if found is Without.PLACE and model:
            return self._queue.enter(client, request, model, record)
        if found is Without.MODEL:
            missing = error_answer(request.dialect, 404, rule.missing.format(name, model))
            client.answer(missing, record)
        else:
            client.answer(self._none(request, found), record)
        return None

    def _none(self, request: Request, why: Without) -> Answer:
        return try_again(request.dialect, f"no target {why.value}; try again soon", RETRY_AFTER_SECONDS)

    def _id_of(self, request: Request) -> str:
        """The client's own id if it is a sane one, else ours."""
        if b"x-request-id" not in request.known:
            return self._context.new_id()
        text = request.known[b"x-request-id"].decode("latin-1")
        return text if _ID.fullmatch(text) else self._context.new_id()
