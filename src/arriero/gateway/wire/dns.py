"""A name's addresses from DNS: the question and the answer as bytes (RFC 1035), and one that asks over UDP.

Not the system's resolver: that one blocks a thread, keeps no apart who has no address and who could not be asked, and
knows no other port than 53. Only A records are asked for, at the servers given, with no search list.
"""

from __future__ import annotations

import asyncio
import secrets
import struct
from collections.abc import Sequence
from pathlib import Path

from arriero.gateway.wire.address import split_address

ANSWER_SECONDS = 1.0
ROUNDS = 2
CONFIGURATION = Path("/etc/resolv.conf")
_HEADER, _RECORD = struct.Struct("!6H"), struct.Struct("!HHIH")
_RECURSION, _IS_ANSWER = 0x0100, 0x8000
_A, _INTERNET = 1, 1
_NO_SUCH_NAME = 3
_POINTER = 0xC0


class LookupFailed(Exception):
    """Nobody could tell the name's addresses, which is not the same as that it has none."""


def question(name: str, number: int) -> bytes:
    """The message that asks for A records; raises ValueError for what can be no name."""
    labels = [label.encode("ascii", "replace") for label in name.rstrip(".").split(".")]
    if not all(0 < len(label) < 64 and b"?" not in label for label in labels) or sum(map(len, labels)) > 240:
        raise ValueError(f"{name!r} is no name of DNS")
    written = b"".join(bytes([len(label)]) + label for label in labels)
    return _HEADER.pack(number, _RECURSION, 1, 0, 0, 0) + written + struct.pack("!BHH", 0, _A, _INTERNET)


def addresses(asked: bytes, answer: bytes) -> tuple[str, ...]:
    """Those in the answer to that question, sorted; none where the name has none. Raises LookupFailed."""
    try:
        number, flags, questions, records, _, _ = _HEADER.unpack_from(answer)
        if number != int.from_bytes(asked[:2]) or not flags & _IS_ANSWER or questions != 1:
            raise LookupFailed("it answered something else")
        code, at = flags & 0xF, len(asked)
        if answer[_HEADER.size : at].lower() != asked[_HEADER.size :].lower():
            raise LookupFailed("it answered another question")
        if code == _NO_SUCH_NAME:
            return ()
        if code:
            raise LookupFailed(f"it answered with code {code}")
        return _records(answer, at, records)
    except (struct.error, IndexError):
        raise LookupFailed("its answer is cut off") from None


def _records(answer: bytes, at: int, count: int) -> tuple[str, ...]:
    found = []
    for _ in range(count):
        while (length := answer[at]) and length & _POINTER != _POINTER:
            at += length + 1
        at += 2 if length else 1
        kind, kind_of_net, _, size = _RECORD.unpack_from(answer, at)
        at += _RECORD.size
        value = answer[at : at + size]
        if len(value) < size:
            raise IndexError
        if (kind, kind_of_net, size) == (_A, _INTERNET, 4):
            found.append(".".join(map(str, value)))
        at += size
    return tuple(sorted(found))


def servers(configuration: Path = CONFIGURATION) -> tuple[str, ...]:
    """The DNS servers of this machine, as `host:port`; none where it names none."""
    try:
        lines = [line.split() for line in configuration.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        return ()
    return tuple(f"{words[1]}:53" for words in lines if words[:1] == ["nameserver"] and len(words) > 1)


class Resolver:
    """Asks one server after the other; without any given those of this machine, which may change meanwhile."""

    def __init__(self, given: Sequence[str] = ()) -> None:
        self._given = tuple(given)

    async def ask(self, name: str) -> tuple[str, ...]:
        """Raises LookupFailed once each server was asked twice."""
        failed = LookupFailed(f"{CONFIGURATION} names no DNS server")
        for server in (self._given or servers()) * ROUNDS:
            try:
                return await _asked(name, server)
            except LookupFailed as error:
                failed = LookupFailed(f"{server}: {error}")
            except TimeoutError:
                failed = LookupFailed(f"{server}: no answer within {ANSWER_SECONDS:g} s")
            except OSError as error:
                failed = LookupFailed(f"{server}: {error.strerror or error}")
        raise failed


async def _asked(name: str, server: str) -> tuple[str, ...]:
    asked, loop = question(name, secrets.randbelow(0x10000)), asyncio.get_running_loop()
    answered: asyncio.Future[bytes] = loop.create_future()
    async with asyncio.timeout(ANSWER_SECONDS):
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Question(asked, answered), remote_addr=split_address(server)
        )
        try:
            transport.sendto(asked)
            return addresses(asked, await answered)
        finally:
            transport.close()


class _Question(asyncio.DatagramProtocol):
    """One question on a port of its own; what is no answer to it is not listened to."""

    def __init__(self, asked: bytes, answered: asyncio.Future[bytes]) -> None:
        self._asked, self._answered = asked, answered

    def datagram_received(self, data: bytes, _: object) -> None:
        if data[:2] == self._asked[:2] and not self._answered.done():
            self._answered.set_result(data)

    def error_received(self, error: Exception) -> None:
        if not self._answered.done():
            self._answered.set_exception(error)
