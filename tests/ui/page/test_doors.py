"""Who may look at the page, and who may act: keys, cookies, and what stands between a browser and everything else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from arriero.clock import ManualClock
from arriero.control.keys import Key, KeysError, Role, make_lock, write
from arriero.gateway.access.sources import Sources
from arriero.ui.page.doors import TRIES, Doors, Visitor
from arriero.ui.page.entry import Entry

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Home:
    """A project's state, a clock, and one key a role."""

    def __init__(self, folder: Path) -> None:
        self.keys, self.secret, self.clock = folder / "keys.json", folder / "ui" / "secret", ManualClock(NOW)
        self.texts: dict[str, str] = {}
        self._entries: dict[str, Key] = {}

    def add(self, name: str, role: Role, **more: Any) -> str:
        text, lock = make_lock()
        self._entries[name] = Key(name, (lock,), NOW, role, **more)
        self._write()
        return text.reveal()

    def revoke(self, name: str) -> None:
        del self._entries[name]
        self._write()

    def change(self, name: str, **more: Any) -> None:
        self._entries[name] = replace(self._entries[name], **more)
        self._write()

    def doors(self) -> Doors:
        return Doors(self.keys, self.secret, self.clock.now, self.clock.monotonic)

    def _write(self) -> None:
        write(self.keys, self._entries.values())


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_without_keys_nobody_acts_and_none_is_needed_to_look(home: Home) -> None:
    doors = home.doors()
    assert not doors.has_keys
    assert doors.opened_by("ak_000000000000_" + "a" * 43) is None


def test_a_cookie_opens_as_long_as_its_key_does(home: Home) -> None:
    text = home.add("seer", "viewer")
    doors = home.doors()
    assert doors.opened_by(text) == Visitor("seer", "viewer")
    cookie = doors.cookie(text)
    assert text not in cookie
    assert doors.returning(cookie) == Visitor("seer", "viewer")
    assert home.doors().returning(cookie) == Visitor("seer", "viewer"), "the page was started anew"
    home.clock.sleep(12 * 3600)
    assert doors.returning(cookie) is None


def test_a_revoked_or_expired_key_opens_nothing_from_then_on(home: Home) -> None:
    first, second = home.add("first", "viewer"), home.add("second", "admin")
    doors = home.doors()
    cookies = [doors.cookie(first), doors.cookie(second)]
    home.revoke("first")
    assert [doors.returning(one) for one in cookies] == [None, Visitor("second", "admin")]
    home.change("second", expires=NOW + timedelta(minutes=1))
    home.clock.sleep(61)
    assert (doors.returning(cookies[1]), doors.opened_by(second)) == (None, None)
    home.keys.write_text("{")
    assert doors.has_keys
    with pytest.raises(KeysError):
        home.doors().has_keys  # noqa: B018 - it reads the file
    home.keys.unlink()
    assert doors.has_keys, "no key is left, and one is needed still"


def test_forged_cookies_open_nothing(home: Home, tmp_path: Path) -> None:
    text = home.add("seer", "viewer")
    other = Doors(home.keys, tmp_path / "other", home.clock.now, home.clock.monotonic)
    told, _, proof = home.doors().cookie(text).rpartition(".")
    public = told.partition(".")[0]
    forged = [other.cookie(text), f"{public}.9999999999.{proof}", f"{told}.", told, "", "..", "a.b.c", "ä.1.é"]
    assert [home.doors().returning(one) for one in forged] == [None] * len(forged)


def test_keys_can_not_be_guessed(home: Home) -> None:
    doors = home.doors()
    for _ in range(TRIES):
        assert doors.may_try("10.0.0.9")
        doors.was_wrong("10.0.0.9")
    assert not doors.may_try("10.0.0.9")
    assert doors.may_try("10.0.0.8")
    home.clock.sleep(61)
    assert doors.may_try("10.0.0.9")


async def behind(scope: Any, _: Any, send: Any) -> None:
    """What NiceGUI is in earnest: says where it was asked, and for whom."""
    visitor = scope["state"]["visitor"]
    prefix = [value for name, value in scope["headers"] if name == b"x-forwarded-prefix"]
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    body = f"{scope['path']} {visitor.name} {visitor.role} {prefix[0].decode()}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def ask(entry: Entry, path: str, method: str = "GET", body: str = "", kind: str = "http", **headers: str) -> Any:
    """Status, headers, text; of a socket what became of it."""
    told: list[Mapping[str, Any]] = []
    given = {"host": "127.0.0.1:11480", "accept": "text/html", **{k.replace("_", "-"): v for k, v in headers.items()}}
    scope = {
        "type": kind, "method": method, "path": path, "client": ("10.0.0.9", 1),
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body.encode()}

    async def send(message: Mapping[str, Any]) -> None:
        told.append(message)

    asyncio.run(entry(scope, receive, send))
    if kind == "websocket":
        return told[0]["type"]
    found = {name.decode(): value.decode() for name, value in told[0]["headers"]}
    return told[0]["status"], found, told[1]["body"].decode()


ORIGIN = {"origin": "http://127.0.0.1:11480"}


def test_who_has_no_key_is_asked_for_one(home: Home) -> None:
    home.add("seer", "viewer")
    entry = Entry(behind, home.doors(), "llm")
    status, headers, _ = ask(entry, "/")
    assert (status, headers["location"]) == (303, "/login")
    assert ask(entry, "/_nicegui/x.js", accept="*/*")[0] == 401
    assert ask(entry, "/_nicegui_ws/socket.io/", kind="websocket", **ORIGIN) == "websocket.close"
    assert ask(entry, "/healthz")[0] == 200
    assert "API key" in ask(entry, "/login")[2]


