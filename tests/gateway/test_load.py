"""What the control port tells of the work that is asked: over, open and waiting requests of each model."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from running_gateway import TOKEN, Running, entry, gateway, run
from scripted_server import Heard, ScriptedServer, chunk, says, stream_head

from arriero.control.client import Gateway
from arriero.control.load import Ended, GatewayLoad, Pending, together
from arriero.secret import Secret

ANSWER = (
    stream_head() + chunk(b'{"done":true,"done_reason":"stop","prompt_eval_count":7,"eval_count":3}\n') + chunk(b"")
)


async def told_by(running: Running) -> GatewayLoad:
    client = Gateway(f"http://{running.settings.control}", Secret(TOKEN))
    return await asyncio.to_thread(client.load)


def test_over_open_and_waiting_requests_are_told_by_model(tmp_path: Path) -> None:
    async def story() -> None:
        let_go = asyncio.Event()

        async def held(heard: Heard) -> None:
            await let_go.wait()
            await heard.send(ANSWER)

        server = await ScriptedServer().start()
        server.plays |= {"/api/chat": says(ANSWER), "/api/generate": held}
        body = {"model": "llama2", "messages": [{"role": "user", "content": "Hello"}]}
        async with gateway(tmp_path, entry(server, "a", slots=1)) as running:
            for _ in range(2):
                await running.ask("POST", "/api/chat", body)
            told = await told_by(running)
            over = told.ended["llama2:latest"]
            assert (over.count, over.tokens_in, over.tokens_out) == (2, 14, 6)
            assert over.received_bytes == 2 * len(json.dumps(body))
            assert over.held_seconds > 0
            assert not told.pending
            asked = [asyncio.create_task(running.ask("POST", "/api/generate", {"model": "llama2"})) for _ in range(3)]
            queue = running.context.queue
            await running.until(lambda: queue is not None and queue.admission.waiting == 2)
            pending = (await told_by(running)).pending["llama2:latest"]
            assert (pending.open, pending.waiting, pending.waiting_bytes) == (1, 2, 2 * pending.open_bytes)
            let_go.set()
            await asyncio.gather(*asked)
            told = await told_by(running)
            assert (told.open, told.waiting, told.ended["llama2:latest"].count) == (0, 0, 5)
        await server.stop()

    run(story())


def test_workers_know_all_that_is_over_and_their_own_that_is_not() -> None:
    over = {"m": Ended(9, 90, 900, 99.0, 9000)}
    one, two = (
        GatewayLoad(over, {"m": Pending(2, 20, 1, 10)}),
        GatewayLoad(over, {"m": Pending(3, 30), "n": Pending(1)}),
    )
    whole = together([one, two])
    assert whole == GatewayLoad(over, {"m": Pending(5, 50, 1, 10), "n": Pending(1)})
    assert GatewayLoad.from_json(json.loads(json.dumps(whole.as_json()))) == whole
