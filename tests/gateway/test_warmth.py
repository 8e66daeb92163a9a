"""A sidecar keeps the site's models in memory: what it loads, when, and what it leaves alone."""

from __future__ import annotations

import asyncio
import json

import pytest
from running_gateway import run
from running_sidecar import sidecar
from scripted_server import Heard, ScriptedServer, json_response

from arriero.gateway.sidecar import warmth
from arriero.gateway.sidecar.tally import Tally
from arriero.gateway.sidecar.warmth import missing

DISK = {name: {"digest": f"of {name}"} for name in ("a", "b", "c")}


@pytest.mark.parametrize(
    ("wanted", "resident", "running", "idle", "expected"),
    [
        (["a"], [], 0, 0.0, "a"),
        (["a"], ["a"], 0, 99.0, None),
        (["a"], [], 1, 0.0, None),
        (["a", "b"], ["a"], 0, 0.0, "b"),
        (["a"], ["c"], 0, 29.0, None),
        (["a"], ["c"], 0, 30.0, "a"),
        (["a", "b"], ["c", "b"], 0, 30.0, "a"),
        (["x"], [], 0, 99.0, None),
        ([], ["c"], 0, 99.0, None),
    ],
)
def test_what_is_loaded_when(
    wanted: list[str], resident: list[str], running: int, idle: float, expected: str | None
) -> None:
    tally = Tally(2)
    tally.saw_disk(DISK)
    tally.saw_memory({name: DISK[name] for name in resident})
    for _ in range(running):
        assert tally.take("b")
    assert missing(wanted, tally, idle) == expected


def test_one_that_drains_or_does_not_answer_loads_nothing() -> None:
    tally = Tally(2)
    assert missing(["a"], tally, 99.0) is None
    tally.saw_disk(DISK)
    tally.saw_memory({})
    tally.drain()
    assert missing(["a"], tally, 99.0) is None


def test_a_model_is_loaded_after_the_start_and_again_when_it_left_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warmth, "LOOK_SECONDS", 0.01)

    async def story() -> None:
        server = ScriptedServer(resident=())

        async def load(heard: Heard) -> None:
            server.resident = ("llama2:latest",)
            await heard.send(json_response({"model": "llama2", "done": True, "done_reason": "load"}))

        server.plays["/api/generate"] = load
        await server.start()
        async with sidecar(server, preload=("llama2:latest",), slots=2) as beside:
            follower = await beside.follow()
            await follower.until(lambda told: "llama2:latest" in told["resident"])
            server.resident = ()
            while len(asked := [json.loads(h.body) for h in server.heard if b"/api/generate" in h.head]) < 2:
                await follower.line()
            assert asked == [{"model": "llama2:latest", "keep_alive": -1, "stream": False}] * 2
            state = await follower.until(lambda told: "llama2:latest" in told["resident"] and not told["in_flight"])
            assert state["slots"] == 2
        await server.stop()

    run(story())


def test_a_model_that_can_not_be_loaded_is_told_once_and_not_asked_for_at_once_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(warmth, "LOOK_SECONDS", 0.01)

    async def story() -> None:
        async def refuse(heard: Heard) -> None:
            await heard.send(json_response({"error": "out of memory"}, 500))

        server = await ScriptedServer(resident=(), plays={"/api/generate": refuse}).start()
        async with sidecar(server, preload=("llama2:latest",)) as beside:
            await (await beside.follow()).until(lambda told: told["answers"])
            while not (cold := [line for event, line in beside.events if event == "cold"]):
                await (await beside.follow()).line()
            assert "llama2:latest is not in memory" in cold[0]["why"]
            assert len([heard for heard in server.heard if b"/api/generate" in heard.head]) == 1
        await server.stop()

    run(story())


def test_what_is_first_is_in_memory_before_any_request_is_taken() -> None:
    async def story() -> None:
        is_loaded = asyncio.Event()
        server = ScriptedServer(resident=())

        async def answer(heard: Heard) -> None:
            if "prompt" not in json.loads(heard.body):
                await is_loaded.wait()
                server.resident = ("llama2:latest",)
            await heard.send(json_response({"model": "llama2", "done": True}))

        server.plays["/api/generate"] = answer
        await server.start()
        async with sidecar(server, first=("llama2:latest",), slots=3) as beside:
            follower = await beside.follow()
            told = await follower.until(lambda told: told["answers"] and bool(told["loading"]))
            assert (told["slots"], told["in_flight"]) == (3, 3)
            hello = {"model": "llama2", "prompt": "Hello"}
            early = await beside.ask("POST", "/api/generate", hello)
            assert (early.status, b"all 3 slots are in use" in early.body) == (503, True)
            is_loaded.set()
            told = await follower.until(lambda told: not told["in_flight"])
            assert "llama2:latest" in told["resident"]
            assert (await beside.ask("POST", "/api/generate", hello)).status == 200
            asked = [json.loads(heard.body) for heard in server.heard]
            assert asked == [{"model": "llama2:latest", "stream": False}, hello]
        await server.stop()

    run(story())


def test_what_is_first_and_can_not_be_loaded_keeps_nobody_away() -> None:
    async def story() -> None:
        async def refuse(heard: Heard) -> None:
            await heard.send(json_response({"error": "out of memory"}, "500 Internal Server Error"))

        server = await ScriptedServer(resident=(), plays={"/api/generate": refuse}).start()
        async with sidecar(server, first=("llama2:latest",), slots=2) as beside:
            follower = await beside.follow()
            await follower.until(lambda told: told["answers"] and not told["in_flight"])
            [cold] = [line for event, line in beside.events if event == "cold"]
            assert cold["why"].startswith("llama2:latest: not all in memory before the first request: ")
        await server.stop()

    run(story())
