"""The sidecar: what it passes, refuses, tells, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

import pytest
from running_gateway import request, run
from running_sidecar import sidecar
from scripted_server import Heard, ScriptedServer, _model, chunk, json_response, says, stream_head

CAPTURES = Path(__file__).parents[3] / "shared/data/ollama-captures"
ASK = {"model": "llama2", "prompt": "x"}


class Held:
    """A play that streams one record and then waits until it is let go; `left` when the client went before."""

    def __init__(self) -> None:
        self.begun, self.go, self.left = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def __call__(self, heard: Heard) -> None:
        await heard.send(stream_head() + chunk(b'{"response":"a"}\n'))
        self.begun.set()
        leaving = asyncio.ensure_future(heard.client_left())
        going = asyncio.ensure_future(self.go.wait())
        await asyncio.wait((leaving, going), return_when=asyncio.FIRST_COMPLETED)
        if leaving.done():
            self.left.set()
        else:
            await heard.send(chunk(b'{"done":true,"prompt_eval_count":3,"eval_count":5}\n') + b"0\r\n\r\n")
        for waiting in (leaving, going):
            waiting.cancel()
        await asyncio.gather(leaving, going, return_exceptions=True)


def test_bytes_pass_as_ollama_sent_them() -> None:
    async def story() -> None:
        body = b"".join(chunk(piece) for piece in (b'{"a"', b":1}\n", b"\xff\x00", b'{"done":true}\n'))
        plays = {"/api/generate": says(stream_head() + body + b"0\r\n\r\n"), "/nowhere": says(b"")}
        plays["/nowhere"] = says(b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nnope\n")
        server = await ScriptedServer(plays=plays).start()
        async with sidecar(server) as beside:
            async with contextlib.aclosing(await beside.connect()) as client:
                await client.send(request("POST", "/api/generate", ASK, "X-Request-Id: abc\r\nConnection: close\r\n"))
                head, _, rest = (await client.rest()).partition(b"\r\n\r\n")
                assert rest == body + b"0\r\n\r\n"
                assert b"X-Request-Id: abc" in head
            assert b"X-Request-Id: abc" in server.heard[0].head
            missing = await beside.ask("GET", "/nowhere")
            assert (missing.status, missing.body) == (404, b"nope\n")
        await server.stop()

    run(story())


def test_a_models_file_passes_while_it_comes_and_may_be_asked_for() -> None:
    file, path = b"w" * 3_000_000, "/api/blobs/sha256:00"
    got: list[bytes] = []

    async def play(heard: Heard) -> None:
        if heard.head.startswith(b"HEAD "):
            await heard.send(b"HTTP/1.1 200 OK\r\nDate: x\r\n\r\n")
            return
        got.append(heard.body)
        await heard.send(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")

    async def story() -> None:
        server = await ScriptedServer(plays={path: play}).start()
        async with sidecar(server) as beside, contextlib.aclosing(await beside.connect()) as client:
            await client.send(request("POST", path, file))
            assert (await client.reply()).status == 201
            assert got == [file]
            there = await beside.ask("HEAD", path)
            assert (there.status, there.body) == (200, b"")
        await server.stop()

    run(story())


def test_looking_needs_no_slot_and_is_ollamas_own_answer() -> None:
    async def story() -> None:
        held = Held()
        plays = {"/api/generate": held, "/api/show": says(json_response({"details": {}}))}
        server = await ScriptedServer(plays=plays).start()
        async with sidecar(server, slots=1) as beside, contextlib.aclosing(await beside.connect()) as client:
            await client.send(request("POST", "/api/generate", ASK))
            await held.begun.wait()
            assert (await beside.ask("POST", "/api/show", ASK)).json() == {"details": {}}
            assert (await beside.ask("GET", "/api/tags")).json() == {"models": [_model("llama2:latest")]}
            head = await beside.ask("HEAD", "/api/ps")
            assert (head.status, head.body) == (200, b"")
            held.go.set()
            await client.reply()
        await server.stop()

    run(story())


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/chat", {"error": "this server takes no request now: all 1 slots are in use"}),
        ("/v1/chat/completions", {"error": {"message": "this server takes no request now: all 1 slots are in use",
                                            "type": "service_unavailable_error", "param": None, "code": None}}),
        ("/v1/messages", {"type": "error", "error": {
            "type": "overloaded_error", "message": "this server takes no request now: all 1 slots are in use"}}),
    ],
)  # fmt: skip
def test_what_exceeds_the_slots_is_refused_at_once_in_the_paths_dialect(path: str, body: object) -> None:
    async def story() -> None:
        held = Held()
        server = await ScriptedServer(plays={"/api/generate": held}).start()
        async with sidecar(server, slots=1) as beside, contextlib.aclosing(await beside.connect()) as client:
            await client.send(request("POST", "/api/generate", ASK))
            await held.begun.wait()
            refused = await beside.ask("POST", path, ASK)
            assert (refused.status, refused.header("x-arriero-full"), refused.header("retry-after")) == (503, "1", "1")
            found = refused.json()
            assert str(body["error"] if path == "/api/chat" else body["error"]["message"]) in str(found)  # type: ignore[index]
            assert type(found) is type(body)
            assert found.keys() == body.keys()  # type: ignore[attr-defined]
            held.go.set()
            await client.reply()
            assert len(server.heard) == 1
        await server.stop()

    run(story())


def test_a_client_that_goes_frees_its_slot_and_stops_ollama() -> None:
    async def story() -> None:
        held = Held()
        server = await ScriptedServer(plays={"/api/generate": held}).start()
        async with sidecar(server, slots=1) as beside:
            follower = await beside.follow()
            client = await beside.connect()
            await client.send(request("POST", "/api/generate", ASK))
            await held.begun.wait()
            await follower.until(lambda state: state["running"] == {"llama2:latest": 1})
            gone_at = time.monotonic()
            await client.aclose()
            await asyncio.wait_for(held.left.wait(), 1)
            await follower.until(lambda state: state["in_flight"] == 0)
            assert time.monotonic() - gone_at < 0.2
            await follower.client.aclose()
        await server.stop()

    run(story())


def test_every_change_is_told_to_every_follower_and_silence_too() -> None:
    async def story() -> None:
        held = Held()
        server = await ScriptedServer(resident=(), plays={"/api/generate": held}).start()
        async with sidecar(server, slots=2) as beside, contextlib.aclosing(await beside.connect()) as client:
            followers = [await beside.follow() for _ in range(2)]
            for follower in followers:
                state = await follower.until(lambda state: state["answers"])
                assert (state["slots"], state["in_flight"], state["resident"]) == (2, 0, {})
            await client.send(request("POST", "/api/generate", ASK))
            for follower in followers:
                await follower.until(lambda state: state["loading"] == ["llama2:latest"], 0.5)
            server.resident = ("llama2:latest",)
            for follower in followers:
                state = await follower.until(lambda state: "llama2:latest" in state["resident"], 0.5)
                assert (state["loading"], state["running"]) == ([], {"llama2:latest": 1})
            held.go.set()
            await client.reply()
            before = time.monotonic()
            for follower in followers:
                await follower.until(lambda state: state["in_flight"] == 0, 0.5)
            await followers[0].line()
            assert 0.5 < time.monotonic() - before < 2.5, "a heartbeat each second"
            await server.stop()
            for follower in followers:
                state = await follower.until(lambda state: not state["answers"])
                assert "no connection" in state["why"]
                await follower.client.aclose()

    run(story())


def test_it_is_ready_when_ollama_answers_and_has_its_models() -> None:
    async def story() -> None:
        server = await ScriptedServer(models=("one:latest",)).start()
        async with sidecar(server, models=("one:latest", "two:latest")) as beside:
            async with asyncio.timeout(3):
                while (ready := await beside.ask("GET", "/readyz")).body != b"not on disk yet: two:latest\n":
                    await asyncio.sleep(0.01)
            assert ready.status == 503
            assert (await beside.ask("GET", "/healthz")).status == 200
            server.models = ("one:latest", "two:latest")
            server.plays["/api/pull"] = says(json_response({"status": "success"}))
            await beside.ask("POST", "/api/pull", {"model": "two"})
            await beside.until_ready()
            await server.stop()
            async with asyncio.timeout(3):
                while (await beside.ask("GET", "/readyz")).status == 200:
                    await asyncio.sleep(0.01)
            assert (await beside.ask("POST", "/api/generate", ASK)).status == 502

    run(story())


def test_its_figures_tell_slots_tokens_loads_and_residency() -> None:
    async def story() -> None:
        held = Held()
        held.go.set()
        server = await ScriptedServer(resident=(), plays={"/api/generate": held}).start()
        async with sidecar(server, slots=3) as beside:
            await beside.until_ready()
            asked = asyncio.ensure_future(beside.ask("POST", "/api/generate", ASK))
            server.resident = ("llama2:latest",)
            await asked
            await beside.ask("POST", "/api/generate", {**ASK, "model": "made-up"})
            async with asyncio.timeout(3):
                while b"ollama_load_duration_seconds_count 1" not in (await beside.ask("GET", "/metrics")).body:
                    await asyncio.sleep(0.01)
            lines = (await beside.ask("GET", "/metrics")).body.decode().splitlines()
            assert "arriero_sidecar_slots 3" in lines
            assert "arriero_sidecar_ollama_up 1" in lines
            assert "ollama_models_loaded 1" in lines
            assert 'ollama_eval_total{model="llama2:latest"} 5' in lines
            assert 'ollama_prompt_eval_total{model="other"} 3' in lines
            assert 'arriero_sidecar_requests_total{path="/api/generate",status="200",outcome="answered"} 2' in lines
        await server.stop()

    run(story())


def test_sigterm_lets_streams_end_and_tells_that_it_drains() -> None:
    async def story() -> None:
        held = Held()
        server = await ScriptedServer(plays={"/api/generate": held}).start()
        async with (
            sidecar(server, slots=4, drain_seconds=5.0) as beside,
            contextlib.aclosing(await beside.connect()) as client,
        ):
            await beside.until_ready()
            follower = await beside.follow()
            await client.send(request("POST", "/api/generate", ASK))
            await held.begun.wait()
            beside.stop.set()
            await follower.until(lambda state: state["draining"], 0.5)
            assert (await beside.ask("GET", "/readyz")).body == b"draining\n"
            refused = await beside.ask("POST", "/api/generate", ASK)
            assert (refused.status, refused.header("x-arriero-full")) == (503, "1")
            held.go.set()
            assert (await client.reply()).body.endswith(b'"eval_count":5}\n')
            await asyncio.wait_for(beside.task, 2)
            assert await follower.line() is None or await follower.line() is None
        await server.stop()

    run(story())


def test_what_outlasts_the_grace_is_cut() -> None:
    async def story() -> None:
        held = Held()
        server = await ScriptedServer(plays={"/api/generate": held}).start()
        async with sidecar(server, drain_seconds=0.2) as beside, contextlib.aclosing(await beside.connect()) as client:
            await client.send(request("POST", "/api/generate", ASK))
            await held.begun.wait()
            beside.stop.set()
            rest = await client.rest()
            assert rest.endswith(chunk(b'{"response":"a"}\n')), "no last chunk: the edge sees that it is cut"
            await asyncio.wait_for(held.left.wait(), 1)
        await server.stop()

    run(story())


def test_an_answer_that_breaks_off_is_broken_off_for_the_client() -> None:
    async def story() -> None:
        async def breaks(heard: Heard) -> None:
            await heard.send(stream_head() + chunk(b'{"response":"a"}\n'))
            await asyncio.sleep(0.05)
            heard.break_off()

        server = await ScriptedServer(plays={"/api/generate": breaks}).start()
        async with sidecar(server) as beside, contextlib.aclosing(await beside.connect()) as client:
            await client.send(request("POST", "/api/generate", ASK))
            assert (await client.rest()).endswith(chunk(b'{"response":"a"}\n'))
            assert len(server.heard) == 1, "nothing is tried again here"
        await server.stop()

    run(story())


@pytest.mark.parametrize("headers", ["Host: evil.example\r\n", "Host: localhost\r\nOrigin: https://evil.example\r\n"])
def test_a_foreign_page_is_refused_as_ollama_does(headers: str) -> None:
    async def story() -> None:
        server = await ScriptedServer().start()
        async with sidecar(server) as beside, contextlib.aclosing(await beside.connect()) as client:
            await client.send(f"GET /api/tags HTTP/1.1\r\n{headers}\r\n".encode())
            reply = await client.reply()
            assert (reply.status, reply.body) == (403, b"")
        await server.stop()

    run(story())