def test_logging_in_gives_a_cookie_that_programs_in_the_page_can_not_read(home: Home) -> None:
    text = home.add("seer", "viewer")
    entry = Entry(behind, home.doors(), "llm", "/below")
    status, headers, _ = ask(entry, "/below/login", "POST", f"key={quote(text)}", **ORIGIN)
    assert (status, headers["location"]) == (303, "/below/")
    assert headers["set-cookie"].endswith("; Path=/below; Max-Age=43200; HttpOnly; SameSite=Strict")
    by_tls = ask(entry, "/below/login", "POST", f"key={quote(text)}", x_forwarded_proto="https", **ORIGIN)
    assert by_tls[1]["set-cookie"].endswith("; Secure")
    cookie = headers["set-cookie"].partition(";")[0]
    status, headers, said = ask(entry, "/below/x", cookie=cookie, x_forwarded_prefix='/"><script>')
    assert (status, said) == (200, "/x seer viewer /below")
    assert "default-src 'none'" in headers["content-security-policy"]
    assert ask(entry, "/below/ws", kind="websocket", cookie=cookie, **ORIGIN) == "websocket.accept"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("wrong", "This key is not valid."),
        ("", "This key is not valid."),
        (None, "A key with the role user may not look."),
    ],
)
def test_a_wrong_key_is_refused(home: Home, text: str | None, said: str) -> None:
    own = home.add("app", "user")
    entry = Entry(behind, home.doors(), "llm")
    status, headers, page = ask(entry, "/login", "POST", f"key={own if text is None else text}", **ORIGIN)
    assert (status, "set-cookie" in headers) == (403, False)
    assert said in page


def test_after_ten_wrong_keys_there_is_a_pause(home: Home) -> None:
    text = home.add("seer", "viewer")
    entry = Entry(behind, home.doors(), "llm")
    found = [ask(entry, "/login", "POST", "key=wrong", **ORIGIN)[0] for _ in range(TRIES)]
    assert set(found) == {403}
    assert ask(entry, "/login", "POST", f"key={text}", **ORIGIN)[0] == 429


@pytest.mark.parametrize(
    ("trusted", "first", "second", "is_counted_apart"),
    [
        (("10.0.0.0/8",), "192.0.2.1", "192.0.2.2", True),
        (("10.0.0.9",), "192.0.2.1", "192.0.2.2", True),
        # What a client wrote itself stands to the left of what the proxy knows.
        (("10.0.0.0/8",), "198.51.100.1, 192.0.2.1", "198.51.100.2, 192.0.2.1", False),
        # Proxies in a row.
        (("10.0.0.0/8",), "192.0.2.1, 10.0.0.5", "192.0.2.2, 10.0.0.5", True),
        (("10.0.0.0/8",), "nonsense", "none", False),
        # The proxy that asks is not trusted, whatever it says.
        ((), "192.0.2.1", "192.0.2.2", False),
        (("172.16.0.0/12",), "192.0.2.1", "192.0.2.2", False),
    ],
)
def test_behind_a_trusted_proxy_each_browser_has_tries_of_its_own(
    home: Home, trusted: tuple[str, ...], first: str, second: str, is_counted_apart: bool
) -> None:
    text = home.add("seer", "viewer")
    entry = Entry(behind, home.doors(), "llm", trusted=Sources(trusted))
    for _ in range(TRIES):
        assert ask(entry, "/login", "POST", "key=wrong", x_forwarded_for=first, **ORIGIN)[0] == 403
    assert ask(entry, "/login", "POST", f"key={text}", x_forwarded_for=first, **ORIGIN)[0] == 429
    found = ask(entry, "/login", "POST", f"key={text}", x_forwarded_for=second, **ORIGIN)[0]
    assert found == (303 if is_counted_apart else 429)


@pytest.mark.parametrize(
    ("headers", "kind", "method", "said"),
    [
        ({"host": "evil.example.com"}, "http", "GET", "this page is not known by that name"),
        ({"origin": "http://evil.example.com"}, "http", "POST", "this comes from another site's page"),
        ({"origin": "http://127.0.0.1:8080"}, "http", "POST", "this comes from another site's page"),
        ({"origin": "null"}, "http", "GET", "this comes from another site's page"),
        ({}, "http", "POST", "this comes from another site's page"),
        ({}, "websocket", "GET", ""),
        ({"origin": "http://evil.example.com"}, "websocket", "GET", ""),
    ],
)
def test_other_sites_pages_reach_nothing(
    home: Home, headers: dict[str, str], kind: str, method: str, said: str
) -> None:
    found = ask(Entry(behind, home.doors(), "llm"), "/", method, kind=kind, **headers)
    if kind == "websocket":
        assert found == "websocket.close"
    else:
        assert found[0] == 403
        assert said in found[2]


def test_a_wrong_prefix_is_told_where_the_page_is(home: Home) -> None:
    entry = Entry(behind, home.doors(), "llm", "/arriero")
    where = "the page is at /arriero/, and a proxy has to pass that path on as it is"
    assert ask(entry, "/other/")[::2] == (404, f"Nothing is here: {where}")
    assert ask(entry, "/arrieros/")[0] == 404
    assert ask(entry, "/arriero")[::2] == (200, "/ this machine viewer /arriero")


def test_it_is_known_by_the_names_that_it_was_given(home: Home) -> None:
    entry = Entry(behind, home.doors(), "llm", hosts=frozenset(("fleet.example.com",)))
    assert ask(entry, "/", host="Fleet.example.com:443")[0] == 200
    assert ask(entry, "/", "POST", host="fleet.example.com", origin="https://fleet.example.com")[0] == 200
