"""Whatever a gateway waits for may be cancelled there: nothing is left over, no place stays taken, no count is lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cancelling import Cancelled, at_every_await, cancelled_at
from keyed import made, written
from running_gateway import FAST, entry, free_port, gateway, request, run
from scripted_server import Heard, ScriptedServer, chunk, json_response, stream_head

from arriero.clock import SystemClock
from arriero.control.messages import Targets
from arriero.control.settings import GatewaySettings
from arriero.gateway.access.allowance import Usage
from arriero.gateway.access.guard import Caller
from arriero.gateway.access.shared import SharedLimits
from arriero.gateway.context import Context
from arriero.gateway.process.admin import apply_targets
from arriero.gateway.relay.trying import Trier
from arriero.gateway.server import serve
from arriero.gateway.sidecar import main as sidecar
from arriero.gateway.sidecar.lines import Lines
from arriero.gateway.sidecar.settings import SidecarSettings
from arriero.gateway.telling.log import Log
from arriero.gateway.telling.record import Record
from arriero.gateway.watch import follow
from arriero.gateway.watch.follow import Followers
from arriero.gateway.watch.health import Prober
from arriero.gateway.wire.fetch import fetch
from arriero.gateway.wire.upstream import Upstreams
from arriero.secret import Secret

CHAT = {"model": "llama2", "messages": [{"role": "user", "content": "yes?"}]}


async def play(heard: Heard) -> None:
    await heard.send(
        json_response({"model": "llama2", "message": {"role": "assistant", "content": "yes"}, "done": True})
    )


@contextlib.asynccontextmanager
async def beside(folder: Path, count: int = 1) -> AsyncIterator[tuple[Context, list[ScriptedServer]]]:
    """What the parts of a gateway share, with so many targets that have been probed; nobody serves."""
    servers = [await ScriptedServer(plays={"/api/chat": play}).start() for _ in range(count)]
    settings = GatewaySettings(
        "llm", "127.0.0.1:1", "127.0.0.1:2", "unused", limits=replace(FAST, probe_every_seconds=0.01)
    )
    context = Context(settings, SystemClock(), Log(str(folder / "log")), Upstreams(1.0))
    apply_targets(context, Targets(tuple(entry(server, f"t{place}") for place, server in enumerate(servers))))
    probing = asyncio.create_task(Prober(context).run())
    while not all(target.can_take for target in context.pool):
        await asyncio.sleep(0.005)
    probing.cancel()
    await asyncio.wait([probing])
    try:
        yield context, servers
    finally:
        await context.upstreams.close()
        for server in servers:
            await server.stop()
        context.log.close()


async def closed(context: Context) -> None:
    """Connections that may be kept are no leftovers: here they are not kept."""
    context.upstreams.keep_only(set())
    await asyncio.sleep(0)


PARTS: dict[str, Callable[[Context], Coroutine[Any, None, Any]]] = {
    "a question": lambda context: fetch(context.upstreams, next(iter(context.pool)).entry.address, "/api/tags"),
    "probes": lambda context: Prober(context).run(),
    "states that are followed": lambda context: Followers(context).run(),
    "trying models": lambda context: Trier(context).run(),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_cancelled_anywhere_leaves_nothing(
    tmp_path: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "LOOK_SECONDS", 0.01)

    async def story() -> None:
        async with beside(tmp_path, count=2) as (context, _):

            async def once(number: int) -> Cancelled:
                context.readings.clear()
                told = await cancelled_at(number, PARTS[part](context))
                assert not context.open
                assert all(not target.in_flight and not target.running for target in context.pool)
                await closed(context)
                return told

            awaits = await at_every_await(once, at_most=12)
            assert awaits >= (1 if part == "a question" else 12)

    run(story())


async def ask_one_stream(address: str, ready: asyncio.Event, stop: asyncio.Event, key: str) -> None:
    await ready.wait()
    status = b""
    while status != b"200":
        # Until its target has been probed.
        reader, writer = await asyncio.open_connection(*address.rsplit(":", 1))
        try:
            writer.write(request("POST", "/api/chat", CHAT, key))
            status = (await reader.readline()).split(b" ")[1]
            if status == b"200":
                await reader.readuntil(b"done")
                stop.set()
                await asyncio.sleep(0.1)
        finally:
            writer.close()


def test_a_gateway_that_is_cancelled_anywhere_leaves_nothing(tmp_path: Path) -> None:
    """While it starts, serves and drains; with keys, and a stream that is open all the time."""

    async def hold(heard: Heard) -> None:
        await heard.send(stream_head() + chunk(b'{"model":"llama2","message":{"content":"a"},"done":false}\n'))
        await heard.client_left()

    async def story() -> None:
        server = await ScriptedServer(plays={"/api/chat": hold}).start()
        text, key = made()
        keys = written(tmp_path, key)

        async def once(number: int) -> Cancelled:
            listen, control = (f"127.0.0.1:{free_port()}" for _ in range(2))
            settings = GatewaySettings(
                "llm", listen, control, "unused", access_log=str(tmp_path / "log"), limits=FAST, keys_file=keys
            )
            context = Context(settings, SystemClock(), Log(settings.access_log), Upstreams(1.0))
            apply_targets(context, Targets((entry(server, "one"),)))
            ready, stop = asyncio.Event(), asyncio.Event()
            asking = asyncio.create_task(ask_one_stream(listen, ready, stop, f"Authorization: Bearer {text}\r\n"))
            told = await cancelled_at(number, serve(context, Secret("t"), stop, ready.set))
            asking.cancel()
            await asyncio.wait([asking])
            assert not context.open
            assert all(not target.in_flight for target in context.pool)
            for address in (listen, control):
                with pytest.raises(OSError, match="onnect"):
                    await asyncio.open_connection(*address.rsplit(":", 1))
            await asyncio.to_thread(context.log.close)
            return told

        assert await at_every_await(once) > 5
        await server.stop()

    run(story())


def test_a_sidecar_that_is_cancelled_anywhere_leaves_nothing() -> None:
    async def story() -> None:
        server = await ScriptedServer(plays={"/api/chat": play}).start()

        async def once(number: int) -> Cancelled:
            listen, stop, asking = f"127.0.0.1:{free_port()}", asyncio.Event(), None

            def heard(line: str) -> None:
                nonlocal asking
                if '"sidecar.started"' in line:
                    asking = asyncio.create_task(ask(listen, stop))

            environment = {"ARRIERO_LISTEN": listen, "ARRIERO_OLLAMA_ADDRESS": server.address, "ARRIERO_SLOTS": "1"}
            settings = SidecarSettings.of(environment)
            told = await cancelled_at(number, sidecar.serve(settings, SystemClock(), stop, Lines(SystemClock(), heard)))
            if asking is not None:
                asking.cancel()
                await asyncio.wait([asking])
            with pytest.raises(OSError, match="onnect"):
                await asyncio.open_connection(*listen.rsplit(":", 1))
            return told

        assert await at_every_await(once) > 3
        await server.stop()

    async def ask(address: str, stop: asyncio.Event) -> None:
        reader, writer = await asyncio.open_connection(*address.rsplit(":", 1))
        try:
            writer.write(request("POST", "/api/chat", CHAT))
            await reader.readuntil(b"done")
            stop.set()
            await reader.read()
        finally:
            writer.close()

    run(story())


class CountingStore:
    """Counts as a real one does, and lets each call wait."""

    name = "store"

    def __init__(self) -> None:
        self.tokens, self.leases, self.is_closed = 0, 0, False

    async def take(self, *_: object) -> None:
        await asyncio.sleep(0)
        self.leases += 1
        await asyncio.sleep(0)

    async def give_back(self, leases: list[object]) -> None:
        await asyncio.sleep(0)
        self.leases -= len(leases)
        await asyncio.sleep(0)

    async def add(self, tokens: dict[str, int], _: object, __: float) -> None:
        await asyncio.sleep(0)
        self.tokens += sum(tokens.values())
        await asyncio.sleep(0)

    async def renew(self, _: object) -> None:
        await asyncio.sleep(0)

    async def close(self) -> None:
        await asyncio.sleep(0)
        self.is_closed = True


def test_what_keys_used_is_told_to_the_store_once_wherever_the_writer_is_cancelled(tmp_path: Path) -> None:
    async def story() -> None:
        async with beside(tmp_path) as (context, _):
            _, key = made(concurrency=5)

            for steps in range(1, 14):
                store = CountingStore()
                shared = SharedLimits(context, store)  # type: ignore[arg-type]
                caller = Caller(key, frozenset(), Usage())
                assert await shared.take(caller) is None
                caller.is_open, record = True, Record("id", "POST", "/api/chat")
                record.caller, record.tokens_in, record.tokens_out = caller, 3, 4
                shared.finished(record)
                writing = asyncio.create_task(shared.run())
                for _ in range(steps):
                    await asyncio.sleep(0)
                assert store.tokens == 7 or steps < 13, "the last ones come when all is written"
                writing.cancel()
                await asyncio.wait([writing])
                assert (store.tokens, store.leases, store.is_closed) == (7, 0, True), steps

    run(story())


def test_a_client_that_goes_at_any_byte_of_its_request_or_answer_leaves_nothing(tmp_path: Path) -> None:
    """Of a stream, after each of its chunks; the target sees it go each time."""
    left = 0

    async def tell(heard: Heard) -> None:
        nonlocal left
        await heard.send(stream_head())
        for _ in range(3):
            await heard.send(chunk(b'{"model":"llama2","message":{"content":"a"},"done":false}\n'))
        await heard.client_left()
        left += 1

    async def story() -> None:
        server = await ScriptedServer(plays={"/api/chat": tell}).start()
        async with gateway(tmp_path, entry(server, "one")) as running:
            asked = request("POST", "/api/chat", CHAT)
            for sent in range(len(asked) + 1):
                client = await running.connect()
                await client.send(asked[:sent])
                await client.aclose()
            for seen in range(4):
                client = await running.connect()
                await client.send(asked)
                await client.head()
                for _ in range(seen):
                    await client.chunk()
                await client.aclose()
            await running.until(lambda: not running.context.open and left >= 4)
            target = next(iter(running.context.pool))
            await running.until(lambda: not target.in_flight and not target.running)
            assert len(server.heard) in (left, left + 1)
        await server.stop()

    run(story())
