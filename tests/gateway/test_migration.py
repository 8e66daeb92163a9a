"""Answers that are cut in mid-stream, on servers that are real processes: the client gets the uncut text."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from ollama_servers import REAL, Relay, Server, make_models, servers
from running_gateway import FAST, Running, gateway, request, run

from arriero.gateway.wire.fetch import fetch
from arriero.gateway.wire.upstream import Upstreams
from arriero.gateway.words import templates
from arriero.gateway.words.naming import canonical

LIMITS = dataclasses.replace(FAST, stall_seconds=0.3, first_byte_seconds=10.0)
needs_real = pytest.mark.skipif(not REAL, reason="needs a real Ollama: ARRIERO_OLLAMA names one")
ASKED = "Tell of the road over the pass, at length."
TURN = {"role": "user", "content": ASKED}
OPTIONS = {"temperature": 0, "seed": 1, "num_predict": 60}
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/api/chat", {"messages": [TURN], "options": OPTIONS}),
    "chat, assistant last": (
        "/api/chat", {"messages": [TURN, {"role": "assistant", "content": "Well,"}], "options": OPTIONS}
    ),
    "generate": ("/api/generate", {"prompt": ASKED, "options": OPTIONS}),
    "generate, system": ("/api/generate", {"prompt": ASKED, "system": "Be long.", "options": OPTIONS}),
    "generate raw": ("/api/generate", {"prompt": ASKED, "raw": True, "options": OPTIONS}),
    "openai chat": (
        "/v1/chat/completions",
        {"messages": [TURN], "stream": True, "temperature": 0, "seed": 1, "max_tokens": 60,
         "stream_options": {"include_usage": True}},
    ),
    "openai completions": (
        "/v1/completions",
        {"prompt": ASKED, "stream": True, "temperature": 0, "seed": 1, "max_tokens": 60,
         "stream_options": {"include_usage": True}},
    ),
}  # fmt: skip


def records(body: bytes) -> list[dict[str, Any]]:
    lines = [line.removeprefix(b"data: ") for line in body.split(b"\n") if line.strip()]
    return [json.loads(line) for line in lines if line != b"[DONE]"]


def said(body: bytes) -> str:
    return "".join(map(said_in, records(body)))


def said_in(record: dict[str, Any]) -> str:
    choice = (record.get("choices") or [{}])[0]
    text = record.get("response") or record.get("message", {}).get("content") or choice.get("text")
    return str(text or choice.get("delta", {}).get("content") or "")


def counts(body: bytes) -> tuple[int, int]:
    last = records(body)[-1]
    usage = last.get("usage", {})
    return (
        last.get("prompt_eval_count", usage.get("prompt_tokens")),
        last.get("eval_count", usage.get("completion_tokens")),
    )


@contextlib.asynccontextmanager
async def fleet(folder: Path, started: Sequence[Server | Relay], model: str) -> AsyncIterator[Running]:
    """A gateway before these servers, once it knows that the model can be carried on."""
    limits = dataclasses.replace(LIMITS, probe_every_seconds=0.1, probe_within_seconds=2.0)
    async with gateway(folder, *(server.entry for server in started), limits=limits) as running:
        await running.until(lambda: all(target.state == "up" for target in running.context.pool), 20)
        await running.until(lambda: digest(running, model) in running.context.readings, 20)
        yield running


def digest(running: Running, model: str) -> str:
    return next(iter(running.context.pool)).inventory.digest(canonical(model))


async def cut(
    running: Running, started: list[Server], path: str, body: dict[str, Any], fault: str, after: int
) -> bytes:
    """The client's bytes of a request whose target fails once `after` chunks have come."""
    client = await running.connect()
    await client.send(request("POST", path, body))
    await client.head()
    pieces = [await client.chunk() for _ in range(after)]
    await strike(running, started, fault)
    with contextlib.suppress(asyncio.IncompleteReadError):
        while piece := await client.chunk():
            pieces.append(piece)
    await client.aclose()
    return b"".join(pieces)


async def strike(running: Running, started: list[Server], fault: str) -> None:
    at_work = next(target.entry.id for target in running.context.pool if target.in_flight)
    server = next(server for server in started if server.name == at_work)
    getattr(server, fault)()


