"""A gateway with a cold model behind an ingress that cuts silent connections, by a given clock."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from running_gateway import FAST, Client, Running, entry, free_port, gateway, request, run
from scripted_server import Heard, ScriptedServer, chunk, stream_head

from arriero.clock import ManualClock
from arriero.rehearse.forwarding import Head, Limits, Listener, Way

CHAT = {"model": "llama2", "messages": [{"role": "user", "content": "hello"}], "stream": True}
LAST = b'{"message":{"content":"a"},"done":true}\n'


@dataclasses.dataclass
class Behind:
    """The ingress's port, the gateway behind it, and what lets the model be loaded."""

    port: int
    running: Running
    loaded: asyncio.Event
    clock: ManualClock

    async def asks(self, headers: str = "") -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        await client.send(request("POST", "/api/chat", CHAT, headers))
        return client


@contextlib.asynccontextmanager
async def behind(folder: Path, limits: Limits) -> AsyncIterator[Behind]:
    loaded, clock = asyncio.Event(), ManualClock()

    async def play(heard: Heard) -> None:
        waits = asyncio.create_task(loaded.wait())
        left = asyncio.create_task(heard.client_left())
        await asyncio.wait({waits, left}, return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()
        left.cancel()
        if loaded.is_set():
            await heard.send(stream_head("application/x-ndjson") + chunk(LAST) + b"0\r\n\r\n")

    server = ScriptedServer(plays={"/api/chat": play})
    server.resident = ()
    await server.start()
    async with gateway(folder, entry(server, "one"), limits=dataclasses.replace(FAST, warming_seconds=0.05)) as running:
        host, _, port = running.settings.listen.rpartition(":")
        await running.until(lambda: any(not t.is_resident("llama2:latest") for t in running.context.pool))

        def decide(_: Head) -> Way:
            return Way(host, int(port))

        listener, own = Listener(decide, lambda: limits, clock), free_port()
        await listener.start("127.0.0.1", own)
        yield Behind(own, running, loaded, clock)
        loaded.set()
        await listener.stop()
    await server.stop()


@pytest.mark.parametrize(
    "limits",
    [Limits(60), Limits(3600, first_response=240), Limits(240, first_response=240)],
    ids=["idle", "first response", "a Front Door"],
)
def test_signs_of_life_keep_a_cold_model_s_connection_for_as_long_as_it_takes(tmp_path: Path, limits: Limits) -> None:
    async def story() -> None:
        async with behind(tmp_path, limits) as made:
            client = await made.asks("X-Arriero-Warming: events\r\n")
            assert (await client.head()).startswith(b"HTTP/1.1 200 OK")
            for _ in range(10):  # ten minutes of loading
                assert (await client.chunk()).startswith(b'{"status":"warming"')
                made.clock.elapsed_seconds += 59
            made.loaded.set()
            body = b""
            while piece := await client.chunk():
                body += piece
            assert body.endswith(LAST)
            await client.aclose()

    run(story())


@pytest.mark.parametrize(
    ("limits", "seconds"), [(Limits(60), 60), (Limits(3600, first_response=240), 240)], ids=["idle", "first response"]
)
def test_without_them_it_is_cut(tmp_path: Path, limits: Limits, seconds: float) -> None:
    async def story() -> None:
        async with behind(tmp_path, limits) as made:
            client = await made.asks()
            await asyncio.sleep(0.2)  # so that the request is under way before the clock moves
            made.clock.elapsed_seconds += seconds
            assert (await client.reply()).status == 504
            await client.aclose()

    run(story())
