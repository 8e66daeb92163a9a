"""Clients of the gateway: a recorded trace, long streams beside it, and a small request each quarter of a second.

A burst of the trace comes as fast as it is answered, once as many are open as there are places for: what waits beyond
that would tell how large the service is, and not how soon it recovered. The small requests wait for nobody. All clients
of the product what any client knows, and keep when they asked, when each piece came, and how it ended. Who runs: one
event loop in a thread of its own, a task a request, all ended by `Load.end`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import threading
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Literal

import httptools

from arriero.simulate.trace import Trace

Kind = Literal["trace", "stream", "probe"]
Outcome = Literal["complete", "explicit", "silent", "lost"]
STREAMS = 6
STREAM_TOKENS = (150, 400)
PROBE_SECONDS = 0.25
# Of a recorded answer and question: longer ones would keep a stage's few slots from everybody.
MOST_TOKENS, MOST_WORDS = 120, 400
GIVE_UP_SECONDS = 90.0


@dataclass(slots=True)
class Answer:
    """One request: moments by the monotonic clock, in seconds. `first` is the first byte of a body."""

    kind: Kind
    body: bytes
    asked: float
    status: int = 0
    first: float | None = None
    ended: float = 0.0
    is_whole: bool = False
    text: bytearray = field(default_factory=bytearray)
    pieces: array[float] = field(default_factory=lambda: array("d"))
    target: str = ""
    error: str = ""

    @property
    def outcome(self) -> Outcome:
        """`lost`: not one byte of an answer came. `silent`: it ended without a last record and without a word."""
        if self.status != 200 or self.first is None:
            return "lost"
        last = self._last()
        if "error" in last and self.is_whole:
            return "explicit"
        return "complete" if last.get("done") is True and self.is_whole else "silent"

    @property
    def is_migrated(self) -> bool:
        return "arriero" in self._last()

    @property
    def said(self) -> str:
        """What it ended with where it is not complete: the error in the answer, or how the connection ended."""
        what = str(self._last().get("error") or self.error or "it ended without a word")
        return f"{self.kind}: {self.status or 'no status'}: {what[:200]}"

    def words(self) -> str:
        return "".join(str(record.get("response", "")) for record in self._records())

    def pause(self, after: float) -> float:
        """The longest time without a byte that ends after that moment, in seconds."""
        moments = [self.asked, *self.pieces, self.ended]
        gaps = [later - earlier for earlier, later in itertools.pairwise(moments) if later > after]
        return max(gaps, default=0.0)

    def _last(self) -> dict[str, Any]:
        records = self._records()
        return records[-1] if records else {}

    def _records(self) -> list[dict[str, Any]]:
        found = []
        for line in bytes(self.text).splitlines():
            with contextlib.suppress(ValueError):
                record = json.loads(line)
                found += [record] if isinstance(record, dict) else []
        return found


@dataclass(frozen=True, slots=True)
class Door:
    """Where the gateway answers, and a key if it asks for one; `model` is asked."""

    host: str
    port: int
    model: str
    key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Traffic:
    """`a_second` requests of the trace in the mean, from where the next `seconds` have as many at least. `places` are
    the slots of all targets that a drill leaves.
    """

    trace: Trace
    a_second: float
    places: int
    seconds: float

    @property
    def stretch(self) -> float:
        """Seconds for each second of the trace."""
        return self.trace.rate / self.a_second

    @property
    def most_open(self) -> int:
        """Requests of the trace at a time; the streams and a small request have their places beside them."""
        return max(1, self.places - STREAMS - 1)

    def beginning(self, chance: random.Random) -> int:
        """The place in the trace to begin at. One that is too short for so many seconds is played from anywhere."""
        at = self.trace.at
        span = self.seconds / self.stretch
        many = max(1, round(self.a_second * self.seconds))
        busy = [place for place in range(len(at) - many) if at[place + many] - at[place] <= span]
        return chance.choice(busy) if busy else chance.randrange(len(at))


class Load:
    """Begins with `start`; `end` stops new requests and returns all answers once the open ones are over."""

    def __init__(self, door: Door, traffic: Traffic, seed: int) -> None:
        self.answers: list[Answer] = []
        self._door, self._traffic, self._seed = door, traffic, seed
        self._over = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load of a drill", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> list[Answer]:
        self._over.set()
        self._thread.join()
        return list(self.answers)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._replay(group), name="trace")
            group.create_task(self._probe(group), name="probes")
            for number in range(STREAMS):
                group.create_task(self._stream(number), name=f"stream {number}")

    async def _replay(self, group: asyncio.TaskGroup) -> None:
        """From a place in the trace that the seed chooses, around its end if need be, at its own rhythm."""
        chance, traffic = random.Random(f"trace {self._seed}"), self._traffic
        trace, room = traffic.trace, asyncio.Semaphore(traffic.most_open)
        place, began = traffic.beginning(chance), monotonic()
        first, laps = trace.at[place], 0
        while not self._over.is_set():
            due = (trace.at[place] + laps * trace.seconds - first) * traffic.stretch
            await room.acquire()
            if not await self._slept(began + due - monotonic()):
                return
            words, tokens = min(MOST_WORDS, trace.prompt[place]), min(MOST_TOKENS, max(1, trace.answer[place]))
            asked = self._ask(group, "trace", _body(self._door.model, chance, words, tokens, is_stream=True))
            asked.add_done_callback(lambda _: room.release())
            place += 1
            if place == len(trace.at):
                place, laps = 0, laps + 1

    async def _probe(self, group: asyncio.TaskGroup) -> None:
        chance = random.Random(f"probe {self._seed}")
        while await self._slept(PROBE_SECONDS):
            self._ask(group, "probe", _body(self._door.model, chance, 3, 1, is_stream=False))

    async def _stream(self, number: int) -> None:
        chance = random.Random(f"stream {self._seed} {number}")
        while await self._slept(chance.random()):
            body = _body(self._door.model, chance, 30, chance.randint(*STREAM_TOKENS), is_stream=True)
            answer = Answer("stream", body, monotonic())
            self.answers.append(answer)
            await ask(self._door, answer)

    def _ask(self, group: asyncio.TaskGroup, kind: Kind, body: bytes) -> asyncio.Task[None]:
        answer = Answer(kind, body, monotonic())
        self.answers.append(answer)
        return group.create_task(ask(self._door, answer), name=kind)

    async def _slept(self, seconds: float) -> bool:
        """False where no new request is wanted any more."""
        end = monotonic() + seconds
        while not self._over.is_set():
            left = end - monotonic()
            if left <= 0:
                return True
            await asyncio.sleep(min(left, 0.1))
        return False


async def ask(door: Door, answer: Answer) -> None:
    """Fills the answer, however it ends."""
    writer = None
    try:
        async with asyncio.timeout(GIVE_UP_SECONDS):
            reader, writer = await asyncio.open_connection(door.host, door.port)
            writer.write(_request(door, answer.body))
            await _read(reader, answer)
    except (OSError, httptools.HttpParserError) as error:
        answer.error = f"{type(error).__name__}: {error}"
    finally:
        answer.ended = monotonic()
        if writer is not None:
            writer.close()


def asked_again(door: Door, answer: Answer) -> Answer:
    """The same question once more, now that all is well."""
    again = Answer(answer.kind, answer.body, monotonic())
    asyncio.run(ask(door, again))
    return again


async def _read(reader: asyncio.StreamReader, answer: Answer) -> None:
    parser = httptools.HttpResponseParser(_Heard(answer, lambda: parser.get_status_code()))
    while not answer.is_whole and (data := await reader.read(65536)):
        parser.feed_data(data)


class _Heard:
    def __init__(self, answer: Answer, status: Callable[[], int]) -> None:
        self._answer, self._status = answer, status

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-arriero-target":
            self._answer.target = value.decode()

    def on_headers_complete(self) -> None:
        self._answer.status = self._status()

    def on_body(self, piece: bytes) -> None:
        now = monotonic()
        self._answer.first = self._answer.first or now
        self._answer.text += piece
        self._answer.pieces.append(now)

    def on_message_complete(self) -> None:
        self._answer.is_whole = True


def _request(door: Door, body: bytes) -> bytes:
    key = f"Authorization: Bearer {door.key}\r\n" if door.key else ""
    return (
        f"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{key}"
        f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def _body(model: str, chance: random.Random, words: int, tokens: int, *, is_stream: bool) -> bytes:
    """At temperature 0 and with its seed, so that the same question has the same answer everywhere."""
    prompt = " ".join(f"{chance.randrange(2**16):x}" for _ in range(max(1, words)))
    options = {"temperature": 0, "seed": chance.randrange(2**31), "num_predict": tokens}
    return json.dumps({"model": model, "prompt": prompt, "stream": is_stream, "options": options}).encode()
