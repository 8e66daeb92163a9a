"""A running gateway says where a request would go and why, and asks no target for it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from program import Program, program
from running_gateway import entry, run
from scripted_server import ScriptedServer

from arriero.cli import main
from arriero.cli.explaining import lines
from arriero.control.messages import Question


@pytest.mark.parametrize("workers", [1, 2])
def test_each_target_has_its_reason(tmp_path: Path, workers: int, capsys: pytest.CaptureFixture[str]) -> None:
    async def story() -> None:
        servers = await asyncio.gather(
            ScriptedServer().start(), ScriptedServer(resident=()).start(), ScriptedServer(("mistral:latest",)).start()
        )
        warm, cold, other = servers
        entries = entry(warm, "warm", cost=0.2), entry(cold, "cold", cost=0.1), entry(other, "other", role="standby")
        async with program(tmp_path, *entries, workers=workers) as running:
            await shown_to_be_right(running)
            command = ["explain", "routing", "--gateway", str(tmp_path / "gateway.json"), "--model", "mistral"]
            assert await asyncio.to_thread(main.run, [*command, "--json"]) == 0
        assert [server.heard for server in servers] == [[], [], []]
        await asyncio.gather(*(server.stop() for server in servers))

    run(story())
    told = json.loads(capsys.readouterr().out)
    assert (told["schema"], told["model"]) == (1, "mistral:latest")
    assert {row["target"]: row["can_now"] for row in told["targets"]} == {"warm": False, "cold": False, "other": True}


async def shown_to_be_right(running: Program) -> None:
    found = await asyncio.to_thread(running.control.explain, Question("LLama2", "Why?"))
    assert (found.model, found.chosen) == ("llama2:latest", "cold")
    reasons = {reason.target: reason for reason in found.targets}
    assert reasons["warm"].finds == "the model in memory and a free slot"
    assert (reasons["warm"].can_now, reasons["warm"].penalty) == (True, 5.0)
    assert reasons["cold"].finds == "the model on disk, and room for it in memory"
    assert reasons["other"].finds == "it does not have this model"
    head, titles, *rows = lines(found)
    assert head.startswith("llama2:latest: cold: the model on disk, and room for it in memory; first token in about ")
    assert titles.split()[:3] == ["TARGET", "SITE", "SECONDS"]
    assert [row.split()[0] for row in rows] == ["*", "warm", "other"]
    missing = await asyncio.to_thread(running.control.explain, Question("absent"))
    assert (missing.chosen, missing.outcome) == ("", "it is refused: no target has this model")
    drained = await asyncio.to_thread(running.control.drain, "cold")
    assert drained is None
    again = await asyncio.to_thread(running.control.explain, Question("llama2"))
    assert again.chosen == "warm"
    assert "it is draining: told to drain" in [reason.finds for reason in again.targets]
