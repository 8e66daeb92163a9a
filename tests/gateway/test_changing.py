"""Verbs that change models: refused where they are fixed, else an admin's, at all targets, and answered as one."""

from __future__ import annotations

import asyncio
import json
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
        (True, "app", "POST /api/pull", 403, "a key with the role user may not do this"),
        (True, "", "POST /api/pull", 401, None),
        (
            True,
            "root",
            "POST /api/push",
            403,
            "a push would come from every target; push from one of the servers itself",
        ),
        (
            True,
            "root",
            "POST /api/blobs/sha256:00",
            403,
            "files for a model can't be sent through the gateway; pull the model, or create it from another one",
        ),
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
