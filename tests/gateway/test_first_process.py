"""A gateway that is the first process of a container: when it ends, the container does."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from program import Program, write_settings
from running_gateway import entry, run
from scripted_server import ScriptedServer, json_response, says

from arriero.control.messages import Targets

GENERATE = {"model": "llama2", "prompt": "x", "stream": False}


@pytest.mark.wide
def test_it_stays_until_its_successor_ends(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root for a namespace of processes")

    async def story() -> None:
        server = await ScriptedServer(plays={"/api/generate": says(json_response({"done": True}))}).start()
        settings, config = write_settings(tmp_path)
        command = [
            "unshare",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            sys.executable,
            "-m",
            "arriero.gateway",
            str(config),
        ]
        outside = subprocess.Popen(command)
        running = Program(settings, config, outside)
        try:
            assert (await running.until(lambda _: True)).pid == 1
            await asyncio.to_thread(running.control.set_targets, Targets((entry(server, "a"),)))
            for ended in (1, 2):
                former = await asyncio.to_thread(running.control.restart)
                await running.until(lambda status, former=former: status.pid != former)  # type: ignore[misc]
                await running.until(lambda _, ended=ended: len(running.events("gateway.ended")) == ended)  # type: ignore[misc]
            assert outside.poll() is None
            assert (await running.ask("POST", "/api/generate", GENERATE)).status == 200
            (first,) = Path(f"/proc/{outside.pid}/task/{outside.pid}/children").read_text().split()
            os.kill(int(first), signal.SIGTERM)
            assert await asyncio.to_thread(outside.wait, 20) == 0
        finally:
            outside.kill()
            outside.wait()
        await server.stop()

    run(story())
