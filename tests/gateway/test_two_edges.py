"""Two edges of two workers each, started apart, before the same targets: only the sidecars know of both."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from pathlib import Path

from program import program
from running_gateway import run
from running_sidecar import sidecar
from scripted_server import Heard, ScriptedServer, chunk, stream_head

from arriero.control.messages import TargetEntry

GENERATE = {"model": "llama2", "prompt": "x"}
REQUESTS = 60
SLOTS = 2


class Counting:
    """Streams for a moment, and remembers how many requests it had at a time."""

    def __init__(self) -> None:
        self.now = self.most = self.total = 0

    async def __call__(self, heard: Heard) -> None:
        self.now, self.total = self.now + 1, self.total + 1
        self.most = max(self.most, self.now)
        await heard.send(stream_head() + chunk(b'{"response":"a"}\n'))
        await asyncio.sleep(0.03)
        self.now -= 1
        await heard.send(chunk(b'{"done":true}\n') + b"0\r\n\r\n")


def test_no_target_gets_more_than_its_slots_and_no_request_is_lost(tmp_path: Path) -> None:
    async def story() -> None:
        plays = [Counting() for _ in range(3)]
        servers = [await ScriptedServer(plays={"/api/generate": play}).start() for play in plays]
        async with contextlib.AsyncExitStack() as stack:
            sidecars = [await stack.enter_async_context(sidecar(server, slots=SLOTS)) for server in servers]
            for beside in sidecars:
                await beside.until_ready()
            entries = [TargetEntry(f"t{n}", "here", beside.address, slots=SLOTS) for n, beside in enumerate(sidecars)]
            edges = []
            for name in ("a", "b"):
                (tmp_path / name).mkdir()
                edges.append(await stack.enter_async_context(program(tmp_path / name, *entries, workers=2)))
            asked = [
                edge.ask("POST", "/api/generate", GENERATE) for edge, _ in itertools.product(edges, range(REQUESTS))
            ]
            replies = await asyncio.gather(*asked)
            assert [reply.status for reply in replies] == [200] * (2 * REQUESTS)
            assert all(reply.body.endswith(b'{"done":true}\n') for reply in replies)
            assert {reply.header("x-arriero-attempts") for reply in replies} == {"1"}, "to be refused is no attempt"
            assert [play.most for play in plays] == [SLOTS] * 3
            assert sum(play.total for play in plays) == 2 * REQUESTS
        for server in servers:
            await server.stop()

    run(story())
