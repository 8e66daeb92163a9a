"""What the controller says of lines that it sends away is told at /metrics: once, however many workers there are."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from program import program
from running_gateway import entry, run
from scripted_server import ScriptedServer

from arriero.control.client import GatewayError
from arriero.control.shipping import Shipped

NAMES = ("shipped_total", "lost_total", "failures_total", "waiting")


@pytest.mark.parametrize("workers", [1, 2])
def test_what_was_shipped_is_told_and_makes_no_line_that_would_be_shipped(tmp_path: Path, workers: int) -> None:
    async def story() -> None:
        server = await ScriptedServer().start()
        async with program(tmp_path, entry(server, "a"), workers=workers) as running:
            assert "arriero_logs_" not in (await running.ask("GET", "/metrics")).body.decode()
            for shipped in (Shipped(10, 1, 2, 3, 4), Shipped(200, 1, 5, 3, 0)):
                await asyncio.to_thread(running.control.set_shipped, shipped)
                told = [await running.figure(f"arriero_logs_{name}") for name in NAMES]
                assert told == [shipped.sent, shipped.dropped + shipped.refused, shipped.failures, shipped.waiting]
            text = (await running.ask("GET", "/metrics")).body.decode()
            assert 'arriero_logs_lost_total{why="refused"} 5' in text
            with pytest.raises(GatewayError, match="whole number"):
                await asyncio.to_thread(running.control.set_shipped, Shipped(sent=-1))
        lines = [json.loads(line) for line in Path(running.settings.access_log).read_text().splitlines()]
        orders = [(line["path"], line["status"]) for line in lines if line["event"] == "order"]
        assert ("/targets", 200) in orders
        assert {order for order in orders if order[0] == "/shipped"} == {("/shipped", 400)}
        await server.stop()

    run(story())
