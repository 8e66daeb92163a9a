"""Several workers: one truth of slots, limits and figures, and a worker that dies takes nothing with it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from program import Program, program
from running_gateway import entry, request, run
from scripted_server import Heard, ScriptedServer, chunk, json_response, stream_head

from arriero.control.keys import Key, make_lock, write

GENERATE = {"model": "llama2", "prompt": "x", "stream": False}


@dataclass
class Crowd:
    """Answers after a while, and remembers how many it had at a time."""

    seconds: float = 0.03
    now: int = 0
    most: int = 0
    peers: set[object] = field(default_factory=set)

    async def play(self, heard: Heard) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(self.seconds)
        self.now -= 1
        await heard.send(json_response({"response": "x", "done": True, "eval_count": 3, "prompt_eval_count": 2}))


async def workers_of(running: Program) -> list[int]:
    """The pids of the parent's workers."""
    parent = (await running.status()).pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(pid) for pid in children]


def test_two_workers_never_give_a_target_more_than_its_slots(tmp_path: Path) -> None:
    async def story() -> None:
        crowd = Crowd()
        server = await ScriptedServer(plays={"/api/generate": crowd.play}).start()
        async with program(tmp_path, entry(server, "a", slots=2), workers=2) as running:
            replies = await asyncio.gather(*(running.ask("POST", "/api/generate", GENERATE) for _ in range(60)))
            assert [reply.status for reply in replies] == [200] * 60
            assert crowd.most == 2
            assert await running.figure("arriero_workers") == 2
            assert await running.figure("ollama_eval_total") == 180
            assert await running.figure("arriero_model_requests_total") == 60
            assert (await running.status()).workers == 2
        await server.stop()

    run(story())


def test_a_worker_that_is_killed_is_replaced_and_nothing_it_counted_is_lost(tmp_path: Path) -> None:
    async def story() -> None:
        crowd, held = Crowd(), asyncio.Event()

        async def hold(heard: Heard) -> None:
            await heard.send(stream_head() + chunk(b'{"response":"a"}\n'))
            await held.wait()

        server = await ScriptedServer(plays={"/api/generate": crowd.play, "/api/chat": hold}).start()
        async with program(tmp_path, entry(server, "a", slots=4), workers=2) as running:
            for _ in range(20):
                await running.ask("POST", "/api/generate", GENERATE)
            client = await running.connect()
            await client.send(request("POST", "/api/chat", {"model": "llama2"}))
            await client.head()
            former = await workers_of(running)
            for pid in former:
                os.kill(pid, signal.SIGKILL)
            await client.rest()
            await client.aclose()
            # These wait in the dead workers' queues until somebody serves them.
            replies = await asyncio.gather(*(running.ask("POST", "/api/generate", GENERATE) for _ in range(20)))
            assert [reply.status for reply in replies] == [200] * 20
            assert not set(await workers_of(running)) & set(former)
            assert await running.figure("arriero_model_requests_total") == 40
            assert await running.figure("arriero_worker_requests_lost_total") == 1
            assert await running.figure("arriero_worker_deaths_total") == 2
            assert await running.figure("arriero_requests_in_flight") == 0
            assert len(running.events("worker.died")) == 2
        held.set()
        await server.stop()

    run(story())


def test_orders_reach_every_worker_and_those_that_come_later(tmp_path: Path) -> None:
    async def story() -> None:
        server = await ScriptedServer(plays={"/api/generate": Crowd(0).play}).start()
        async with program(tmp_path, entry(server, "a"), workers=2) as running:
            await asyncio.to_thread(running.control.drain, "a")
            replies = [await running.ask("POST", "/api/generate", GENERATE) for _ in range(10)]
            assert {reply.status for reply in replies} == {503}
            former = await workers_of(running)
            os.kill(former[0], signal.SIGKILL)
            async with asyncio.timeout(15):
                while len(set(await workers_of(running)) - set(former)) != 1:
                    await asyncio.sleep(0.05)
            status = await running.until(lambda status: status.workers == 2)
            assert [target.state for target in status.targets] == ["draining"]
            replies = [await running.ask("POST", "/api/generate", GENERATE) for _ in range(10)]
            assert {reply.status for reply in replies} == {503}
        await server.stop()

    run(story())


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    async def story() -> None:
        server = await ScriptedServer().start()
        with contextlib.suppress(ProcessLookupError):
            async with program(tmp_path, entry(server, "a"), workers=2) as running:
                pids = await workers_of(running)
                running.process.kill()
                async with asyncio.timeout(10):
                    while any(Path(f"/proc/{pid}").exists() for pid in pids):
                        await asyncio.sleep(0.05)
        await server.stop()

    run(story())


def test_a_keys_limit_holds_for_all_workers_together(tmp_path: Path) -> None:
    text, lock = make_lock()
    keys = tmp_path / "keys.json"
    write(keys, [Key("team", (lock,), datetime.now(UTC), requests_a_minute=10)])

    async def story() -> None:
        server = await ScriptedServer(plays={"/api/generate": Crowd(0).play}).start()
        authorization = f"Authorization: Bearer {text.reveal()}\r\n"
        values = {"workers": 2, "keys_file": str(keys), "metrics_sources": ("127.0.0.0/8",)}
        async with program(tmp_path, entry(server, "a"), **values) as running:
            asked = (running.ask("POST", "/api/generate", GENERATE, authorization) for _ in range(40))
            statuses = [reply.status for reply in await asyncio.gather(*asked)]
            assert (statuses.count(200), statuses.count(429)) == (10, 30)
            assert 0.9 < await running.figure("arriero_key_limit_used_ratio") <= 1
            running.process.send_signal(signal.SIGUSR2)
            await running.until(lambda status: status.pid != running.process.pid)
            assert (await running.ask("POST", "/api/generate", GENERATE, authorization)).status == 429
            assert await running.figure("arriero_key_requests_total") >= 40
        await server.stop()

    run(story())