async def prove(folder: Path, started: list[Server], name: str, model: str, fault: str) -> None:
    """The answer of a request that is cut says and counts what the uncut one does."""
    path, body = REQUESTS[name]
    body = {"model": model, **body}
    after = 6
    async with fleet(folder, started, model) as running:
        for server in started:
            await fetch(running.context.upstreams, server.entry.address, "/api/generate", "POST", load(model))
        uncut = (await running.ask("POST", path, body)).body
        assert len(records(uncut)) > after + 20
        carried = await cut(running, started, path, body, fault, after)
        assert "error" not in records(carried)[-1], carried[-400:]
        assert said(carried) == said(uncut)
        assert counts(carried) == counts(uncut)
        last = records(carried)[-1]
        assert last["arriero"]["migrated"] == 1
        assert after <= last["arriero"]["carried_tokens"] < 60
        if path.startswith("/v1/"):
            assert carried.endswith(b"data: [DONE]\n\n")
            assert len({(record["id"], record["created"], record["object"]) for record in records(carried)}) == 1
            assert carried.count(b'"role"') == uncut.count(b'"role"')
        else:
            assert carried.endswith(b"\n")
            assert (last["done"], last["done_reason"]) == (True, records(uncut)[-1]["done_reason"])
        await running.until(lambda: len(running.records()) == 2)
        told = running.records()[-1]
        assert (told["outcome"], told["migrations"], told["attempts"]) == ("answered", 1, 1)
        assert (told["tokens_in"], told["tokens_out"]) == counts(carried)


def load(model: str) -> bytes:
    return json.dumps({"model": model}).encode()


@pytest.mark.parametrize("name", REQUESTS)
def test_a_killed_target_is_not_noticed_in_the_text(tmp_path: Path, name: str) -> None:
    with servers(tmp_path, "one", "two") as started:
        run(prove(tmp_path, started, name, "llama2", "kill"))


def test_nor_is_a_frozen_one(tmp_path: Path) -> None:
    with servers(tmp_path, "one", "two") as started:
        run(prove(tmp_path, started, "chat", "llama2", "freeze"))


def test_a_cut_stream_goes_on_at_another_site_for_its_own_may_be_dying(tmp_path: Path) -> None:
    async def story(started: list[Server]) -> None:
        entries = [dataclasses.replace(one.entry, site=one.name.partition("-")[0]) for one in started]
        entries[2] = dataclasses.replace(entries[2], role="standby")
        limits = dataclasses.replace(LIMITS, probe_every_seconds=5.0)
        async with gateway(tmp_path, *entries, limits=limits) as running:
            await running.until(lambda: all(target.state == "up" for target in running.context.pool), 20)
            for one in started:
                await fetch(running.context.upstreams, one.entry.address, "/api/generate", "POST", load("llama2"))
            running.context.look_now.set()
            await running.until(lambda: digest(running, "llama2") in running.context.readings, 20)
            client = await running.connect()
            body = {"model": "llama2", "prompt": ASKED, "options": OPTIONS}
            await client.send(request("POST", "/api/generate", body))
            await client.head()
            pieces = [await client.chunk() for _ in range(6)]
            await strike(running, started, "kill")
            while piece := await client.chunk():
                pieces.append(piece)
            last = records(b"".join(pieces))[-1]
            assert last.get("done") is True, last
            await running.until(lambda: len(running.records()) == 1)
            told = running.records()[-1]
            assert (told["site"], told["outcome"], told["migrations"]) == ("west", "answered", 1)

    with servers(tmp_path, "east-1", "east-2", "west-1") as started:
        run(story(started))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_models(tmp_path_factory.mktemp("store")))


@needs_real
@pytest.mark.parametrize("after", [2, 7, 40])
@pytest.mark.parametrize("name", REQUESTS)
def test_a_real_ollama_goes_on_with_the_very_tokens(tmp_path: Path, store: str, name: str, after: int) -> None:
    path, body = REQUESTS[name]
    body = {"model": "open", **body}

    async def story(relays: list[Relay]) -> None:
        for relay in relays:
            await relay.start()
        async with fleet(tmp_path, relays, "open") as running:
            uncut = (await running.ask("POST", path, body)).body
            assert len(records(uncut)) > 60
            for relay in relays:
                relay.arm(after)
                carried = (await running.ask("POST", path, body)).body
                relay.arm(-1)
                if "arriero" in records(carried)[-1]:
                    break
            assert said(carried) == said(uncut)
            assert counts(carried) == counts(uncut)
            assert records(carried)[-1]["arriero"]["carried_tokens"] in (after - 1, after)

    with servers(tmp_path, "one", "two", is_real=True, OLLAMA_MODELS=store) as started:
        run(story([Relay(server) for server in started]))


@needs_real
@pytest.mark.parametrize(("model", "goes_on"), [("open", True), ("turns", True), ("shut", False)])
def test_trying_tells_open_templates_from_closed_ones(tmp_path: Path, store: str, model: str, goes_on: bool) -> None:
    async def story(address: str) -> None:
        upstreams = Upstreams(5.0)

        async def answer(body: object) -> Any:
            return await fetch(upstreams, address, "/api/chat", "POST", json.dumps(body).encode())

        whole, half, _ = templates.questions(model, "", {"num_ctx": 2048}, "1m")
        halves = [await answer(whole), await answer(half)]
        rest = templates.questions(model, templates.said(halves[1]), {"num_ctx": 2048}, "1m")[2]
        assert templates.does_go_on(halves[0], halves[1], await answer(rest)) is goes_on
        await upstreams.close()

    with servers(tmp_path, "one", is_real=True, OLLAMA_MODELS=store) as started:
        run(story(started[0].entry.address))
