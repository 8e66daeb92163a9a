"""A sidecar's lines: told at once, kept for a while, the same by every way."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from running_gateway import Client, request, run
from running_sidecar import Beside, sidecar
from scripted_server import ScriptedServer, json_response, says

from arriero.clock import ManualClock
from arriero.gateway.sidecar.lines import RING_LINES, WRITE_LINES, Lines

ASK = {"model": "llama2", "prompt": "a secret"}
DONE = {"response": "a", "done": True, "eval_count": 1}


async def kept(beside: Beside) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (await beside.ask("GET", "/arriero/lines")).body.splitlines()]


@contextlib.asynccontextmanager
async def followed(beside: Beside) -> Any:
    client = await beside.connect()
    await client.send(request("GET", "/arriero/lines/follow"))
    assert b" 200 " in await client.head()
    try:
        yield client
    finally:
        await client.aclose()


async def until(client: Client, is_found: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(10):
        while not any(map(is_found, found)):
            found += [json.loads(line) for line in (await client.chunk()).splitlines() if line]
    return found


def test_a_request_is_told_by_its_id_and_without_its_words() -> None:
    async def story() -> None:
        server = await ScriptedServer(plays={"/api/generate": says(json_response(DONE))}).start()
        async with sidecar(server, site="a") as beside:
            await beside.until_ready()
            async with followed(beside) as client:
                await beside.ask("POST", "/api/generate", ASK, "X-Request-Id: from-the-edge\r\n")
                live = await until(client, lambda line: line["event"] == "sidecar.request" and bool(line["model"]))
            told = live[-1]
            assert (told["id"], told["path"], told["status"]) == ("from-the-edge", "/api/generate", 200)
            assert (told["outcome"], told["model"]) == ("answered", "llama2:latest")
            assert [line["seq"] for line in live] == list(range(1, len(live) + 1))
            assert (await kept(beside))[: len(live)] == live
            assert "a secret" not in json.dumps(live)
        await server.stop()

    run(story())


def test_looks_of_edges_leave_no_line_and_what_failed_does() -> None:
    async def story() -> None:
        server = await ScriptedServer().start()
        async with sidecar(server) as beside:
            await beside.until_ready()
            before = len(await kept(beside))
            for path in ("/api/tags", "/api/ps", "/healthz", "/metrics"):
                assert (await beside.ask("GET", path)).status == 200
            assert len(await kept(beside)) == before
            assert (await beside.ask("POST", "/metrics")).status == 405
            assert [line["status"] for line in (await kept(beside))[before:]] == [405]
        await server.stop()

    run(story())


def test_who_follows_hears_that_it_drains_and_the_end() -> None:
    async def story() -> None:
        server = await ScriptedServer().start()
        async with sidecar(server) as beside, followed(beside) as client:
            beside.stop.set()
            found = await until(client, lambda line: line["event"] == "sidecar.ended")
            assert [line["event"] for line in found][-2:] == ["sidecar.draining", "sidecar.ended"]
        await server.stop()

    run(story())


@pytest.mark.parametrize("count", [1, WRITE_LINES + 1, RING_LINES, RING_LINES + 700])
def test_who_comes_late_gets_what_is_kept_in_order_and_no_line_twice(count: int) -> None:
    written: list[str] = []
    lines = Lines(ManualClock(), written.append)
    for number in range(count):
        lines.tell("request", id=str(number))
    assert len(written) == count
    seq, found = 0, b""
    while seq < count:
        seq, data = lines.after(seq)
        found += data
    numbers = [json.loads(line)["seq"] for line in found.splitlines()]
    assert numbers == list(range(max(1, count - RING_LINES + 1), count + 1))
    assert lines.after(count) == (count, b"")
