"""A parent's end of the line to a worker: the control port's HTTP over a socket pair, one order at a time."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

from arriero.secret import Secret

ANSWER_SECONDS = 5.0


class LineError(Exception):
    """The worker did not answer."""


class Line:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: Secret) -> None:
        self._reader, self._writer, self._token = reader, writer, token
        self._turn = asyncio.Lock()

    @classmethod
    async def over(cls, ours: socket.socket, token: Secret) -> Line:
        return cls(*await asyncio.open_connection(sock=ours), token)

    async def ask(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Status and JSON; raises LineError when there is no answer within 5 s."""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self._token.reveal()}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        async with self._turn:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    self._writer.write(head.encode() + body)
                    return await self._answer()
            except (OSError, EOFError, TimeoutError, ValueError) as error:
                # What comes later would be taken for the answer to another order.
                self.close()
                raise LineError(f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        self._writer.close()

    async def _answer(self) -> tuple[int, Any]:
        head = await self._reader.readuntil(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        lengths = [int(line[15:]) for line in lines if line.lower().startswith(b"content-length:")]
        body = await self._reader.readexactly(lengths[0] if lengths else 0)
        return int(lines[0].split(b" ")[1]), json.loads(body or b"{}")
