"""Requests that find all slots taken: how they wait, go on, are refused, and leave, at a whole gateway."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from running_gateway import FAST, Client, Running, entry, gateway, request, run
from scripted_server import Heard, ScriptedServer, chunk, json_response, stream_head

from arriero.control.messages import Targets
from arriero.control.settings import Limits
from arriero.gateway.process.admin import apply_targets

CHAT = {"model": "llama2", "messages": [{"role": "user", "content": "hello"}]}
PATHS = ("/api/chat", "/v1/chat/completions", "/v1/messages")


@dataclasses.dataclass
class Held:
    """A server with one slot that answers when told to."""

    server: ScriptedServer
    open: int = 0
    most: int = 0
    turns: asyncio.Semaphore = dataclasses.field(default_factory=lambda: asyncio.Semaphore(0))
    answer: bytes = json_response({"done": True})

    async def play(self, heard: Heard) -> None:
        self.open += 1
        self.most = max(self.most, self.open)
        left = asyncio.create_task(heard.client_left())
        turn = asyncio.create_task(self.turns.acquire())
        try:
            await asyncio.wait({left, turn}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.open -= 1
        if left.done():
            turn.cancel()
            raise ConnectionError
        left.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await left
        await heard.send(self.answer)


@contextlib.asynccontextmanager
async def held(tmp_path: Path, limits: Limits = FAST, slots: int = 1) -> AsyncIterator[tuple[Running, Held]]:
    made = Held(ScriptedServer())
    made.server.plays = dict.fromkeys((*PATHS, "/api/generate", "/v1/responses"), made.play)
    await made.server.start()
    async with gateway(tmp_path, entry(made.server, "one", slots=slots), limits=limits) as running:
        yield running, made
        made.turns = asyncio.Semaphore(1000)
    await made.server.stop()


async def sent(running: Running, path: str = "/api/chat", body: object = CHAT, headers: str = "") -> Client:
    client = await running.connect()
    await client.send(request("POST", path, body, headers))
    return client


def queue_of(running: Running) -> int:
    assert running.context.queue is not None
    return running.context.queue.admission.waiting


def test_a_freed_slot_goes_to_the_one_that_waits(tmp_path: Path) -> None:
    async def story() -> None:
        async with held(tmp_path) as (running, server):
            clients = [await sent(running) for _ in range(4)]
            await running.until(lambda: queue_of(running) == 3)
            assert len(server.server.heard) == 1
            for _ in range(4):
                server.turns.release()
            replies = [await client.reply() for client in clients]
            assert [reply.status for reply in replies] == [200] * 4
            waits = [int(reply.header("x-arriero-queue-ms") or -1) for reply in replies]
            assert waits[0] == 0
            assert all(wait > 0 for wait in waits[1:])
            assert server.most == 1
            for client in clients:
                await client.aclose()
            await running.until(lambda: len(running.context.open) == 0)
        assert sum(record["queue_ms"] > 0 for record in running.records()) == 3  # type: ignore[operator]

    run(story())


@pytest.mark.parametrize("path", PATHS)
def test_beyond_the_line_a_request_is_refused_in_its_own_dialect(tmp_path: Path, path: str) -> None:
    async def story() -> None:
        limits = dataclasses.replace(FAST, queue_length=1)
        async with held(tmp_path, limits) as (running, _):
            clients = [await sent(running) for _ in range(2)]
            await running.until(lambda: queue_of(running) == 1)
            reply = await running.ask("POST", path, CHAT)
            assert reply.status == 503
            assert 1 <= int(reply.header("retry-after") or 0) <= 300
            error = reply.json()["error"]  # type: ignore[index]
            message = error if path == "/api/chat" else error["message"]
            assert message == "as many requests wait as may for llama2:latest; try again later"
            for client in clients:
                await client.aclose()

    run(story())


@pytest.mark.parametrize(("header", "seconds"), [("", 0.15), ("X-Arriero-Deadline-Ms: 100\r\n", 60.0)])
def test_who_waits_past_the_deadline_is_told_so(tmp_path: Path, header: str, seconds: float) -> None:
    async def story() -> None:
        async with held(tmp_path, dataclasses.replace(FAST, queue_seconds=seconds)) as (running, server):
            first = await sent(running)
            await running.until(lambda: len(server.server.heard) == 1)
            reply = await running.ask("POST", "/api/chat", CHAT, header)
            assert reply.status == 503
            assert reply.header("retry-after") is not None
            assert "no target had a free place for llama2:latest within 0." in reply.json()["error"]  # type: ignore[index]
            assert (queue_of(running), len(server.server.heard)) == (0, 1)
            await first.aclose()
        assert sorted(str(record["outcome"]) for record in running.records()) == ["failed", "gone"]

    run(story())


def test_a_client_that_leaves_the_line_is_never_sent_anywhere(tmp_path: Path) -> None:
    async def story() -> None:
        async with held(tmp_path) as (running, server):
            clients = [await sent(running) for _ in range(3)]
            await running.until(lambda: queue_of(running) == 2)
            await clients[1].aclose()
            await running.until(lambda: queue_of(running) == 1)
            server.turns.release()
            server.turns.release()
            assert (await clients[0].reply()).status == 200
            assert (await clients[2].reply()).status == 200
            assert len(server.server.heard) == 2
            for client in clients:
                await client.aclose()

    run(story())


def test_a_new_target_serves_those_who_wait_and_a_lost_one_is_told(tmp_path: Path) -> None:
    async def story() -> None:
        async with held(tmp_path) as (running, server):
            first = await sent(running)
            await running.until(lambda: len(server.server.heard) == 1)
            second = await sent(running)
            await running.until(lambda: queue_of(running) == 1)
            helper = Held(await ScriptedServer().start(), turns=asyncio.Semaphore(9))
            helper.server.plays = {"/api/chat": helper.play}
            apply_targets(running.context, Targets((entry(server.server, "one", slots=1), entry(helper.server, "two"))))
            reply = await second.reply()
            assert (reply.status, reply.header("x-arriero-target")) == (200, "two")
            apply_targets(running.context, Targets((entry(server.server, "one", slots=1),)))
            third = await sent(running)
            await running.until(lambda: queue_of(running) == 1)
            await server.server.stop()
            reply = await third.reply()
            assert reply.status in (502, 503)
            for client in (first, second, third):
                await client.aclose()
            await helper.server.stop()

    run(story())


def test_who_waits_for_a_target_that_is_gone_gets_it_back_or_is_told(tmp_path: Path) -> None:
    async def story() -> None:
        async with held(tmp_path) as (running, server):
            first = await sent(running)
            await running.until(lambda: len(server.server.heard) == 1)
            waiting = await sent(running)
            await running.until(lambda: queue_of(running) == 1)
            server.server.is_frozen = True
            await running.until(lambda: not running.context.pool.is_ready())
            assert queue_of(running) == 1
            server.server.is_frozen = False
            for _ in range(2):
                server.turns.release()
            assert (await waiting.reply()).status == 200
            for client in (first, waiting):
                await client.aclose()

    run(story())


def test_a_gateway_that_ends_tells_those_who_still_wait(tmp_path: Path) -> None:
    async def story() -> None:
        async with held(tmp_path, dataclasses.replace(FAST, drain_seconds=0.2)) as (running, _):
            clients = [await sent(running) for _ in range(2)]
            await running.until(lambda: queue_of(running) == 1)
            running.stop.set()
            reply = await clients[1].reply()
            assert (reply.status, reply.json()) == (503, {"error": "the gateway is ending"})
            for client in clients:
                await client.aclose()

    run(story())


@pytest.mark.parametrize(
    ("path", "sign", "stream"),
    [
        ("/api/chat", b'{"status": "warming"', b'{"message":{"content":"a"},"done":true}\n'),
        ("/v1/chat/completions", b": warming llama2:latest, ", b'data: {"choices":[]}\n\ndata: [DONE]\n\n'),
        ("/v1/messages", b": warming llama2:latest, ", b'event: message_stop\ndata: {"type":"message_stop"}\n\n'),
    ],
)
@pytest.mark.parametrize("is_cold", [True, False], ids=["loading", "in line"])
def test_signs_of_life_come_before_the_answer(
    tmp_path: Path, path: str, sign: bytes, stream: bytes, is_cold: bool
) -> None:
    async def story() -> None:
        kind = "application/x-ndjson" if path == "/api/chat" else "text/event-stream"
        async with held(tmp_path, dataclasses.replace(FAST, warming_seconds=0.05)) as (running, server):
            server.answer = stream_head(kind) + chunk(stream) + b"0\r\n\r\n"
            server.server.resident = () if is_cold else server.server.resident
            await running.until(lambda: any(t.is_resident("llama2:latest") != is_cold for t in running.context.pool))
            first = None if is_cold else await sent(running)
            if not is_cold:
                await running.until(lambda: len(server.server.heard) == 1)
            client = await sent(running, path, {**CHAT, "stream": True}, "X-Arriero-Warming: events\r\n")
            head = (await client.head()).decode()
            assert head.startswith("HTTP/1.1 200 OK\r\n")
            assert f"Content-Type: {kind}" in head
            for _ in range(3):
                told = await client.chunk()
                assert told.startswith(sign.replace(b": ", b":") if path == "/api/chat" else sign)
            for _ in range(2):
                server.turns.release()
            body = b""
            while piece := await client.chunk():
                body += piece
            assert body.endswith(stream)
            await client.send(request("GET", "/healthz"))
            assert (await client.reply()).body == b"ok\n"
            for each in (client, first):
                if each is not None:
                    await each.aclose()

    run(story())


@pytest.mark.parametrize(
    ("path", "answer", "record"),
    [
        ("/api/chat", json_response({"error": "it is broken"}, "400 Bad Request"), b'{"error":"it is broken"}\n'),
        ("/api/chat", json_response({"done": True}), b'{"done": true}\n'),
        ("/v1/chat/completions", json_response({"error": {"message": "no"}}, "400 Bad Request"), b'"message":"no"'),
    ],
)
def test_after_signs_of_life_any_answer_is_the_last_record(
    tmp_path: Path, path: str, answer: bytes, record: bytes
) -> None:
    async def story() -> None:
        async with held(tmp_path, dataclasses.replace(FAST, warming_seconds=0.05)) as (running, server):
            server.answer = answer
            first = await sent(running)
            client = await sent(running, path, {**CHAT, "stream": True}, "X-Arriero-Warming: events\r\n")
            await client.head()
            await client.chunk()
            for _ in range(2):
                server.turns.release()
            body = b""
            while piece := await client.chunk():
                body += piece
            assert record in body.splitlines(keepends=True)[-1 if path == "/api/chat" else -2]
            for each in (client, first):
                await each.aclose()

    run(story())


def test_a_refusal_after_signs_of_life_is_an_error_record(tmp_path: Path) -> None:
    async def story() -> None:
        async with held(tmp_path, dataclasses.replace(FAST, warming_seconds=0.05, queue_seconds=0.2)) as (running, _):
            first = await sent(running)
            client = await sent(running, headers="X-Arriero-Warming: events\r\n")
            assert (await client.head()).startswith(b"HTTP/1.1 200 ")
            body = b""
            while piece := await client.chunk():
                body += piece
            lines = [json.loads(line) for line in body.splitlines()]
            assert "no target had a free place" in lines[-1]["error"]
            for each in (client, first):
                await each.aclose()
        assert sorted(str(record["status"]) for record in running.records()) == ["0", "503"]

    run(story())


def test_clients_that_leave_at_any_moment_leave_nothing_behind(tmp_path: Path) -> None:
    async def story() -> None:
        chance = random.Random(7)
        async with held(tmp_path, dataclasses.replace(FAST, warming_seconds=0.01), slots=2) as (running, server):

            async def one(n: int) -> None:
                client = await sent(running, headers="X-Arriero-Warming: events\r\n" if n % 2 else "")
                await asyncio.sleep(chance.random() * 0.05)
                server.turns.release()
                if n % 3:
                    await client.reply()
                await client.aclose()

            await asyncio.gather(*(one(n) for n in range(60)))
            await running.until(lambda: queue_of(running) == 0 and not running.context.open)
            assert [target.in_flight for target in running.context.pool] == [0]
        assert len(running.records()) == 60

    run(story())
