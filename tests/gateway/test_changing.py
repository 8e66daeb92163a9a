"""Verbs that change models: refused where they are fixed, else an admin's, at all targets, and answered as one."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from keyed import bearer, made, written
from running_gateway import FAST, entry, gateway, request, run
from scripted_server import Heard, Play, ScriptedServer, chunk, json_response, response, says, stream_head

from arriero.gateway.relay.writing import FIXED, NO_KEYS

ADMIN, ADMIN_KEY = made("root", role="admin")
USER, USER_KEY = made("app")
TEXTS = {"root": ADMIN, "app": USER}
PULL = {"model": "qwen"}
DONE = {"status": "success"}


def line(status: str, **more: object) -> bytes:
    return json.dumps({"status": status, **more}).encode() + b"\n"


def tells(*steps: bytes | asyncio.Event) -> Play:
    """Status lines one after the other; at an event it waits."""

    async def play(heard: Heard) -> None:
        await heard.send(stream_head())
        for step in steps:
            if isinstance(step, asyncio.Event):
                await step.wait()
            else:
                await heard.send(chunk(step))
        await heard.send(b"0\r\n\r\n")

    return play


async def server_with(path: str, play: Play) -> ScriptedServer:
    return await ScriptedServer(plays={path: play}).start()


def asked(server: ScriptedServer, path: str) -> list[bytes]:
    return [heard.body for heard in server.heard if heard.path == path]


@pytest.mark.parametrize(
    ("is_writable", "key", "ask", "status", "message"),
    [
        (False, "root", "POST /api/pull", 403, FIXED),
        (False, "", "DELETE /api/delete", 403, FIXED),
        (False, "root", "POST /api/blobs/sha256:00", 403, FIXED),
        (True, "app", "POST /api/blobs/sha256:00", 403, "a key with the role user may not do this"),
        (True, "root", "POST /api/push", 404, "model 'qwen' not found"),
        (True, "app", "POST /api/pull", 403, "a key with the role user may not do this"),
        (True, "", "POST /api/pull", 401, None),
    ],
)
def test_who_may_change_models_and_where(
    tmp_path: Path, is_writable: bool, key: str, ask: str, status: int, message: str | None
) -> None:
    async def story() -> None:
        server = await ScriptedServer().start()
        file = written(tmp_path, ADMIN_KEY, USER_KEY)
        async with gateway(tmp_path, entry(server, "a", is_writable=is_writable), keys_file=file) as running:
            reply = await running.ask(*ask.split(), PULL, bearer(TEXTS[key]) if key else "")  # type: ignore[misc]
            assert reply.status == status
            assert message is None or reply.json() == {"error": message}
        assert server.heard == []
        await server.stop()

    run(story())


def test_without_keys_nobody_is_an_admin(tmp_path: Path) -> None:
    async def story() -> None:
        server = await ScriptedServer().start()
        async with gateway(tmp_path, entry(server, "a", is_writable=True)) as running:
            reply = await running.ask("POST", "/api/pull", PULL)
            assert (reply.status, reply.json()) == (403, {"error": NO_KEYS})
        await server.stop()

    run(story())


def test_a_pull_tells_of_the_target_that_is_least_far(tmp_path: Path) -> None:
    async def story() -> None:
        first, second = asyncio.Event(), asyncio.Event()
        layer = {"digest": "sha256:1", "total": 100}
        fast = tells(line("pulling manifest"), line("pulling 1", **layer, completed=100), line("success"))
        late = tells(
            line("pulling manifest"), line("pulling 1", **layer, completed=10), first,
            line("pulling 1", **layer, completed=60), second, line("success"),
        )  # fmt: skip
        servers = [await server_with("/api/pull", play) for play in (fast, late)]
        other = await ScriptedServer().start()
        file = written(tmp_path, ADMIN_KEY)
        entries = [entry(server, f"w{n}", is_writable=True) for n, server in enumerate(servers)]
        async with gateway(tmp_path, *entries, entry(other, "fixed"), keys_file=file) as running:
            client = await running.connect()
            await client.send(request("POST", "/api/pull", PULL, bearer(ADMIN)))
            came = await client.reader.readuntil(b'"completed":10}')
            first.set()
            came += await client.reader.readuntil(b'"completed":60}')
            second.set()
            came += await client.reader.readuntil(b"\r\n0\r\n\r\n")
            assert came.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n")
            lines = [json.loads(text) for text in came.splitlines() if text.startswith(b"{")]
            assert [each["completed"] for each in lines if "completed" in each] == [10, 60]
            assert [number for number, each in enumerate(lines) if each == DONE] == [len(lines) - 1]
            assert [json.loads(body) for server in servers for body in asked(server, "/api/pull")] == [PULL, PULL]
            usage = running.context.guard.usages()["root"]
            assert (usage.open, usage.requests_total, len(running.context.open)) == (0, 1, 0)
            await client.aclose()
        assert other.heard == []
        (record,) = (each for each in running.records() if each["path"] == "/api/pull")
        assert (record["model"], record["attempts"], record["outcome"]) == ("qwen:latest", 2, "answered")
        for server in (*servers, other):
            await server.stop()

    run(story())


FAILS = tells(line("pulling manifest"), json.dumps({"error": "no such manifest"}).encode() + b"\n")
WORKS = tells(line("pulling manifest"), line("success"))


async def breaks(heard: Heard) -> None:
    await heard.send(stream_head() + chunk(line("pulling manifest")))
    heard.break_off()


@pytest.mark.parametrize(
    ("play", "why"),
    [(FAILS, "no such manifest"), (breaks, "it closed the connection"), (says(b"??\r\n\r\n"), "not HTTP")],
)
def test_a_target_that_fails_is_an_error_at_the_end(tmp_path: Path, play: Play, why: str) -> None:
    async def story() -> None:
        servers = [await server_with("/api/pull", each) for each in (WORKS, play)]
        entries = [entry(server, f"w{n}", is_writable=True) for n, server in enumerate(servers)]
        async with gateway(tmp_path, *entries, keys_file=written(tmp_path, ADMIN_KEY)) as running:
            reply = await running.ask("POST", "/api/pull", PULL, bearer(ADMIN))
            last = json.loads(reply.body.splitlines()[-1])
            assert last["error"].startswith("at target w1: ")
            assert why in last["error"]
            assert DONE not in [json.loads(text) for text in reply.body.splitlines()]
            quiet = await running.ask("POST", "/api/pull", {**PULL, "stream": False}, bearer(ADMIN))
            assert quiet.status == 502
            assert why in quiet.json()["error"]  # type: ignore[index]
            assert not running.context.open
        for server in servers:
            await server.stop()

    run(story())


def test_a_client_that_goes_ends_the_pull_everywhere(tmp_path: Path) -> None:
    async def story() -> None:
        left: list[str] = []

        async def hold(heard: Heard) -> None:
            await heard.send(stream_head() + chunk(line("pulling manifest")))
            await heard.client_left()
            left.append(heard.path)

        servers = [await server_with("/api/pull", hold) for _ in range(2)]
        entries = [entry(server, f"w{n}", is_writable=True) for n, server in enumerate(servers)]
        async with gateway(tmp_path, *entries, keys_file=written(tmp_path, ADMIN_KEY)) as running:
            client = await running.connect()
            await client.send(request("POST", "/api/pull", PULL, bearer(ADMIN)))
            await running.until(lambda: all(server.heard for server in servers))
            await client.aclose()
            await running.until(lambda: len(left) == 2)
            assert not running.context.open
            assert running.context.guard.usages()["root"].open == 0
        for server in servers:
            await server.stop()

    run(story())


GONE = json_response({"error": "model 'qwen' not found"}, "404 Not Found")


@pytest.mark.parametrize(
    ("path", "plays", "status", "body"),
    [
        ("/api/delete", (response(b""), response(b"")), 200, b""),
        ("/api/delete", (GONE, response(b"")), 200, b""),
        (
            "/api/delete",
            (GONE, GONE),
            404,
            b"at target w0: model 'qwen' not found; at target w1: model 'qwen' not found",
        ),
        ("/api/copy", (response(b""), response(b"")), 200, b""),
        ("/api/copy", (response(b""), GONE), 404, b"at target w1: model 'qwen' not found"),
    ],
)
def test_copies_and_deletes_are_answered_once_all_have(
    tmp_path: Path, path: str, plays: tuple[bytes, bytes], status: int, body: bytes
) -> None:
    async def story() -> None:
        servers = [await server_with(path, says(play)) for play in plays]
        entries = [entry(server, f"w{n}", is_writable=True) for n, server in enumerate(servers)]
        async with gateway(tmp_path, *entries, keys_file=written(tmp_path, ADMIN_KEY)) as running:
            method = "DELETE" if path == "/api/delete" else "POST"
            reply = await running.ask(method, path, PULL, bearer(ADMIN))
            assert reply.status == status
            assert reply.body == (b'{"error":"' + body + b'"}' if body else b"")
        assert [len(asked(server, path)) for server in servers] == [1, 1]
        for server in servers:
            await server.stop()

    run(story())


def test_nothing_is_changed_while_one_target_is_away(tmp_path: Path) -> None:
    async def story() -> None:
        servers = [await server_with("/api/pull", WORKS) for _ in range(2)]
        entries = [entry(server, f"w{n}", is_writable=True) for n, server in enumerate(servers)]
        file = written(tmp_path, ADMIN_KEY)
        async with gateway(tmp_path, *entries, limits=FAST, keys_file=file) as running:
            await servers[1].stop()
            await running.until(lambda: any(target.state == "down" for target in running.context.pool))
            reply = await running.ask("POST", "/api/pull", PULL, bearer(ADMIN))
            assert (reply.status, reply.header("Retry-After")) == (503, "5")
            assert reply.json() == {
                "error": "no model is changed: target w1 is down, and it has to be done at all targets; try again soon"
            }
        assert servers[0].heard == []
        await servers[0].stop()

    run(story())


def test_a_push_goes_out_once_from_a_target_that_has_the_model(tmp_path: Path) -> None:
    async def story() -> None:
        steps = tells(line("retrieving manifest"), line("pushing 1", total=10, completed=5), line("success"))
        names = (("other:latest",), ("qwen:latest",), ("qwen:latest",))
        servers = [await ScriptedServer(models=each, plays={"/api/push": steps}).start() for each in names]
        entries = [entry(server, f"w{n}", is_writable=True) for n, server in enumerate(servers)]
        async with gateway(tmp_path, *entries, keys_file=written(tmp_path, ADMIN_KEY)) as running:
            reply = await running.ask("POST", "/api/push", PULL, bearer(ADMIN))
            assert json.loads(reply.body.splitlines()[-1]) == DONE
        assert [len(asked(server, "/api/push")) for server in servers] == [0, 1, 0]
        for server in servers:
            await server.stop()

    run(story())


FILE = b"weights" * 40_000
BLOB = f"/api/blobs/sha256:{sha256(FILE).hexdigest()}"


def takes(got: list[bytes], gate: asyncio.Event | None = None) -> Play:
    """Reads a chunked file, once it may, and answers as Ollama does."""

    async def play(heard: Heard) -> None:
        if gate is not None:
            transport = heard.writer.transport
            transport.pause_reading()  # type: ignore[attr-defined]
            await gate.wait()
            transport.resume_reading()  # type: ignore[attr-defined]
        text = b""
        while size := int(await heard.reader.readline(), 16):
            text += (await heard.reader.readexactly(size + 2))[:-2]
        await heard.reader.readexactly(2)
        got.append(text)
        await heard.send(response(b"", status="201 Created"))

    return play


def pieces(text: bytes, size: int = 50_000) -> list[bytes]:
    return [chunk(text[start : start + size]) for start in range(0, len(text), size)]


def test_a_file_goes_to_every_target_as_fast_as_the_slowest_takes_it(tmp_path: Path) -> None:
    async def story() -> None:
        got: list[bytes] = []
        gate = asyncio.Event()
        servers = [await server_with(BLOB, takes(got, each)) for each in (None, gate)]
        entries = [entry(server, f"w{n}", is_writable=True) for n, server in enumerate(servers)]
        limits = replace(FAST, body_bytes=1000, stall_seconds=60.0)
        async with gateway(tmp_path, *entries, limits=limits, keys_file=written(tmp_path, ADMIN_KEY)) as running:
            client = await running.connect()
            head = f"POST {BLOB} HTTP/1.1\r\nHost: localhost\r\n{bearer(ADMIN)}Transfer-Encoding: chunked\r\n"
            await client.send(head.encode() + b"Expect: 100-continue\r\n\r\n")
            assert await client.head() == b"HTTP/1.1 100 Continue"
            for _ in range(60):
                sending = asyncio.ensure_future(client.send(b"".join(pieces(FILE))))
                done, _ = await asyncio.wait((sending,), timeout=0.2)
                if not done:
                    break
            assert not done  # one target takes nothing: the client is read no further, and nothing piles up here
            gate.set()
            await sending
            await client.send(b"0\r\n\r\n")
            reply = await client.reply("POST")
            assert (reply.status, reply.body) == (201, b"")
            assert len(set(map(len, got))) == 1
            assert len(got) == 2
            assert got[0] == FILE * (len(got[0]) // len(FILE))
            assert not running.context.open
            await client.aclose()
        for server in servers:
            await server.stop()

    run(story())


@pytest.mark.parametrize("way", ["the client leaves", "the framing is wrong", "a target breaks"])
def test_a_file_that_is_cut_is_an_error_or_nothing(tmp_path: Path, way: str) -> None:
    async def story() -> None:
        left: list[str] = []

        async def hold(heard: Heard) -> None:
            if way == "a target breaks":
                await heard.reader.readline()
                heard.break_off()
            await heard.client_left()
            left.append(heard.path)

        servers = [await server_with(BLOB, play) for play in (hold, takes([]))]
        entries = [entry(server, f"w{n}", is_writable=True) for n, server in enumerate(servers)]
        async with gateway(tmp_path, *entries, keys_file=written(tmp_path, ADMIN_KEY)) as running:
            client = await running.connect()
            head = f"POST {BLOB} HTTP/1.1\r\nHost: localhost\r\n{bearer(ADMIN)}Transfer-Encoding: chunked\r\n\r\n"
            await client.send(head.encode() + chunk(b"half"))
            await running.until(lambda: all(server.heard for server in servers))
            if way == "the client leaves":
                await client.aclose()
            elif way == "the framing is wrong":
                await client.send(b"zz\r\n")
                assert (await client.reply("POST")).status == 400
            else:
                await client.send(b"0\r\n\r\n")
                reply = await client.reply("POST")
                assert reply.status == 502
                assert b"at target w0: it closed the connection" in reply.body
            await running.until(lambda: not running.context.open)
            await running.until(lambda: bool(left) or way == "a target breaks")
            assert running.context.guard.usages()["root"].open == 0
            await client.aclose()
        for server in servers:
            await server.stop()

    run(story())


@pytest.mark.parametrize(("second", "status"), [("200 OK", 200), ("404 Not Found", 404)])
def test_a_file_is_there_when_all_have_it(tmp_path: Path, second: str, status: int) -> None:
    async def story() -> None:
        # As Ollama: no length, and no body whatever it says.
        servers = [
            await server_with(BLOB, says(f"HTTP/1.1 {each}\r\nDate: x\r\n\r\n".encode())) for each in ("200 OK", second)
        ]
        entries = [entry(server, f"w{n}", is_writable=True) for n, server in enumerate(servers)]
        async with gateway(tmp_path, *entries, keys_file=written(tmp_path, ADMIN_KEY)) as running:
            reply = await running.ask("HEAD", BLOB, headers=bearer(ADMIN))
            assert (reply.status, reply.body) == (status, b"")
        for server in servers:
            await server.stop()

    run(story())
