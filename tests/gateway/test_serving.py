"""What the gateway answers by itself, browsers, orders, draining."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from pathlib import Path

import pytest
from running_gateway import FAST, TOKEN, entry, gateway, request, run
from scripted_server import Heard, ScriptedServer, chunk, json_response, says, stream_head

from arriero.clock import SystemClock
from arriero.control.client import Gateway, GatewayError
from arriero.control.messages import TargetEntry, Targets, Weights
from arriero.secret import Secret

CHAT = {"model": "llama2", "messages": []}
LINE, LAST = b'{"done":false}\n', b'{"done":true}\n'


def test_local_answers(tmp_path: Path) -> None:
    async def story() -> None:
        server = await ScriptedServer(version="0.17.4").start()
        async with gateway(tmp_path, entry(server, "one")) as running:
            assert (await running.ask("GET", "/")).body == b"Ollama is running"
            head = await running.ask("HEAD", "/")
            assert (head.status, head.header("content-length")) == (200, "17")
            assert (await running.ask("GET", "/api/version")).body == b'{"version":"0.17.4"}'
            assert (await running.ask("GET", "/healthz")).status == 200
            assert (await running.ask("GET", "/readyz")).status == 200
            await server.stop()
            await running.until(lambda: not running.context.pool.is_ready())
            assert (await running.ask("GET", "/readyz")).status == 503
            for path in ("/api/tags", "/api/version", "/v1/models"):
                reply = await running.ask("GET", path)
                assert (reply.status, reply.header("retry-after")) == (503, "2")
            reply = await running.ask("POST", "/v1/chat/completions", CHAT)
            assert (reply.status, reply.header("retry-after")) == (503, "2")
            message = "no target that may have this model answers now; try again soon"
            assert reply.json() == {"error": {"message": message, "type": "api_error", "param": None, "code": None}}

    run(story())


def test_the_figures_count_what_happened(tmp_path: Path) -> None:
    async def story() -> None:
        server = await ScriptedServer(plays={"/api/chat": says(json_response({"done": True}))}).start()
        async with gateway(tmp_path, entry(server, "one")) as running:
            for _ in range(3):
                await running.ask("POST", "/api/chat", CHAT)
            await running.ask("GET", "/some/path/that/a/scanner/made/up")
            text = (await running.ask("GET", "/metrics")).body.decode().splitlines()
        assert 'arriero_requests_total{path="/api/chat",status="200",outcome="answered"} 3' in text
        assert 'arriero_requests_total{path="other",status="404",outcome="refused"} 1' in text
        assert 'arriero_attempts_total{result="answered"} 3' in text
        assert 'arriero_targets{site="site-one",state="up"} 1' in text
        assert 'ollama_models_loaded{model="llama2:latest"} 1' in text
        assert 'arriero_first_byte_seconds_count{path="/api/chat"} 3' in text
        assert "arriero_requests_open 0" in text
        await server.stop()

    run(story())


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://localhost:3000", True),
        ("https://127.0.0.1", True),
        ("tauri://localhost", True),
        ("https://chat.example.com", True),
        ("https://evil.example", False),
        ("http://localhost.evil.example", False),
        ("http://[", False),
    ],
)
def test_pages_of_known_origins_may_ask(tmp_path: Path, origin: str, allowed: bool) -> None:
    async def story() -> None:
        server = await ScriptedServer(plays={"/api/chat": says(json_response({"done": True}))}).start()
        async with gateway(tmp_path, entry(server, "one"), origins=("https://chat.example.com",)) as running:
            ask = f"Origin: {origin}\r\nAccess-Control-Request-Method: POST\r\n"
            preflight = await running.ask("OPTIONS", "/api/chat", headers=ask)
            reply = await running.ask("POST", "/api/chat", CHAT, f"Origin: {origin}\r\n")
        assert (preflight.status, reply.status) == ((204, 200) if allowed else (403, 403))
        for answer in (preflight, reply):
            assert answer.header("access-control-allow-origin") == (origin if allowed else None)
        assert all(b"Origin" not in heard.head for heard in server.heard)
        await server.stop()

    run(story())


def test_a_preflight_is_answered_as_ollama_does(tmp_path: Path) -> None:
    recorded = (
        Path(__file__).resolve().parents[3] / "shared/data/ollama-captures/v0.32.15/options_cors_localhost.resp.raw"
    )
    if not recorded.exists():
        pytest.skip("the recorded exchanges are not here")

    async def story() -> None:
        async with gateway(tmp_path) as running:
            ask = "Origin: http://localhost:3000\r\nAccess-Control-Request-Method: POST\r\n"
            reply = await running.ask("OPTIONS", "/api/generate", headers=ask)
        own = (b"Date", b"Connection", b"X-Request-Id")
        lines = [line for line in recorded.read_bytes().split(b"\r\n") if line and not line.startswith(own)]
        assert sorted(line for line in reply.head.split(b"\r\n") if not line.startswith(own)) == sorted(lines)

    run(story())


def test_orders_over_the_control_port(tmp_path: Path) -> None:
    async def story() -> None:
        server = await ScriptedServer(plays={"/api/chat": says(json_response({"done": True}))}).start()
        async with gateway(tmp_path) as running:
            client = Gateway(f"http://{running.settings.control}", Secret(TOKEN))
            targets = Targets((entry(server, "one"), TargetEntry("two", "there", "127.0.0.1:9", release=3)))
            await asyncio.to_thread(client.set_targets, targets)
            assert await asyncio.to_thread(client.targets) == targets
            assert Targets.from_json(json.loads(Path(running.settings.targets_file).read_text())) == targets
            await running.until(lambda: {t.state for t in running.context.pool} == {"up", "down"})
            status = await asyncio.to_thread(client.status)
            assert (status.service, status.draining, status.in_flight) == ("llm", False, 0)
            one, two = status.targets
            assert (one.state, one.models, one.resident) == ("up", ("llama2:latest",), ("llama2:latest",))
            assert (two.state, two.release) == ("down", 3)
            assert "no connection" in two.reason
            await asyncio.to_thread(client.drain, "one")
            assert (await running.ask("POST", "/api/chat", CHAT)).status == 503
            await asyncio.to_thread(client.set_weights, Weights({"one": 50}))
            assert (await running.ask("POST", "/api/chat", CHAT)).status == 200
            with pytest.raises(GatewayError, match=r"said no \(400\): unknown or missing: 'three'"):
                await asyncio.to_thread(client.drain, "three")
        await server.stop()

    run(story())


def test_draining_a_target_lets_its_stream_end(tmp_path: Path) -> None:
    async def story() -> None:
        go = asyncio.Event()

        async def play(heard: Heard) -> None:
            await heard.send(stream_head() + chunk(LINE))
            await go.wait()
            await heard.send(chunk(LAST) + b"0\r\n\r\n")

        server = await ScriptedServer(plays={"/api/chat": play}).start()
        async with gateway(tmp_path, entry(server, "one")) as running:
            control = Gateway(f"http://{running.settings.control}", Secret(TOKEN))
            client = await running.connect()
            await client.send(request("POST", "/api/chat", CHAT))
            await client.head()
            await asyncio.to_thread(control.drain, "one")
            assert not await asyncio.to_thread(control.wait_until_empty, ("one",), SystemClock(), 0.05)
            go.set()
            assert [await client.chunk() for _ in range(3)] == [LINE, LAST, b""]
            assert await asyncio.to_thread(control.wait_until_empty, ("one",), SystemClock(), 5.0)
            await client.aclose()
        await server.stop()

    run(story())


ORDERS = [
    (b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n", 401, "the token is missing or wrong"),
    (b"GET /status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wrong\r\n\r\n", 401, "the token is missing or wrong"),
    (b"GET /nothing HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n\r\n", 404, "there is no such order"),
]
BODIES = [
    b"", b"nonsense", b"[]", b"{}", b'{"targets": 1}', b'{"targets": [{}]}', b'{"targets": [{"id": "a"}]}',
    b'{"targets": [{"id":"a","site":"b","address":"nowhere"}]}', b"[" * 100_000,
    b'{"targets": [{"id":"a","site":"b","address":"h:1","slots":0}]}',
]  # fmt: skip


def test_bad_orders_are_refused_and_change_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with gateway(tmp_path, TargetEntry("one", "here", "127.0.0.1:9")) as running:
            host, _, port = running.settings.control.rpartition(":")
            cases = [(sent.replace(b"%b", TOKEN.encode()), status, error) for sent, status, error in ORDERS]
            head = b"PUT /targets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\nContent-Length: %d\r\n\r\n"
            cases += [(head % (TOKEN.encode(), len(body)) + body, 400, "") for body in BODIES]
            for sent, status, error in cases:
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(sent)
                answer = await reader.readuntil(b"\r\n\r\n")
                length = int(answer.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
                assert int(answer.split(b" ")[1]) == status, sent[:200]
                assert error in json.loads(await reader.readexactly(length))["error"]
                writer.close()
            assert [target.entry.id for target in running.context.pool] == ["one"]

    run(story())


def test_a_stopping_gateway_lets_streams_end_and_takes_no_new_ones(tmp_path: Path) -> None:
    async def story() -> None:
        go = asyncio.Event()

        async def play(heard: Heard) -> None:
            await heard.send(stream_head() + chunk(LINE))
            await go.wait()
            await heard.send(chunk(LAST) + b"0\r\n\r\n")

        server = await ScriptedServer(plays={"/api/chat": play}).start()
        async with gateway(tmp_path, entry(server, "one")) as running:
            client, idle = await running.connect(), await running.connect()
            await client.send(request("POST", "/api/chat", CHAT))
            await client.head()
            running.stop.set()
            assert await idle.rest() == b""
            with pytest.raises(ConnectionRefusedError):
                await running.connect()
            assert not running.task.done()
            go.set()
            assert [await client.chunk() for _ in range(3)] == [LINE, LAST, b""]
            assert await client.rest() == b""
            await asyncio.wait_for(running.task, 2)
            for left in (client, idle):
                await left.aclose()
        await server.stop()

    run(story())


def test_a_stream_past_the_drain_limit_is_cut_with_an_explicit_error(tmp_path: Path) -> None:
    async def play(heard: Heard) -> None:
        await heard.send(stream_head() + chunk(LINE))
        await heard.client_left()

    async def story() -> None:
        server = await ScriptedServer(plays={"/api/chat": play}).start()
        limits = dataclasses.replace(FAST, drain_seconds=0.1)
        async with gateway(tmp_path, entry(server, "one"), limits=limits) as running:
            client = await running.connect()
            await client.send(request("POST", "/api/chat", CHAT))
            await client.head()
            assert await client.chunk() == LINE
            running.stop.set()
            assert b"the gateway is ending" in await client.chunk()
            assert await client.chunk() == b""
            await client.aclose()
        await server.stop()

    run(story())


def test_a_restarted_gateway_knows_its_targets(tmp_path: Path) -> None:
    async def story() -> None:
        server = await ScriptedServer(plays={"/api/chat": says(json_response({"done": True}))}).start()
        for _ in range(2):
            async with gateway(tmp_path) as running:
                if not any(running.context.pool):
                    client = Gateway(f"http://{running.settings.control}", Secret(TOKEN))
                    await asyncio.to_thread(client.set_targets, Targets((entry(server, "one"),)))
                await running.until(running.context.pool.is_ready)
                assert (await running.ask("POST", "/api/chat", CHAT)).status == 200
        await server.stop()

    run(story())
