"""An edge follows its targets' sidecars; the edges and sidecars are whole, Ollama's place is scripted."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from pathlib import Path

import pytest
from running_gateway import Running, entry, free_port, gateway, run
from running_sidecar import sidecar
from scripted_server import Heard, ScriptedServer, chunk, stream_head

from arriero.control.messages import TargetEntry
from arriero.control.settings import Limits
from arriero.gateway.routing.target import Target

ASK = {"model": "llama2", "prompt": "x"}
PATIENT = Limits(probe_every_seconds=30.0, stall_seconds=0.2, drain_seconds=2.0)


def only(running: Running) -> Target:
    return next(iter(running.context.pool))


class Counting:
    """A play that takes a moment, and remembers how many ran at a time."""

    def __init__(self, seconds: float = 0.05) -> None:
        self._seconds = seconds
        self.now = self.most = self.total = 0

    async def __call__(self, heard: Heard) -> None:
        self.now, self.total = self.now + 1, self.total + 1
        self.most = max(self.most, self.now)
        await heard.send(stream_head() + chunk(b'{"response":"a"}\n'))
        await asyncio.sleep(self._seconds)
        self.now -= 1
        await heard.send(chunk(b'{"done":true}\n') + b"0\r\n\r\n")


def test_the_edge_knows_at_once_what_its_sidecar_tells(tmp_path: Path) -> None:
    async def story() -> None:
        counting = Counting(0.3)
        server = await ScriptedServer(plays={"/api/generate": counting}).start()
        async with sidecar(server, slots=3) as beside:
            await beside.until_ready()
            target = TargetEntry("one", "here", beside.address, slots=1)
            async with gateway(tmp_path, target, limits=PATIENT) as running:
                await running.until(lambda: only(running).is_followed)
                assert only(running).slots == 3
                asked = asyncio.ensure_future(beside.ask("POST", "/api/generate", ASK))
                await running.until(lambda: only(running).busy == 1, 0.25)
                assert (only(running).in_flight, only(running).others) == (0, 1)
                await asked
                await running.until(lambda: only(running).busy == 0, 0.1)
                beside.stop.set()
                await running.until(lambda: only(running).state == "draining", 0.3)
        await server.stop()

    run(story())


@pytest.mark.parametrize(("number", "seconds"), [(signal.SIGKILL, 0.5), (signal.SIGSTOP, 4.0)])
def test_a_sidecar_that_breaks_off_or_falls_silent_makes_its_target_suspect(
    tmp_path: Path, number: signal.Signals, seconds: float
) -> None:
    async def story() -> None:
        server = await ScriptedServer().start()
        address = f"127.0.0.1:{free_port()}"
        environment = {"ARRIERO_LISTEN": address, "ARRIERO_OLLAMA_ADDRESS": server.address}
        command = (sys.executable, "-m", "arriero.gateway", "sidecar")
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.DEVNULL)
        try:
            async with gateway(tmp_path, TargetEntry("one", "here", address), limits=PATIENT) as running:
                await running.until(lambda: only(running).is_followed and only(running).state == "up")
                process.send_signal(number)
                await running.until(lambda: only(running).state in ("suspect", "down"), seconds)
                assert not only(running).is_followed
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            await server.stop()

    run(story())


def test_an_ollama_without_a_sidecar_is_known_by_its_probes(tmp_path: Path) -> None:
    async def story() -> None:
        async def no_such_path(heard: Heard) -> None:
            await heard.send(b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n")

        plays = {"/arriero/state": no_such_path, "/api/generate": Counting()}
        server = await ScriptedServer(plays=plays).start()
        async with gateway(tmp_path, entry(server, "one")) as running:
            assert (only(running).state, only(running).is_followed) == ("up", False)
            assert (await running.ask("POST", "/api/generate", ASK)).status == 200
            await asyncio.sleep(0.3)
            assert [heard.path for heard in server.heard].count("/arriero/state") == 1
            assert only(running).state == "up"
        await server.stop()

    run(story())


def test_models_that_come_to_the_disk_are_known_without_waiting_for_a_probe(tmp_path: Path) -> None:
    async def story() -> None:
        server = await ScriptedServer().start()

        async def pull(heard: Heard) -> None:
            server.models = (*server.models, "new:latest")
            await heard.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")

        server.plays["/api/pull"] = pull
        async with sidecar(server) as beside:
            await beside.until_ready()
            async with gateway(tmp_path, TargetEntry("one", "here", beside.address), limits=PATIENT) as running:
                await running.until(lambda: only(running).is_followed)
                await beside.ask("POST", "/api/pull", {"model": "new"})
                await running.until(lambda: only(running).has("new:latest"), 2.5)
        await server.stop()

    run(story())


def test_two_edges_never_exceed_a_targets_slots_and_lose_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        plays = [Counting(), Counting()]
        servers = [await ScriptedServer(plays={"/api/generate": play}).start() for play in plays]
        async with contextlib.AsyncExitStack() as stack:
            sidecars = [await stack.enter_async_context(sidecar(server, slots=2)) for server in servers]
            for beside in sidecars:
                await beside.until_ready()
            entries = [TargetEntry(f"t{n}", "here", beside.address, slots=2) for n, beside in enumerate(sidecars)]
            edges = []
            for name in ("a", "b"):
                folder = tmp_path / name
                folder.mkdir()
                edges.append(await stack.enter_async_context(gateway(folder, *entries)))
            for edge in edges:
                await edge.until(lambda: all(target.is_followed for target in edge.context.pool))  # noqa: B023
            asked = [edge.ask("POST", "/api/generate", ASK) for _ in range(40) for edge in edges]
            replies = await asyncio.gather(*asked)
        assert [reply.status for reply in replies] == [200] * 80
        assert all(reply.body.endswith(b'{"done":true}\n') for reply in replies)
        assert [play.most <= 2 for play in plays] == [True, True]
        assert sum(play.total for play in plays) == 80
        for server in servers:
            await server.stop()

    run(story())


def test_an_edge_that_finds_nobody_at_the_address_asks_again(tmp_path: Path) -> None:
    async def story() -> None:
        address = f"127.0.0.1:{free_port()}"
        async with gateway(tmp_path, TargetEntry("one", "here", address)) as running:
            await running.until(lambda: only(running).state == "down")
            server = await ScriptedServer().start()
            async with sidecar(server) as beside:
                running.context.pool.set_targets(
                    type(running.context.pool.entries())((TargetEntry("one", "here", beside.address),))
                )
                await running.until(lambda: only(running).is_followed and only(running).state == "up")
            await server.stop()

    run(story())
