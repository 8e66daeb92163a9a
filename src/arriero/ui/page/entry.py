"""The page's door: prefix, names, origins, who has a key; in front of everything that NiceGUI answers (ASGI).

A browser on another site can neither read the page nor act by it: a question that could act, and the socket that the
page lives on, need an Origin that is the page's own, and the Host has to be a name that we know (DNS rebinding).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from arriero.gateway.access.sources import FORWARDED_FOR, Sources, nearest
from arriero.ui.page import login
from arriero.ui.page.doors import SEERS, STAYS, Doors, Visitor

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

COOKIE = "arriero_page"
FORM_BYTES = 4096
_BY_TLS = {"http": "https", "websocket": "wss"}
LOOPBACK = frozenset(("127.0.0.1", "localhost", "::1"))
# Vue compiles its templates in the browser, and NiceGUI writes its start into the page: hence the two `unsafe`s.
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
GUARDS: Headers = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    # Not `no-referrer`: then a browser says `Origin: null` with a form.
    (b"referrer-policy", b"same-origin"),
]


class Entry:
    """`hosts` are names besides this machine's by which the page is called; `prefix` is empty or like `/arriero`;
    `trusted` are proxies whose X-Forwarded-For says who asks, for wrong keys are counted by address.
    """

    def __init__(
        self,
        app: App,
        doors: Doors,
        service: str,
        prefix: str = "",
        hosts: frozenset[str] = frozenset(),
        trusted: Sources | None = None,
    ) -> None:
        self.app = app
        self._doors, self._service, self._prefix = doors, service, prefix
        self._trusted = trusted or Sources(())
        self._hosts = LOOPBACK | {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        scope = self._as_browsers_see_it(scope)
        answer = _Answer(scope, send)
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if why := self._refusal(scope, headers):
            await answer.text(403, why)
        elif (path := self._below(scope["path"])) is None:
            # Who reads this at the right address has a proxy that takes the prefix away.
            where = f"the page is at {self._prefix}/, and a proxy has to pass that path on as it is"
            await answer.text(404, f"Nothing is here: {where}")
        elif path == "/healthz":
            await answer.text(200, "ok")
        elif path in ("/login", "/logout"):
            await self._key(scope, receive, answer, path)
        elif visitor := self._visitor(headers):
            await self.app(self._inner(scope, path, visitor), receive, answer.guarded)
        elif scope["type"] == "http" and scope["method"] == "GET" and "text/html" in headers.get(b"accept", ""):
            await answer.to(f"{self._prefix}/login")
        else:
            await answer.text(401, "this needs a key: log in first")

    def _refusal(self, scope: Scope, headers: dict[bytes, str]) -> str:
        host = headers.get(b"host", "")
        if (urlsplit(f"//{host}").hostname or "") not in self._hosts:
            return "this page is not known by that name; start it with --host NAME"
        is_reading = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        origin = headers.get(b"origin", "")
        if (origin or not is_reading) and urlsplit(origin).netloc != host:
            return "this comes from another site's page"
        return ""

    def _as_browsers_see_it(self, scope: Scope) -> Scope:
        """With the address of who asks, as a trusted proxy says it; and https, where any says that they came by it."""
        peer, *port = scope.get("client") or ("", 0)
        lines = [value.decode("latin-1") for name, value in scope["headers"] if name == FORWARDED_FOR]
        found = {**scope, "client": (nearest(peer, lines, self._trusted), *port)}
        return {**found, "scheme": _BY_TLS[scope["type"]]} if _is_by_tls(scope) else found

    def _below(self, path: str) -> str | None:
        if not self._prefix:
            return path
        return (path[len(self._prefix) :] or "/") if f"{path}/".startswith(f"{self._prefix}/") else None

    def _inner(self, scope: Scope, path: str, visitor: Visitor) -> Scope:
        """As NiceGUI expects it from a proxy that takes the prefix away; what the browser says of it is dropped."""
        headers = [(name, value) for name, value in scope["headers"] if name != b"x-forwarded-prefix"]
        headers.append((b"x-forwarded-prefix", self._prefix.encode()))
        state = {**scope.get("state", {}), "visitor": visitor}
        return {**scope, "path": path, "raw_path": path.encode(), "headers": headers, "state": state}

    def _visitor(self, headers: dict[bytes, str]) -> Visitor | None:
        return self._doors.returning(cookie_of(headers.get(b"cookie", ""))) if self._doors.has_keys else Visitor()

    async def _key(self, scope: Scope, receive: Receive, answer: _Answer, path: str) -> None:
        if scope["type"] != "http":
            await answer.text(404, "no such socket")
        elif path == "/logout" and scope["method"] == "POST":
            await answer.to(f"{self._prefix}/login", _cookie("", self._prefix, 0, scope))
        elif scope["method"] == "POST":
            await self._log_in(scope, receive, answer)
        else:
            await answer.page(200, login.page(self._service))

    async def _log_in(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        address, text = (scope.get("client") or ("",))[0], await _field(receive, "key")
        if not self._doors.may_try(address):
            await answer.page(429, login.page(self._service, "Too many wrong keys: wait a minute."))
            return
        visitor = self._doors.opened_by(text)
        if visitor is None or visitor.role not in SEERS:
            self._doors.was_wrong(address)
            why = "This key is not valid." if visitor is None else f"A key with the role {visitor.role} may not look."
            await answer.page(403, login.page(self._service, why))
            return
        kept = _cookie(self._doors.cookie(text), self._prefix, int(STAYS.total_seconds()), scope)
        await answer.to(f"{self._prefix}/", kept)


class _Answer:
    """One answer on its way out, with the guards on it."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._is_socket, self._send = scope["type"] == "websocket", send

    async def guarded(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            own = {name.lower() for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *(guard for guard in GUARDS if guard[0] not in own)]
        await self._send(message)

    async def text(self, status: int, text: str) -> None:
        await self._whole(status, [(b"content-type", b"text/plain; charset=utf-8")], text)

    async def page(self, status: int, text: str) -> None:
        headers = [(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-store")]
        await self._whole(status, headers, text)

    async def to(self, place: str, *cookies: bytes) -> None:
        await self._whole(303, [(b"location", place.encode()), *((b"set-cookie", one) for one in cookies)], "")

    async def _whole(self, status: int, headers: Headers, text: str) -> None:
        if self._is_socket:
            await self._send({"type": "websocket.close", "code": 4000 + status, "reason": text})
            return
        body = text.encode()
        headers = [*headers, (b"content-length", str(len(body)).encode()), *GUARDS]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


def cookie_of(header: str) -> str:
    """What the browser keeps; empty where it keeps nothing."""
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _cookie(value: str, prefix: str, seconds: int, scope: Scope) -> bytes:
    """For https alone where the browser came by it, as a proxy says."""
    secure = "; Secure" if _is_by_tls(scope) else ""
    told = f"{COOKIE}={value}; Path={prefix or '/'}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
    return told.encode()


def _is_by_tls(scope: Scope) -> bool:
    return (b"x-forwarded-proto", b"https") in scope["headers"]


async def _field(receive: Receive, name: str) -> str:
    """Of a small form; empty where it is none, or too large."""
    body, goes_on = b"", True
    while goes_on and len(body) <= FORM_BYTES:
        message = await receive()
        body, goes_on = body + message.get("body", b""), message.get("more_body", False)
    return parse_qs(body[:FORM_BYTES].decode("latin-1")).get(name, [""])[0].strip()
