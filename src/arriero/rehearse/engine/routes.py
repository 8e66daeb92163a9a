"""Every path of the server, and what happens before and after its handler: checks, errors, a line in the log."""

from __future__ import annotations

import ipaddress
import sys
import time
from collections.abc import Awaitable, Callable, Mapping

from arriero.rehearse.engine import anthropic, library, native, openai, responses
from arriero.rehearse.engine.decode import Failure
from arriero.rehearse.engine.desk import Desk
from arriero.rehearse.engine.doors import is_host_allowed, is_origin_allowed, preflight_headers
from arriero.rehearse.engine.http import Exchange, Request
from arriero.rehearse.engine.wire import encode

Route = Callable[[Desk, Exchange], Awaitable[None]]


async def root(_: Desk, exchange: Exchange) -> None:
    await exchange.send(200, b"Ollama is running", "text/plain; charset=utf-8")


ROUTES: Mapping[str, Mapping[str, Route]] = {
    "/": {"GET": root, "HEAD": root},
    "/api/version": {"GET": library.version, "HEAD": library.version},
    "/api/tags": {"GET": library.tags, "HEAD": library.tags},
    "/api/ps": {"GET": library.ps},
    "/api/show": {"POST": library.show},
    "/api/pull": {"POST": library.pull},
    "/api/create": {"POST": library.create},
    "/api/copy": {"POST": library.copy},
    "/api/delete": {"DELETE": library.delete},
    "/api/blobs/*": {"HEAD": library.find_blob, "POST": library.put_blob},
    "/api/generate": {"POST": native.generate},
    "/api/chat": {"POST": native.chat},
    "/api/embed": {"POST": native.embed},
    "/api/embeddings": {"POST": native.embeddings_legacy},
    "/v1/chat/completions": {"POST": openai.chat_completions},
    "/v1/completions": {"POST": openai.completions},
    "/v1/embeddings": {"POST": openai.embed},
    "/v1/models": {"GET": openai.models},
    "/v1/models/*": {"GET": openai.model},
    "/v1/messages": {"POST": anthropic.messages},
    "/v1/responses": {"POST": responses.respond},
}


class Routes:
    """The handler of all requests."""

    def __init__(self, desk: Desk, listens_on: str) -> None:
        self._desk = desk
        self._listens_on = listens_on

    async def __call__(self, exchange: Exchange) -> None:
        began = time.perf_counter()
        try:
            await self._answer(exchange)
        finally:
            _log(exchange, time.perf_counter() - began)

    async def _answer(self, exchange: Exchange) -> None:
        request = exchange.request
        methods = _methods(request.path)
        route = methods.get(request.method)
        if route is None and methods:
            exchange.extra["Allow"] = ", ".join(methods)
        if not await self._admits(exchange):
            return
        if route is None:
            status, said = (405, b"405 method not allowed") if methods else (404, b"404 page not found")
            await exchange.send(status, said, "text/plain")
            return
        try:
            await route(self._desk, exchange)
        except Failure as failure:
            await _send_failure(exchange, failure)

    async def _admits(self, exchange: Exchange) -> bool:
        """False if the request was answered here: a foreign page or host, or a browser's preflight."""
        headers = exchange.request.headers
        host, origin = headers.get("host", ""), headers.get("origin", "")
        if not is_origin_allowed(origin, host, self._desk.settings.origins):
            await exchange.send(403)
            return False
        is_foreign = bool(origin) and origin != f"http://{host}"
        if is_foreign and exchange.request.method == "OPTIONS":
            exchange.extra |= preflight_headers(origin)
            await exchange.send(204)
            return False
        if is_foreign:
            exchange.extra |= {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
        if not is_host_allowed(host, self._listens_on):
            await exchange.send(403)
            return False
        return True


def _methods(path: str) -> Mapping[str, Route]:
    return ROUTES.get(path) or ROUTES.get(path.rpartition("/")[0] + "/*", {})


async def _send_failure(exchange: Exchange, failure: Failure) -> None:
    path = exchange.request.path
    if path == "/v1/messages":
        await anthropic.send_failure(exchange, failure)
    elif path.startswith("/v1/"):
        await openai.send_failure(exchange, failure)
    else:
        await exchange.send(failure.status, encode({"error": failure.message}), native.JSON)


def _log(exchange: Exchange, seconds: float) -> None:
    """As Ollama's own access log; a client that left before an answer counts as 499. The address is that which a proxy
    says, whoever it is.
    """
    now = time.strftime("%Y/%m/%d - %H:%M:%S")
    request = exchange.request
    took = f"{seconds:.3f}s" if seconds >= 1 else f"{seconds * 1000:.3f}ms"
    what = f'{request.method:<8} "{request.path}"'
    sys.stdout.write(f"[GIN] {now} | {exchange.status or 499} | {took:>13} | {_address(request):>15} | {what}\n")
    sys.stdout.flush()


def _address(request: Request) -> str:
    said = request.headers.get("x-forwarded-for", "").partition(",")[0].strip()
    try:
        ipaddress.ip_address(said)
    except ValueError:
        return "127.0.0.1"
    return said
