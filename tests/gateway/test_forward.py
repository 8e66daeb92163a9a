"""Requests through a whole gateway to scripted servers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from running_gateway import entry, gateway, request, run
from scripted_server import Heard, ScriptedServer, chunk, json_response, says, stream_head

from arriero.control.settings import Limits

CHAT = {"model": "llama2", "messages": []}
LINES = [b'{"response":"a","done":false}\n', b'{"response":"b","done":false}\n', b'{"response":"","done":true}\n']


def test_an_answer_comes_back_with_who_gave_it(tmp_path: Path) -> None:
    async def story() -> None:
        server = await ScriptedServer(plays={"/api/chat": says(json_response({"done": True}))}).start()
        async with gateway(tmp_path, entry(server, "one")) as running:
            reply = await running.ask("POST", "/api/chat", CHAT, "X-Request-Id: mine-1\r\nAuthorization: Bearer x\r\n")
        assert (reply.status, reply.json()) == (200, {"done": True})
        assert reply.header("x-arriero-site") == "site-one"
        assert reply.header("x-arriero-target") == "one"
        assert reply.header("x-arriero-attempts") == "1"
        assert reply.header("x-arriero-queue-ms") == "0"
        assert reply.header("x-request-id") == "mine-1"
        head = server.heard[0].head
        assert b"Host: " + server.address.encode() in head
        assert b"Bearer" not in head
        assert running.records()[0].items() >= {
            "event": "request", "id": "mine-1", "method": "POST", "path": "/api/chat",
            "model": "llama2:latest", "status": 200, "outcome": "answered", "site": "site-one", "target": "one",
            "attempts": 1, "migrations": 0, "key": "", "queue_ms": 0.0, "load_ms": 0.0,
            "tokens_in": 0, "tokens_out": 0, "received_bytes": 35, "sent_bytes": len(reply.head) + 4 + 14,
        }.items()  # fmt: skip
        await server.stop()

    run(story())


def test_a_stream_passes_chunk_by_chunk_as_it_comes(tmp_path: Path) -> None:
    async def story() -> None:
        go = asyncio.Event()

        async def play(heard: Heard) -> None:
            await heard.send(stream_head() + chunk(LINES[0]))
            await go.wait()
            await heard.send(chunk(LINES[1]) + chunk(LINES[2]) + b"0\r\n\r\n")

        server = await ScriptedServer(plays={"/api/generate": play}).start()
        async with gateway(tmp_path, entry(server, "one")) as running:
            client = await running.connect()
            await client.send(request("POST", "/api/generate", {"model": "llama2"}))
            await client.head()
            assert await client.chunk() == LINES[0]
            go.set()
            assert [await client.chunk() for _ in range(3)] == [LINES[1], LINES[2], b""]
            await client.aclose()
        await server.stop()

    run(story())


@pytest.mark.parametrize("way", ["break", "refuse", "500", "503", "404", "no http"])
def test_a_target_that_fails_before_its_first_byte_is_left_for_another(tmp_path: Path, way: str) -> None:
    async def broken(heard: Heard) -> None:
        if way == "break":
            heard.break_off()
        elif way == "no http":
            await heard.send(b"\x00\x01\x02")
        else:
            await heard.send(json_response({"error": "no"}, f"{way} No"))

    async def story() -> None:
        bad = await ScriptedServer(plays={"/api/chat": broken}).start()
        good = await ScriptedServer(plays={"/api/chat": says(json_response({"done": True}))}).start()
        async with gateway(tmp_path, entry(bad, "bad"), entry(good, "good", role="standby")) as running:
            if way == "refuse":
                await bad.stop()
            reply = await running.ask("POST", "/api/chat", CHAT)
        assert (reply.status, reply.header("x-arriero-target"), reply.header("x-arriero-attempts")) == (
            200,
            "good",
            "2",
        )
        await bad.stop()
        await good.stop()

    run(story())


def test_a_site_that_is_gone_costs_no_attempts(tmp_path: Path) -> None:
    """Nothing was begun where nobody was reached: the request goes on until somebody is."""

    async def story() -> None:
        plays = {"/api/chat": says(json_response({"done": True}))}
        servers = [await ScriptedServer(plays=dict(plays)).start() for _ in range(5)]
        entries = [entry(server, f"t{place}") for place, server in enumerate(servers)]
        async with gateway(tmp_path, *entries, limits=Limits(probe_every_seconds=30)) as running:
            for server in servers[:4]:
                await server.stop()
            reply = await running.ask("POST", "/api/chat", CHAT)
        assert (reply.status, reply.header("x-arriero-target")) == (200, "t4")
        await servers[4].stop()

    run(story())


def test_the_last_target_that_fails_is_heard(tmp_path: Path) -> None:
    async def story() -> None:
        server = await ScriptedServer(plays={"/api/chat": says(json_response({"error": "busy"}, "503 No"))}).start()
        async with gateway(tmp_path, entry(server, "one")) as running:
            reply = await running.ask("POST", "/api/chat", CHAT)
            assert (reply.status, reply.json()) == (503, {"error": "busy"})
            await server.stop()
            reply = await running.ask("POST", "/api/chat", CHAT)
            assert reply.status in (502, 503)

    run(story())


ENDS = {
    "/api/chat": ("application/x-ndjson", LINES[0], b'{"error":"the stream broke off at target one of site site-one'),
    "/v1/chat/completions": (
        "text/event-stream",
        b'data: {"choices":[]}\n\n',
        b'data: {"error":{"message":"the stream',
    ),
    "/v1/messages": (
        "text/event-stream",
        b'data: {"type":"x"}\n\n',
        b'event: error\ndata: {"type":"error","error":{"type"',
    ),
    "/v1/responses": (
        "text/event-stream",
        b'data: {"type":"x"}\n\n',
        b'event: error\ndata: {"type":"error","code":"server_',
    ),
}


@pytest.mark.parametrize("path", ENDS)
@pytest.mark.parametrize("way", ["break", "break in a record", "end without its last record"])
def test_a_stream_that_breaks_off_ends_with_an_explicit_error(tmp_path: Path, path: str, way: str) -> None:
    kind, record, error = ENDS[path]

    async def play(heard: Heard) -> None:
        await heard.send(stream_head(kind) + chunk(record))
        if way == "break in a record":
            await heard.send(chunk(record)[:12])
        if way == "end without its last record":
            await heard.send(b"0\r\n\r\n")
        else:
            await asyncio.sleep(0.05)
            heard.break_off()

    async def story() -> None:
        server = await ScriptedServer(plays={path: play}).start()
        async with gateway(tmp_path, entry(server, "one")) as running:
            reply = await running.ask("POST", path, {**CHAT, "stream": True})
        assert reply.body.startswith(record + error), reply.body
        assert reply.body.endswith(b"\n")
        assert running.records()[-1]["outcome"] == "cut"
        await server.stop()

    run(story())


def test_a_body_of_known_length_that_breaks_off_is_seen_to_be_cut(tmp_path: Path) -> None:
    async def play(heard: Heard) -> None:
        await heard.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await asyncio.sleep(0.05)
        heard.break_off()

    async def story() -> None:
        server = await ScriptedServer(plays={"/api/chat": play}).start()
        async with gateway(tmp_path, entry(server, "one")) as running:
            client = await running.connect()
            await client.send(request("POST", "/api/chat", CHAT))
            await client.head()
            assert len(await client.rest()) < 100
            await client.aclose()
        assert running.records()[-1]["outcome"] == "cut"
        await server.stop()

    run(story())


def test_a_client_that_leaves_ends_the_generation_within_100_ms(tmp_path: Path) -> None:
    async def story() -> None:
        left = asyncio.Event()

        async def play(heard: Heard) -> None:
            await heard.send(stream_head() + chunk(LINES[0]))
            await heard.client_left()
            left.set()

        server = await ScriptedServer(plays={"/api/chat": play}).start()
        async with gateway(tmp_path, entry(server, "one")) as running:
            client = await running.connect()
            await client.send(request("POST", "/api/chat", CHAT))
            await client.head()
            client.writer.transport.abort()
            async with asyncio.timeout(0.1):
                await left.wait()
            assert next(iter(running.context.pool)).in_flight == 0
            assert not running.context.open
        assert running.records()[-1]["outcome"] == "gone"
        await server.stop()

    run(story())


def test_a_target_that_freezes_in_mid_stream_is_left_with_an_explicit_error(tmp_path: Path) -> None:
    async def story() -> None:
        server = ScriptedServer()

        async def play(heard: Heard) -> None:
            await heard.send(stream_head() + chunk(LINES[0]))
            server.is_frozen = True
            await heard.client_left()

        server.plays["/api/chat"] = play
        await server.start()
        async with gateway(tmp_path, entry(server, "one")) as running:
            reply = await running.ask("POST", "/api/chat", CHAT)
            assert reply.body.startswith(LINES[0] + b'{"error":"the stream broke off')
            assert b"answers no more" in reply.body
        await server.stop()

    run(story())


def test_a_target_that_freezes_before_its_first_byte_is_left_for_another(tmp_path: Path) -> None:
    async def story() -> None:
        frozen, good = ScriptedServer(), ScriptedServer(plays={"/api/chat": says(json_response({"done": True}))})

        async def play(heard: Heard) -> None:
            frozen.is_frozen = True
            await heard.client_left()

        frozen.plays["/api/chat"] = play
        await frozen.start()
        await good.start()
        async with gateway(tmp_path, entry(frozen, "frozen"), entry(good, "good", role="standby")) as running:
            reply = await running.ask("POST", "/api/chat", CHAT)
            assert (reply.status, reply.header("x-arriero-target")) == (200, "good")
        await frozen.stop()
        await good.stop()

    run(story())


def test_a_client_that_reads_slowly_slows_the_target_down_not_the_gateway(tmp_path: Path) -> None:
    sent = 0

    async def play(heard: Heard) -> None:
        nonlocal sent
        heard.writer.write(stream_head())
        for _ in range(1000):
            await heard.send(chunk(b'{"response":"%b","done":false}\n' % (b"x" * 32_000)))
            sent += 32_000
        await heard.send(chunk(LINES[2]) + b"0\r\n\r\n")

    async def story() -> None:
        server = await ScriptedServer(plays={"/api/chat": play}).start()
        async with gateway(tmp_path, entry(server, "one")) as running:
            client = await running.connect()
            await client.send(request("POST", "/api/chat", CHAT))
            client.reader._transport.pause_reading()  # type: ignore[attr-defined]
            seen = -1
            while sent != seen:
                seen = sent
                await asyncio.sleep(0.1)
            assert sent < 24_000_000
            client.reader._transport.resume_reading()  # type: ignore[attr-defined]
            reply = await client.reply("POST")
            assert reply.body.count(b"\n") == 1001
            await client.aclose()
        await server.stop()

    run(story())


def test_200_streams_run_side_by_side_and_none_mixes_with_another(tmp_path: Path) -> None:
    async def play(heard: Heard) -> None:
        await heard.send(stream_head())
        for _ in range(20):
            await heard.send(chunk(heard.body + b"\n"))
            await asyncio.sleep(0.01)
        await heard.send(chunk(LINES[2]) + b"0\r\n\r\n")

    async def story() -> None:
        servers = [await ScriptedServer(plays={"/api/chat": play}).start() for _ in range(3)]
        entries = [entry(server, f"t{n}") for n, server in enumerate(servers)]
        async with gateway(tmp_path, *entries) as running:
            bodies = [{**CHAT, "n": n} for n in range(200)]
            replies = await asyncio.gather(*(running.ask("POST", "/api/chat", body) for body in bodies))
            for n, reply in enumerate(replies):
                assert reply.body.count(b'"n": %d}' % n) == 20
                assert reply.body.endswith(LINES[2])
            assert {target.in_flight for target in running.context.pool} == {0}
        assert {len(server.heard) > 40 for server in servers} == {True}
        for server in servers:
            await server.stop()

    run(story())
