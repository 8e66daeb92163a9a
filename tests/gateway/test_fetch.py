"""A gateway's own questions: a server that closes what was kept is asked again, and never ends the gateway."""

from __future__ import annotations

import asyncio

import pytest
from scripted_server import Heard, Play, ScriptedServer, json_response

from arriero.gateway.wire.fetch import FetchFailed, fetch
from arriero.gateway.wire.upstream import Upstreams


def test_every_kept_connection_may_have_been_closed() -> None:
    """As when a server goes: all of them break in the moment in which the next questions are sent."""
    asyncio.run(ask_where_all_are_closed())


def test_a_server_that_breaks_off_every_time_has_failed() -> None:
    asyncio.run(ask_who_breaks_off())


async def ask_where_all_are_closed() -> None:
    server = await ScriptedServer().start()
    upstreams = Upstreams(1.0)
    try:
        await asyncio.gather(*(fetch(upstreams, server.address, "/api/tags") for _ in range(4)))
        kept = server.connections
        server.plays["/api/tags"] = broken_on(server, kept)
        told = await fetch(upstreams, server.address, "/api/tags")
        assert told == {"models": []}
        assert kept >= 2, "the case needs more than one"
        assert server.connections == kept + 1
    finally:
        await upstreams.close()
        await server.stop()


async def ask_who_breaks_off() -> None:
    server = await ScriptedServer().start()
    upstreams = Upstreams(1.0)
    try:
        await fetch(upstreams, server.address, "/api/tags")

        async def break_off(heard: Heard) -> None:
            heard.break_off()

        server.plays["/api/tags"] = break_off
        with pytest.raises(FetchFailed):
            await fetch(upstreams, server.address, "/api/tags")
    finally:
        await upstreams.close()
        await server.stop()


def broken_on(server: ScriptedServer, kept: int) -> Play:
    """Breaks off where the connection is one of the first `kept`, and answers on a newer one."""

    async def play(heard: Heard) -> None:
        if server.connections <= kept:
            heard.break_off()
        else:
            await heard.send(json_response({"models": []}))

    return play
