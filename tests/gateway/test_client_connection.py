"""What clients may and may not send: bytes in, exact bytes out."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from running_gateway import FAST, Client, Running, entry, gateway, request, run
from scripted_server import Heard, ScriptedServer, json_response

REFUSED = json.loads((Path(__file__).parent.parent / "cases/gateway_requests/refused.json").read_text())
SMALL = dataclasses.replace(FAST, body_bytes=4096, header_bytes=2048, header_seconds=0.2, body_seconds=0.2)


async def echo(heard: Heard) -> None:
    """Answers with the body it got and whose path it was."""
    await heard.send(json_response({"path": heard.path, "body": heard.body.decode()}))


async def served() -> ScriptedServer:
    return await ScriptedServer(plays={"/api/chat": echo, "/api/generate": echo}).start()


def test_every_request_that_can_be_read_in_two_ways_is_refused_in_exact_words(tmp_path: Path) -> None:
    async def story() -> None:
        server = await served()
        async with gateway(tmp_path, entry(server, "one"), limits=SMALL) as running:
            for case in REFUSED:
                client = await running.connect()
                await client.send(case["send"].encode("latin-1"))
                head, _, body = (await client.rest()).partition(b"\r\n\r\n")
                seen = {"status": int(head.split(b" ")[1]), "body": body.decode()}
                assert seen == {key: case[key] for key in seen}, case["name"]
                assert head.count(b"HTTP/1.1") == 1, case["name"]
                await client.aclose()
        assert server.heard == []
        await server.stop()

    run(story())


def test_a_second_request_smuggled_behind_a_bad_one_is_not_heard(tmp_path: Path) -> None:
    async def story() -> None:
        server = await served()
        async with gateway(tmp_path, entry(server, "one")) as running:
            client = await running.connect()
            good = request("POST", "/api/chat", {"model": "llama2"})
            await client.send(b"POST /api/chat HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 0\r\n\r\n" + good)
            assert (await client.rest()).count(b"HTTP/1.1") == 1
            await client.aclose()
        assert server.heard == []
        await server.stop()

    run(story())


@pytest.mark.parametrize(
    ("sent", "status"), [(b"", None), (b"GET / HT", 408), (b"GET / HTTP/1.1\r\nHost: localhost", 408)]
)
def test_a_slow_header_ends_the_connection(tmp_path: Path, sent: bytes, status: int | None) -> None:
    limits = dataclasses.replace(SMALL, idle_seconds=0.2)

    async def story() -> None:
        async with gateway(tmp_path, limits=limits) as running:
            client = await running.connect()
            await client.send(sent)
            answer = await client.rest()
            assert answer.startswith(b"HTTP/1.1 %d " % status if status else b"")
            assert bool(answer) == bool(status)
            await client.aclose()

    run(story())


def test_a_slow_body_ends_the_connection(tmp_path: Path) -> None:
    async def story() -> None:
        async with gateway(tmp_path, limits=SMALL) as running:
            client = await running.connect()
            await client.send(b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nab")
            assert (await client.rest()).startswith(b"HTTP/1.1 408 ")
            await client.aclose()

    run(story())


@pytest.mark.parametrize(
    "header", [f"X: {'a' * 3000}\r\n\r\n", "X: a\r\n" * 1000 + "\r\n", "X" * 9000, f"X:{'a' * 9000}"]
)
def test_a_large_header_is_refused_while_it_comes(tmp_path: Path, header: str) -> None:
    async def story() -> None:
        async with gateway(tmp_path, limits=SMALL) as running:
            for size in (1000, 100_000):
                client = await running.connect()
                sent = f"GET / HTTP/1.1\r\nHost: localhost\r\n{header}".encode()
                for n in range(0, len(sent), size):
                    await client.send(sent[n : n + size])
                    await asyncio.sleep(0.001)
                assert (await client.rest()).startswith(b"HTTP/1.1 431 ")
                await client.aclose()

    run(story())


def test_a_body_in_chunks_that_grows_too_large_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with gateway(tmp_path, limits=SMALL) as running:
            client = await running.connect()
            await client.send(b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
            await client.send(b"1000\r\n%b\r\n1\r\nx\r\n" % (b"x" * 4096))
            assert (await client.rest()).startswith(b"HTTP/1.1 413 ")
            await client.aclose()

    run(story())


def test_an_expected_continue_comes_before_the_body(tmp_path: Path) -> None:
    async def story() -> None:
        server = await served()
        async with gateway(tmp_path, entry(server, "one")) as running:
            client = await running.connect()
            whole = request("POST", "/api/chat", {"model": "llama2"}, "Expect: 100-continue\r\n")
            head, _, body = whole.partition(b"\r\n\r\n")
            await client.send(head + b"\r\n\r\n")
            assert await client.head() == b"HTTP/1.1 100 Continue"
            await client.send(body)
            assert (await client.reply()).json() == {"path": "/api/chat", "body": body.decode()}
            await client.aclose()
        assert b"Expect" not in server.heard[0].head
        await server.stop()

    run(story())


def pipeline() -> tuple[bytes, list[object]]:
    """Requests of every framing in one row, and what is to be answered to each."""
    chunked = b'4\r\n{"mo\r\n10;x=y\r\ndel": "llama2",1\r\n1\r\n}\r\n0\r\nTrailer: t\r\n\r\n'
    bodies = [{"model": "llama2", "n": n} for n in range(2)]
    data = request("POST", "/api/chat", bodies[0]) + request("GET", "/") + request("POST", "/api/generate", bodies[1])
    data += b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked
    data += request("GET", "/healthz", headers="Connection: close\r\n")
    texts = [json.dumps(body) for body in bodies]
    answers: list[object] = [
        {"path": "/api/chat", "body": texts[0]},
        b"Ollama is running",
        {"path": "/api/generate", "body": texts[1]},
        {"path": "/api/chat", "body": '{"model": "llama2",1}'},
        b"ok\n",
    ]
    return data, answers


async def check_pipeline(running: Running, pieces: list[bytes]) -> None:
    client: Client = await running.connect()
    for piece in pieces:
        await client.send(piece)
        await asyncio.sleep(0)
    for answer in pipeline()[1]:
        reply = await client.reply()
        assert (reply.body if isinstance(answer, bytes) else reply.json()) == answer
    assert await client.rest() == b""
    await client.aclose()


def test_pipelined_requests_are_answered_in_their_order_however_they_are_split(tmp_path: Path) -> None:
    data = pipeline()[0]

    async def story() -> None:
        server = await served()
        async with gateway(tmp_path, entry(server, "one")) as running:
            await check_pipeline(running, [data])
            await check_pipeline(running, [data[n : n + 1] for n in range(len(data))])
            for n in range(1, len(data), 3):
                await check_pipeline(running, [data[:n], data[n:]])
        await server.stop()

    run(story())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, len(pipeline()[0])), max_size=8))
def test_pipelined_requests_survive_any_splits(tmp_path: Path, cuts: list[int]) -> None:
    data = pipeline()[0]
    edges = [0, *sorted(cuts), len(data)]

    async def story() -> None:
        server = await served()
        async with gateway(tmp_path, entry(server, "one")) as running:
            await check_pipeline(running, [data[a:b] for a, b in pairwise(edges)])
        await server.stop()

    run(story())


def test_a_hundred_pipelined_requests_are_all_answered(tmp_path: Path) -> None:
    async def story() -> None:
        server = await served()
        async with gateway(tmp_path, entry(server, "one")) as running:
            client = await running.connect()
            for n in range(100):
                await client.send(request("POST", "/api/chat", {"model": "llama2", "n": n}))
            for n in range(100):
                assert f'"n": {n}}}' in (await client.reply()).json()["body"]  # type: ignore[index]
            await client.aclose()
        await server.stop()

    run(story())


def test_an_old_client_gets_a_bare_body_and_the_end(tmp_path: Path) -> None:
    async def play(heard: Heard) -> None:
        await heard.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n")
        await heard.send(b'10\r\n{"done": false}\n\r\nf\r\n{"done": true}\n\r\n0\r\n\r\n')

    async def story() -> None:
        server = await ScriptedServer(plays={"/api/chat": play}).start()
        async with gateway(tmp_path, entry(server, "one")) as running:
            client = await running.connect()
            await client.send(b'POST /api/chat HTTP/1.0\r\nContent-Length: 18\r\n\r\n{"model":"llama2"}')
            head, _, body = (await client.rest()).partition(b"\r\n\r\n")
            assert body == b'{"done": false}\n{"done": true}\n'
            assert b"ransfer-" not in head
            assert b"Connection: close" in head
            await client.aclose()
        await server.stop()

    run(story())


def test_more_connections_than_allowed_are_closed(tmp_path: Path) -> None:
    async def story() -> None:
        async with gateway(tmp_path, limits=dataclasses.replace(FAST, connections=2)) as running:
            clients = [await running.connect() for _ in range(2)]
            late = await running.connect()
            assert await late.rest() == b""
            await clients[0].send(request("GET", "/"))
            assert (await clients[0].reply()).body == b"Ollama is running"
            for client in (*clients, late):
                await client.aclose()

    run(story())


def test_a_trailer_does_not_pass_for_a_header(tmp_path: Path) -> None:
    async def story() -> None:
        server = await served()
        async with gateway(tmp_path, entry(server, "one"), front_door_id="the-door") as running:
            client = await running.connect()
            head = b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
            body = b'12\r\n{"model":"llama2"}\r\n0\r\n'
            await client.send(head + b"\r\n" + body + b"X-Azure-FDID: the-door\r\n\r\n")
            assert (await client.reply()).status == 403
            await client.send(head + b"X-Azure-FDID: the-door\r\n\r\n" + body + b"Trailing: b\r\nHost: c\r\n\r\n")
            assert (await client.reply()).status == 200
            await client.aclose()
        (heard,) = (each for each in server.heard if each.path == "/api/chat")
        assert b"Trailing" not in heard.head
        await server.stop()

    run(story())


@pytest.mark.parametrize("endless", [b"0\r\nX: ", b"0\r\nX", b"1;x="])
def test_what_comes_beside_the_body_is_bounded(tmp_path: Path, endless: bytes) -> None:
    limits = dataclasses.replace(FAST, header_bytes=2048)

    async def story() -> None:
        async with gateway(tmp_path, limits=limits) as running:
            client = await running.connect()
            await client.send(b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
            await client.send(b"5000\r\n" + b"x" * 0x5000 + b"\r\n" + endless)
            for _ in range(10):
                await client.send(b"a" * 1000)
                await asyncio.sleep(0.001)
            assert (await client.rest()).startswith(b"HTTP/1.1 431 ")
            await client.aclose()

    run(story())
