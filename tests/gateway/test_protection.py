"""When the sidecar asks ECS to protect its task, and for how long."""

from __future__ import annotations

import asyncio
import json

import pytest
from running_gateway import run
from running_sidecar import sidecar
from scripted_server import Heard, ScriptedServer, json_response

from arriero.gateway.sidecar.protection import Wish, wished

LIMIT = 3600.0


@pytest.mark.parametrize(
    ("why", "newest_at", "idle_since", "until", "now", "wish"),
    [
        ("nothing runs and nothing was asked for", None, 0.0, 0.0, 100.0, None),
        ("a first request", 100.0, 0.0, 0.0, 100.0, Wish(60)),
        ("it is protected for that long already", 100.0, 0.0, 3700.0, 101.0, None),
        ("a request a moment later is not worth another question", 130.0, 0.0, 3700.0, 131.0, None),
        ("a request a minute later is", 160.0, 0.0, 3700.0, 160.0, Wish(60)),
        ("a request that outlasts the limit protects no longer", 100.0, 0.0, 3700.0, 3701.0, None),
        ("idle, but only just", None, 200.0, 3700.0, 202.0, None),
        ("idle", None, 200.0, 3700.0, 203.0, Wish(0)),
        ("idle, and it has run out by itself", None, 200.0, 3700.0, 3800.0, None),
    ],
)
def test_what_is_asked_for(
    why: str, newest_at: float | None, idle_since: float, until: float, now: float, wish: Wish | None
) -> None:
    assert wished(newest_at, idle_since, until, LIMIT, now) == wish, why


def test_never_longer_than_ecs_takes() -> None:
    assert wished(0.0, 0.0, 0.0, 1e6, 0.0) == Wish(2880)
    assert wished(0.0, 0.0, 0.0, 61.0, 60.5) == Wish(1)


def test_it_is_asked_for_at_once_and_given_back_when_the_sidecar_drains() -> None:
    async def story() -> None:
        asked: list[object] = []

        async def agent(heard: Heard) -> None:
            assert heard.head.startswith(b"PUT ")
            asked.append(json.loads(heard.body))
            await heard.send(json_response({"protection": {}}))

        async def slow(heard: Heard) -> None:
            await asyncio.sleep(0.2)
            await heard.send(json_response({"done": True}))

        plays = {"/api/v1/task-protection/v1/state": agent, "/api/generate": slow}
        server = await ScriptedServer(plays=plays).start()
        async with sidecar(server, ecs_agent=f"http://{server.address}/api/v1", stream_seconds=120.0) as beside:
            await beside.until_ready()
            assert asked == []
            request = asyncio.ensure_future(beside.ask("POST", "/api/generate", {"model": "llama2"}))
            async with asyncio.timeout(1):
                while not asked:
                    await asyncio.sleep(0.01)
            assert asked == [{"ProtectionEnabled": True, "ExpiresInMinutes": 2}]
            await request
        assert asked[-1] == {"ProtectionEnabled": False}
        await server.stop()

    run(story())


def test_an_agent_that_does_not_answer_stops_no_request() -> None:
    async def story() -> None:
        async def slow(heard: Heard) -> None:
            await asyncio.sleep(0.1)
            await heard.send(json_response({"done": True}))

        server = await ScriptedServer(plays={"/api/generate": slow}).start()
        async with sidecar(server, ecs_agent="http://127.0.0.1:9") as beside:
            await beside.until_ready()
            assert (await beside.ask("POST", "/api/generate", {"model": "llama2"})).status == 200
            told = [fields["why"] for event, fields in beside.events if event == "unprotected"]
            assert [why.startswith("ECS does not protect this task: ") for why in told] == [True]
        await server.stop()

    run(story())
