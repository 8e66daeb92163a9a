"""Listening sockets that outlive a process: opened once, given to workers and to the process that follows this one.

As long as one process holds a socket open, the kernel keeps accepting for it: connections wait in its queue and none is
reset. So this process keeps a copy of each beside the one it serves on, and hands the copies on by inheritance.
What a process was handed stands in one environment variable, as numbers of descriptors.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from arriero.gateway.wire.address import split_address

VARIABLE = "ARRIERO_HANDED"
BACKLOG = 2048
READY_SECONDS = 30.0
NONE = -1


@dataclass(frozen=True, slots=True)
class Handed:
    """Descriptors that a process got. Of every new process: its listening sockets, `ready` to be told through, the
    `state` to begin with, and the `memory` and `lock` of the lanes. Of a worker: the `line` to its parent as well.
    `workers`, if not 0, is how many were asked for in place of what the settings say.
    """

    listen: tuple[int, ...] = ()
    control: tuple[int, ...] = ()
    ready: int = NONE
    state: int = NONE
    memory: int = NONE
    lock: int = NONE
    line: int = NONE
    workers: int = 0

    @classmethod
    def take(cls, environment: MutableMapping[str, str]) -> Handed:
        """What this process was handed; nothing of it goes on to its own children by accident."""
        data: dict[str, Any] = json.loads(environment.pop(VARIABLE, "{}"))
        given: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
        handed = cls(**given)
        for descriptor in handed.descriptors():
            os.set_inheritable(descriptor, False)
        return handed

    def descriptors(self) -> list[int]:
        values = (getattr(self, field.name) for field in fields(self) if field.name != "workers")
        lists = (value if isinstance(value, tuple) else (value,) for value in values)
        return [descriptor for found in lists for descriptor in found if descriptor != NONE]

    @property
    def is_worker(self) -> bool:
        return self.line != NONE

    def tell_ready(self) -> None:
        if self.ready != NONE:
            os.write(self.ready, b"1")
            os.close(self.ready)


class Doors:
    """The listening sockets of one process, by what they are for."""

    def __init__(self, handed: Mapping[str, tuple[int, ...]]) -> None:
        self._sockets = {name: [socket.socket(fileno=number) for number in numbers] for name, numbers in handed.items()}

    def open(self, name: str, address: str, count: int = 1) -> None:
        """Listens at `address` (`host:port`) unless sockets for it were handed over; raises OSError.

        With a `count` there are as many sockets, among which the kernel spreads connections.
        """
        host, port = split_address(address)
        places = _places(host, port)
        if {found.getsockname()[:2] for found in self._sockets.get(name, ())} != {place[1][:2] for place in places}:
            self.close(name)
            self._sockets[name] = [opened for place in places for opened in _listening(*place, count)]

    def copies(self, name: str) -> list[socket.socket]:
        """To serve on, and to close without closing the door."""
        return [found.dup() for found in self._sockets.get(name, ())]

    def numbers(self, name: str) -> tuple[int, ...]:
        return tuple(found.fileno() for found in self._sockets.get(name, ()))

    def close(self, *names: str) -> None:
        for name in names or tuple(self._sockets):
            for found in self._sockets.pop(name, ()):
                found.close()


def start(config: Path, handed: Handed) -> tuple[subprocess.Popen[bytes], int]:
    """A new process of this program with these settings; the number is a pipe on which it tells that it serves."""
    told, ready = os.pipe()
    given = {**asdict(handed), "ready": ready}
    numbers = [*handed.descriptors(), ready]
    try:
        command = [sys.executable, "-m", "arriero.gateway", str(config)]
        environment = {**os.environ, VARIABLE: json.dumps(given)}
        process = subprocess.Popen(command, env=environment, pass_fds=numbers, stdin=subprocess.DEVNULL)
    finally:
        os.close(ready)
    return process, told


async def is_ready(told: int) -> bool:
    """Whether the process at the other end says that it serves; False when it ended, or took half a minute."""
    loop = asyncio.get_running_loop()
    heard: asyncio.Future[bool] = loop.create_future()

    def hear() -> None:
        if not heard.done():
            heard.set_result(os.read(told, 1) == b"1")

    loop.add_reader(told, hear)
    try:
        async with asyncio.timeout(READY_SECONDS):
            return await heard
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(told)
        os.close(told)


@contextlib.contextmanager
def in_memory(text: bytes) -> Iterator[int]:
    """A descriptor that reads as this text, for another process."""
    descriptor = os.memfd_create("state", os.MFD_CLOEXEC)
    try:
        os.pwrite(descriptor, text, 0)
        yield descriptor
    finally:
        os.close(descriptor)


def read_all(descriptor: int) -> bytes:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)


def _places(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, (str(place[0]), int(place[1]))) for family, _, _, _, place in found))


def _listening(family: socket.AddressFamily, place: tuple[str, int], count: int) -> list[socket.socket]:
    if count > 1:
        # Sockets that share a port don't notice somebody else's that shares it too: this one does.
        _bound(family, place, shares=False).close()
    opened = [_bound(family, place, shares=count > 1) for _ in range(count)]
    for found in opened:
        found.listen(BACKLOG)
    return opened


def _bound(family: socket.AddressFamily, place: tuple[str, int], shares: bool) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shares:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(place)
        made.setblocking(False)
    except OSError:
        made.close()
        raise
    return made
