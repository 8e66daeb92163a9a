"""No target runs, and one will be started for who waits: the request is held, told that it warms, and answered."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from pathlib import Path

from running_gateway import FAST, entry, gateway, request, run
from scripted_server import ScriptedServer, chunk, says, stream_head

from arriero.control.messages import Targets
from arriero.gateway.process.admin import apply_targets
from arriero.gateway.telling import load

MODEL = "llama2:latest"
CHAT = {"model": "llama2", "messages": [{"role": "user", "content": "hello"}]}
LIMITS = dataclasses.replace(FAST, warming_seconds=0.05, stall_seconds=0.05, queue_seconds=5.0)


def test_a_request_is_held_until_a_target_is_started_for_it(tmp_path: Path) -> None:
    async def story() -> None:
        body = stream_head() + chunk(b'{"message":{"content":"a"},"done":true}\n') + b"0\r\n\r\n"
        server = await ScriptedServer(plays={"/api/chat": says(body)}).start()
        async with gateway(tmp_path, limits=LIMITS) as running:
            refused = await running.ask("POST", "/api/chat", CHAT)
            assert refused.status == 503
            assert (await running.ask("GET", "/readyz")).status == 503
            apply_targets(running.context, Targets((), (MODEL,)))
            assert (await running.ask("GET", "/readyz")).status == 200
            async with contextlib.aclosing(await running.connect()) as client:
                await client.send(request("POST", "/api/chat", CHAT, "X-Arriero-Warming: events\r\n"))
                assert b" 200 " in await client.head()
                told = json.loads(await client.chunk())
                assert (told["status"], told["model"]) == ("warming", MODEL)
                await asyncio.sleep(0.3)
                assert load.told(running.context).pending[MODEL].waiting == 1
                apply_targets(running.context, Targets((entry(server, "a"),), (MODEL,)))
                lines = b""
                while piece := await client.chunk():
                    lines += piece
                assert json.loads(lines.splitlines()[-1])["done"] is True
            # A restarted process still knows what may be started.
            assert Targets.from_json(running.context.pool.entries().as_json()).wakes == (MODEL,)
            unknown = await running.ask("POST", "/api/chat", {**CHAT, "model": "other"})
            assert unknown.status == 404
        await server.stop()

    run(story())


def test_nobody_is_held_for_a_model_that_no_site_serves(tmp_path: Path) -> None:
    async def story() -> None:
        async with gateway(tmp_path, limits=LIMITS) as running:
            apply_targets(running.context, Targets((), (MODEL,)))
            assert (await running.ask("POST", "/api/chat", {**CHAT, "model": "other"})).status == 503

    run(story())
