"""A DNS server of tests on a UDP port: it answers with the addresses that a test gives it, or as badly as it says."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import cast


@dataclass
class Names(asyncio.DatagramProtocol):
    """`code` is the answer's own; `is_silent`: it hears and says nothing."""

    by_name: dict[str, list[str]] = field(default_factory=dict)
    code: int = 0
    is_silent: bool = False
    address: str = ""
    heard: list[str] = field(default_factory=list)
    _transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # uvloop's is one, and does not say so

    def datagram_received(self, data: bytes, peer: tuple[str, int]) -> None:
        name, asked = name_of(data)
        self.heard.append(name)
        assert self._transport is not None
        if not self.is_silent:
            found = self.by_name.get(name)
            code = self.code or (0 if found is not None else 3)
            self._transport.sendto(answer(data[:2], asked, found or [], code), peer)


def name_of(message: bytes) -> tuple[str, bytes]:
    """The name that is asked for, and the question as it was written."""
    labels, at = [], 12
    while size := message[at]:
        labels.append(message[at + 1 : at + 1 + size].decode())
        at += size + 1
    return ".".join(labels), message[12 : at + 5]


def answer(number: bytes, asked: bytes, addresses: list[str], code: int = 0) -> bytes:
    """A record of another kind comes first, as where a name leads to another one."""
    alias = b"\xc0\x0c" + struct.pack("!HHIH", 5, 1, 5, 2) + b"\xc0\x0c"
    records = [b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 5, 4) + bytes(map(int, each.split("."))) for each in addresses]
    head = number + struct.pack("!HHHHH", 0x8180 | code, 1, len(records) + 1, 0, 0)
    return head + asked + alias + b"".join(records)


@contextlib.asynccontextmanager
async def names(**by_name: list[str]) -> AsyncIterator[Names]:
    """Answers until the block ends."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(Names, local_addr=("127.0.0.1", 0))
    host, port = transport.get_extra_info("sockname")
    server.address, server.by_name = f"{host}:{port}", dict(by_name)
    try:
        yield server
    finally:
        transport.close()
