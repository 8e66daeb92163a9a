"""Ports that the stage may not open: who listens takes the one instead, and who calls finds it there."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Any

import pytest

from arriero.clock import ManualClock
from arriero.rehearse.forwarding import Limits, Listener, Said
from arriero.rehearse.low_ports import WITHOUT_RIGHTS, opened

ADDRESS = "127.0.0.1"


def low_port() -> int:
    """One whose port instead is free, and at which nobody listens."""
    for instead in range(WITHOUT_RIGHTS + 100, WITHOUT_RIGHTS + 1023):
        try:
            socket.create_server((ADDRESS, instead)).close()
            socket.create_connection((ADDRESS, instead - WITHOUT_RIGHTS), timeout=5).close()
        except ConnectionRefusedError:
            return instead - WITHOUT_RIGHTS
        except OSError:
            continue
    raise AssertionError("no port is free")


@pytest.fixture
def without_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    real = asyncio.start_server

    async def start(serve: Any, address: str, port: int, **more: Any) -> asyncio.Server:
        if port < 1024:
            raise PermissionError(errno.EACCES, "Permission denied")
        return await real(serve, address, port, **more)

    monkeypatch.setattr(asyncio, "start_server", start)


@pytest.mark.usefixtures("without_rights")
def test_what_may_not_listen_at_its_port_is_found_at_the_one_instead() -> None:
    async def story() -> bytes:
        listener, port = Listener(lambda _: Said(200, "here"), lambda: Limits(60), ManualClock()), low_port()
        await listener.start(ADDRESS, port)
        try:
            reader, writer = await opened(ADDRESS, port)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            said = await reader.read()
            writer.close()
            return said
        finally:
            await listener.stop()

    assert asyncio.run(story()).endswith(b"here")


def test_nobody_looks_elsewhere_for_a_port_that_everybody_may_open() -> None:
    with socket.create_server((ADDRESS, 0)) as one:
        port = one.getsockname()[1] - WITHOUT_RIGHTS
        assert port >= 1024
        with pytest.raises(ConnectionRefusedError):
            asyncio.run(opened(ADDRESS, port))
