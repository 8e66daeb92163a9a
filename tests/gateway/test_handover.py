"""A restart: no connection is reset, no stream is cut, and what the gateway knew it knows afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest
from program import Program, program, write_settings
from running_gateway import Client, Reply, entry, request, run
from scripted_server import Heard, ScriptedServer, chunk, json_response, says, stream_head

from arriero.control.messages import Targets, Weights
from arriero.gateway.process.handover import VARIABLE, Doors, Handed
from arriero.gateway.telling.lanes import Lanes

GENERATE = {"model": "llama2", "prompt": "x", "stream": False}
WHOLE = json_response({"response": "x", "done": True, "eval_count": 3})
PIECES = 60


async def drip(heard: Heard) -> None:
    """A stream of three seconds."""
    await heard.send(stream_head())
    for number in range(PIECES):
        await heard.send(chunk(b'{"response":"%d","done":false}\n' % number))
        await asyncio.sleep(0.05)
    await heard.send(chunk(b'{"done":true,"done_reason":"stop"}\n') + chunk(b""))


@dataclass
class Hammer:
    """Clients that ask without a pause: half of them on new connections, half on kept ones."""

    running: Program
    answered: int = 0
    failures: list[str] = field(default_factory=list)
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def strike(self, clients: int) -> None:
        await asyncio.gather(*(self._new() if number % 2 else self._kept() for number in range(clients)))

    async def _new(self) -> None:
        while not self.stop.is_set():
            await self._count(await self.running.connect(), is_last=True)

    async def _kept(self) -> None:
        client = await self.running.connect()
        while not self.stop.is_set():
            if not await self._count(client, is_last=False):
                client = await self.running.connect()
        await client.aclose()

    async def _count(self, client: Client, is_last: bool) -> bool:
        """Whether the connection goes on."""
        reply: Reply | None = None
        try:
            await client.send(request("POST", "/api/generate", GENERATE))
            reply = await client.reply("POST")
            if reply.status == 200:
                self.answered += 1
            else:
                self.failures.append(f"{reply.status} {reply.body!r}")
        except (ConnectionError, EOFError, TimeoutError) as error:
            self.failures.append(repr(error))
        if is_last or reply is None or reply.header("connection") == "close":
            await client.aclose()
            return False
        return True


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("order", ["signal", "control"])
def test_a_restart_under_load_loses_nothing(tmp_path: Path, workers: int, order: str) -> None:
    async def story() -> None:
        server = await ScriptedServer(plays={"/api/generate": says(WHOLE), "/api/chat": drip}).start()
        async with program(tmp_path, entry(server, "a", slots=100), workers=workers) as running:
            hammer = Hammer(running)
            hammering = asyncio.create_task(hammer.strike(8))
            streams = [asyncio.create_task(running.ask("POST", "/api/chat", {"model": "llama2"})) for _ in range(5)]
            await asyncio.sleep(0.3)
            if order == "signal":
                running.process.send_signal(signal.SIGUSR2)
            else:
                await asyncio.to_thread(running.control.restart)
            status = await running.until(lambda status: status.pid != running.process.pid)
            assert [target.state for target in status.targets] == ["up"]
            code = await asyncio.to_thread(running.process.wait, 20)
            before = hammer.answered
            await asyncio.sleep(0.3)
            hammer.stop.set()
            await hammering
            for stream in streams:
                assert (await stream).body.count(b"\n") == PIECES + 1
            assert (hammer.failures, code) == ([], 0)
            assert hammer.answered > before > 50
            assert await running.figure("arriero_model_requests_total") == hammer.answered + len(streams)
        await server.stop()

    run(story())


def test_a_restart_that_fails_leaves_the_former_process_serving(tmp_path: Path) -> None:
    async def story() -> None:
        server = await ScriptedServer(plays={"/api/generate": says(WHOLE)}).start()
        async with program(tmp_path, entry(server, "a")) as running:
            good = running.config.read_text()
            running.config.write_text("{")
            running.process.send_signal(signal.SIGUSR2)
            await running.told("gateway.not_handed_over")
            running.config.write_text(good)
            status = await running.until(lambda _: True)
            assert status.pid == running.process.pid
            assert (await running.ask("POST", "/api/generate", GENERATE)).status == 200
            await asyncio.to_thread(running.control.restart)
            await running.until(lambda status: status.pid != running.process.pid)
        await server.stop()

    run(story())


def test_the_former_process_says_that_it_is_ready_while_it_hands_over(tmp_path: Path) -> None:
    async def story() -> None:
        server = await ScriptedServer(plays={"/api/chat": drip}).start()
        async with program(tmp_path, entry(server, "a")) as running:
            client = await running.connect()
            await client.send(request("POST", "/api/chat", {"model": "llama2"}) + request("GET", "/readyz"))
            await client.head()
            await asyncio.to_thread(running.control.restart)
            await running.until(lambda status: status.pid != running.process.pid)
            while await client.chunk():
                pass
            assert (await client.reply()).body == b"ok\n"
            await client.aclose()
            assert (await running.ask("GET", "/readyz")).status == 200
        await server.stop()

    run(story())


def test_connections_that_nobody_accepted_yet_are_served_by_the_next_process(tmp_path: Path) -> None:
    async def story() -> None:
        server = await ScriptedServer(plays={"/api/generate": says(WHOLE)}).start()
        settings, config = write_settings(tmp_path)
        doors, lanes = Doors({}), Lanes()
        doors.open("listen", settings.listen)
        doors.open("control", settings.control)
        running = Program(settings, config, None)  # type: ignore[arg-type]
        clients = [await running.connect() for _ in range(50)]
        for client in clients:
            await client.send(request("POST", "/api/generate", GENERATE))
        state = os.memfd_create("state")
        os.write(state, json.dumps(Targets((entry(server, "a"),)).as_json()).encode())
        handed = Handed(
            doors.numbers("listen"), doors.numbers("control"), state=state, memory=lanes.memory, lock=lanes.lock
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "arriero.gateway", str(config)],
            env={**os.environ, VARIABLE: json.dumps(asdict(handed))},
            pass_fds=handed.descriptors(),
        )
        doors.close()
        try:
            replies = [await client.reply("POST") for client in clients]
            assert [reply.status for reply in replies] == [200] * 50
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait, 10)
        for client in clients:
            await client.aclose()
        await server.stop()

    run(story())


def test_weights_speeds_and_targets_outlive_the_process(tmp_path: Path) -> None:
    async def story() -> None:
        server = await ScriptedServer(plays={"/api/generate": says(WHOLE)}).start()
        entries = entry(server, "a"), entry(server, "b", site="two")
        async with program(tmp_path, *entries) as running:
            await asyncio.to_thread(running.control.set_weights, Weights({"b": 0}))
            await running.ask("POST", "/api/generate", GENERATE)
            running.process.terminate()
            assert await asyncio.to_thread(running.process.wait, 10) == 0
            kept = json.loads((tmp_path / "targets.json").read_text())
            assert kept["weights"] == {"b": 0}
            assert [model for _, model, *_ in kept["learnt"]["paces"]] == ["llama2:latest"]
            running.process = subprocess.Popen([sys.executable, "-m", "arriero.gateway", str(running.config)])
            status = await running.until(
                lambda status: {target.state for target in status.targets} == {"up", "draining"}
            )
            assert {target.id: target.weight for target in status.targets} == {"a": 100, "b": 0}
        await server.stop()

    run(story())


@pytest.mark.parametrize("text", ["{", "[]", '{"targets": 3}', '{"targets": [], "learnt": {"paces": [1]}}', ""])
def test_a_damaged_state_is_ignored_with_a_line_in_the_log(tmp_path: Path, text: str) -> None:
    (tmp_path / "targets.json").write_text(text)

    async def story() -> None:
        async with program(tmp_path) as running:
            assert (await running.status()).targets == ()
            ignored = await running.told("state.ignored")
            assert [line["remedy"] for line in ignored] == ["the list of targets has to be set again"]

    with contextlib.suppress(FileNotFoundError):
        run(story())


def test_the_command_line_restarts_and_says_who_serves(tmp_path: Path) -> None:
    async def story() -> None:
        server = await ScriptedServer().start()
        async with program(tmp_path, entry(server, "a")) as running:
            command = [sys.executable, "-m", "arriero", "gateway", "restart", "--config", str(running.config)]
            done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)
            pid = (await running.status()).pid
            words = f"process {pid} serves; process {running.process.pid} ends with its last stream\n"
            assert (done.returncode, done.stdout, done.stderr) == (0, words, "")
        await server.stop()

    run(story())
