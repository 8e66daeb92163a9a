"""What a drill asks: from a busy place of the trace, and never more of it at a time than there are places for."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import monotonic, sleep

import pytest

from arriero.drill.load import STREAMS, Door, Load, Traffic
from arriero.simulate.trace import Trace

OF_TRACE = 7
ANSWER = json.dumps({"response": "a", "done": True}).encode()


def trace(*at: float) -> Trace:
    return Trace("made", array("d", at), array("l", [3] * len(at)), array("l", [OF_TRACE] * len(at)))


@dataclass
class Server:
    """Answers each request after a twentieth of a second, and counts those of the trace that are open together."""

    port: int = 0
    open: int = 0
    most: int = 0
    count: int = 0
    is_there: threading.Event = field(default_factory=threading.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        self.loop = asyncio.get_running_loop()
        async with await asyncio.start_server(self.answer, "127.0.0.1") as server:
            self.port = server.sockets[0].getsockname()[1]
            self.is_there.set()
            await self.over.wait()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
        is_of_trace = json.loads(await reader.readexactly(length))["options"]["num_predict"] == OF_TRACE
        self.open += is_of_trace
        self.count += is_of_trace
        self.most = max(self.most, self.open)
        await asyncio.sleep(0.05)
        self.open -= is_of_trace
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER)
        writer.close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=lambda: asyncio.run(made.run()))
    thread.start()
    assert made.is_there.wait(10)
    yield made
    made.loop.call_soon_threadsafe(made.over.set)
    thread.join()


def test_a_burst_comes_as_fast_as_its_places_are_free(server: Server) -> None:
    burst = Traffic(trace(*(place / 1000 for place in range(400))), 400.0, STREAMS + 4, 0.5)
    load = Load(Door("127.0.0.1", server.port, "llama2"), burst, 1)
    load.start()
    end = monotonic() + 20
    while server.count < 30 and monotonic() < end:
        sleep(0.02)
    answers = load.end()
    assert server.most == 3
    assert server.count >= 30
    assert {answer.outcome for answer in answers if answer.kind == "trace"} == {"complete"}


@pytest.mark.parametrize(("places", "most"), [(8, 1), (6, 1), (0, 1), (12, 5)])
def test_streams_and_a_small_request_have_their_places_beside_the_trace(places: int, most: int) -> None:
    assert Traffic(trace(0, 1), 1.0, places, 1.0).most_open == most


def test_it_begins_where_at_least_the_mean_is_asked() -> None:
    """Ten requests, a pause, twenty more twice as fast, and a last one long after."""
    at = [*range(10), *(100 + place / 2 for place in range(20)), 400.0]
    found = {Traffic(trace(*at), 1.0, 8, 10.0).beginning(random.Random(seed)) for seed in range(200)}
    stretched = trace(*at).rate
    for place in found:
        assert sum(0 <= each - at[place] <= 10.0 / stretched for each in at) > 10
    assert len(found) > 5


def test_a_trace_that_is_too_short_is_played_from_anywhere() -> None:
    found = {Traffic(trace(0, 1, 2), 1.0, 8, 26.0).beginning(random.Random(seed)) for seed in range(50)}
    assert found == {0, 1, 2}
