"""Clients that stream without a pause, on one event loop, and know what befell each answer; no part of the product."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Answer:
    """One stream: when it was asked and where it began; `lost` says how it ended where it did not come to its end."""

    prompt: str
    asked_at: float
    target: str
    text: str = ""
    lost: str = ""
    is_migrated: bool = False
    seconds: float = 0.0


@dataclass
class Clients:
    """Each asks its own prompt again and again, so a wrong word is found: the same prompt has the same answer."""

    port: int
    tokens: int
    answers: list[Answer] = field(default_factory=list)
    open: int = 0
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self, count: int) -> None:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all(count)), name="clients")
        self._thread.start()

    def end(self) -> None:
        """After the answers that are under way."""
        self._over.set()
        if self._thread:
            self._thread.join()

    @property
    def lost(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.lost]

    @property
    def wrong(self) -> list[Answer]:
        """Those that say another thing than the first answer to the same prompt that nothing befell."""
        right: dict[str, str] = {}
        for answer in self.answers:
            if not answer.lost and not answer.is_migrated:
                right.setdefault(answer.prompt, answer.text)
        return [a for a in self.answers if not a.lost and a.text != right.get(a.prompt, a.text)]

    async def _all(self, count: int) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(self._client(f"Tell story {number} at length"), name=f"client {number}")

    async def _client(self, prompt: str) -> None:
        while not self._over.is_set():
            asked_at, target = time.monotonic(), ""
            self.open += 1
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    target, last, text = await self._stream(prompt)
                found = Answer(prompt, asked_at, target, text, "", "arriero" in last)
            except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError) as error:
                found = Answer(prompt, asked_at, target, lost=repr(error))
            self.open -= 1
            self.answers.append(Answer(**{**found.__dict__, "seconds": time.monotonic() - asked_at}))
            if found.lost:
                await asyncio.sleep(1)

    async def _stream(self, prompt: str) -> tuple[str, Mapping[str, Any], str]:
        """Raises ValueError where the answer is not a whole one."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            asked = {"model": "llama2", "prompt": prompt, "options": {"num_predict": self.tokens, "temperature": 0}}
            body = json.dumps(asked).encode()
            head = "POST /api/generate HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            status, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in fields if ": " in line)
            if " 200 " not in f"{status} ":
                raise ValueError(f"{status}: {(await reader.read())[:200]!r}")
            lines = (await _chunks(reader)).splitlines()
        finally:
            writer.close()
        records = [json.loads(line) for line in lines]
        if not records or not records[-1].get("done"):
            raise ValueError(f"no last record: {lines[-1:]}")
        if error := next((record["error"] for record in records if "error" in record), ""):
            raise ValueError(error)
        return headers["x-arriero-target"], records[-1], "".join(record.get("response", "") for record in records)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    whole = b""
    while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
        whole += await reader.readexactly(size)
        await reader.readexactly(2)
    return whole
