"""An independent client: asks for streams and keeps every byte with its time; it shares no code with what it watches.

It judges an answer by what Ollama and OpenAI promise alone: a stream is complete with `"done":true` or `[DONE]`, ended
explicitly with an error record, and anything else is an end without a word.
"""

from __future__ import annotations

import asyncio
import json
from array import array
from dataclasses import dataclass, field
from typing import Any, Literal

import httptools

Outcome = Literal["complete", "explicit", "silent", "lost", "wrong"]


@dataclass(frozen=True)
class Question:
    """`expected` is the text that one unhurried server gives at temperature 0; empty when it is not known yet.

    `seed` says nothing at that temperature: it makes a request unlike all others, as those of different people are.
    """

    path: str
    model: str
    prompt: str
    tokens: int
    expected: str = ""
    seed: int = 0

    def body(self, stream: bool) -> bytes:
        asked: dict[str, Any] = {"model": self.model, "stream": stream}
        if self.path.startswith("/v1/"):
            asked |= {"temperature": 0, "seed": self.seed, "max_tokens": self.tokens}
        else:
            asked["options"] = {"temperature": 0, "seed": self.seed, "num_predict": self.tokens}
        if self.path == "/api/generate":
            asked["prompt"] = self.prompt
        else:
            asked["messages"] = [{"role": "user", "content": self.prompt}]
        return json.dumps(asked).encode()


@dataclass
class Answer:
    """All that was heard; `times` has the moment of every piece of the body (the loop's clock, seconds)."""

    question: Question
    asked_at: float
    status: int = 0
    target: str = ""
    body: bytearray = field(default_factory=bytearray)
    times: array[float] = field(default_factory=lambda: array("d"))
    is_whole: bool = False
    ended_at: float = 0.0
    error: str = ""

    @property
    def first_byte_at(self) -> float | None:
        return self.times[0] if self.times else None

    def next_after(self, moment: float) -> float | None:
        """When the first piece after that moment came."""
        return next((at for at in self.times if at > moment), None)

    def records(self) -> list[dict[str, Any]]:
        """Of a stream; what is not JSON is left out (`[DONE]`, comments, an unfinished record)."""
        found = []
        for line in bytes(self.body).split(b"\n"):
            text = line.removeprefix(b"data: ").strip()
            if text.startswith(b"{"):
                try:
                    found.append(json.loads(text))
                except ValueError:
                    continue
        return found

    def text(self) -> str:
        return "".join(_said(record) for record in self.records())

    def outcome(self) -> Outcome:
        """`lost`: not one byte of an answer came. `wrong`: it calls itself complete and says something else."""
        if self.status != 200 or not self.body:
            return "lost"
        records = self.records()
        if records and "error" in records[-1] and self.is_whole:
            return "explicit"
        is_native = not self.question.path.startswith("/v1/")
        is_done = bool(records) and records[-1].get("done") is True if is_native else b"[DONE]" in self.body[-40:]
        if not (is_done and self.is_whole):
            return "silent"
        return "complete" if self.text() == self.question.expected else "wrong"

    def was_carried_on(self) -> bool:
        """Whether the last record says that the stream moved to another target."""
        return b"arriero" in bytes(self.body[-1500:]).rpartition(b'"done":true')[2] or any(
            "arriero" in record or "migrated" in record for record in self.records()[-2:]
        )


def _said(record: dict[str, Any]) -> str:
    if "message" in record:
        return str(record["message"].get("content") or "")
    if record.get("choices"):
        choice = record["choices"][0]
        return str((choice.get("delta") or {}).get("content") or choice.get("text") or "")
    return str(record.get("response") or "")


class Watcher(asyncio.Protocol):
    """One request on one connection."""

    def __init__(self, question: Question, headers: str, stream: bool = True) -> None:
        self._loop = asyncio.get_running_loop()
        self._question, self._headers, self._is_stream = question, headers, stream
        self.answer = Answer(question, self._loop.time())
        self.over: asyncio.Future[Answer] = self._loop.create_future()
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        body = self._question.body(self._is_stream)
        transport.write(
            f"POST {self._question.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"{self._headers}Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.answer.error = f"not HTTP: {error}"
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self.answer.error = self.answer.error or (repr(error) if error else "closed")
        self._end()

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-arriero-target":
            self.answer.target = value.decode()

    def on_headers_complete(self) -> None:
        self.answer.status = self._parser.get_status_code()

    def on_body(self, piece: bytes) -> None:
        self.answer.body += piece
        self.answer.times.append(self._loop.time())

    def on_message_complete(self) -> None:
        self.answer.is_whole = True
        self._end()
        self._transport.close()

    def _end(self) -> None:
        if not self.over.done():
            self.answer.ended_at = self._loop.time()
            self.over.set_result(self.answer)


async def ask(port: int, question: Question, headers: str = "", stream: bool = True, host: str = "127.0.0.1") -> Answer:
    """The whole answer, however it ended; `lost` when nobody took the connection."""
    loop = asyncio.get_running_loop()
    try:
        _, watcher = await loop.create_connection(lambda: Watcher(question, headers, stream), host, port)
    except OSError as error:
        return Answer(question, loop.time(), error=repr(error), ended_at=loop.time())
    try:
        return await watcher.over
    finally:
        watcher._transport.abort()
