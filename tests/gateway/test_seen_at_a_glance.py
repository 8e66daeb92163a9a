"""What `arriero top` reads of a running gateway, by its control port alone, also where it has keys and workers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from keyed import bearer, made, written
from program import program
from running_gateway import TOKEN, entry, gateway, run
from scripted_server import ScriptedServer, chunk, says, stream_head

from arriero.cli.topping import look
from arriero.control.client import Gateway
from arriero.observe.glance import Glance, History
from arriero.secret import Secret

LAST = b'{"done":true,"done_reason":"stop","load_duration":300000000,"prompt_eval_count":7,"eval_count":3}\n'
STREAM = stream_head() + chunk(b'{"response":"a"}\n') + chunk(b'{"response":"b"}\n') + chunk(LAST) + chunk(b"")


def test_a_gateway_with_keys_is_seen_by_its_token(tmp_path: Path) -> None:
    async def story() -> None:
        text, key = made("app")
        server = await ScriptedServer(("llama2:latest",), ("llama2:latest",)).start()
        server.plays["/api/chat"] = says(STREAM)
        first = entry(server, "a", cost=0.5, release=4)
        async with gateway(tmp_path, first, keys_file=written(tmp_path, key)) as running:
            client, history = Gateway(f"http://{running.settings.control}", Secret(TOKEN)), History()
            await asyncio.to_thread(look, client, history, 0.0)
            for _ in range(4):
                await running.ask("POST", "/api/chat", {"model": "llama2"}, bearer(text))
            found: Glance = await asyncio.to_thread(look, client, history, 2.0)
            assert (found.whole.up, found.whole.targets, found.whole.cost_an_hour) == (1, 1, 0.5)
            assert found.whole.tokens_a_second == pytest.approx(6)
            assert found.whole.first_token_p95 is not None
            [site], [model] = found.sites, found.models
            assert (site.name, site.release, site.cost_an_hour) == ("site-a", 4, 0.5)
            assert site.first_token_p50 == pytest.approx(model.first_token_p50)
            assert (model.name, model.up) == ("llama2:latest", 1)
        await server.stop()

    run(story())


def test_the_workers_of_one_gateway_are_counted_together(tmp_path: Path) -> None:
    async def story() -> None:
        server = await ScriptedServer(plays={"/api/chat": says(STREAM)}).start()
        async with program(tmp_path, entry(server, "a"), workers=2) as running:
            for _ in range(12):
                assert (await running.ask("POST", "/api/chat", {"model": "llama2"})).status == 200
            history = History()
            found = await asyncio.to_thread(look, running.control, history, 0.0)
            assert history.now.sum("ollama_eval_total") == 36
            assert found.whole.targets == 1
        await server.stop()

    run(story())
