"""A gateway with API keys: who may what, limits, renewal, and keys that nobody sees."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from keyed import CREATED, bearer, made, written
from running_gateway import FAST, Running, entry, gateway, request, run
from scripted_server import Heard, ScriptedServer, chunk, json_response, stream_head

from arriero.control import keys as keys_file
from arriero.control.keyring import Keyring
from arriero.control.keys import make_lock
from arriero.errors import ArrieroError
from arriero.observe import asking
from arriero.secret import Secret

WHO_MAY = json.loads((Path(__file__).parent.parent / "cases/gateway_keys/who_may.json").read_text())
CHAT = {"model": "llama2"}
USED = {"model": "llama2", "done": True, "prompt_eval_count": 30, "eval_count": 70}


async def play(heard: Heard) -> None:
    await heard.send(json_response(USED))


async def served() -> ScriptedServer:
    paths = ("/api/chat", "/api/generate", "/api/show", "/v1/chat/completions", "/v1/messages")
    return await ScriptedServer(plays=dict.fromkeys(paths, play)).start()


def test_who_may_do_what(tmp_path: Path) -> None:
    made_keys = {role: made(role, role=role) for role in ("user", "viewer", "admin")}

    async def story() -> None:
        server = await served()
        file = written(tmp_path, *(key for _, key in made_keys.values()))
        async with gateway(tmp_path, entry(server, "one"), keys_file=file) as running:
            for case in WHO_MAY:
                method, path = case["ask"].split()
                header = bearer(made_keys[case["role"]][0]) if "role" in case else ""
                body = CHAT if method == "POST" else None
                reply = await running.ask(method, path, body, header)
                assert reply.status == case["status"], case["name"]
        await server.stop()

    run(story())


SHAPES = {
    "/api/chat": ({"error": "MESSAGE"}, b""),
    "/v1/chat/completions": (
        {"error": {"message": "MESSAGE", "type": "authentication_error", "param": None, "code": "invalid_api_key"}},
        b"\n",
    ),
    "/v1/messages": ({"type": "error", "error": {"type": "authentication_error", "message": "MESSAGE"}}, b"\n"),
}
MISSING = "this server needs an API key: send it as `Authorization: Bearer KEY` or `x-api-key: KEY`"
EXPIRED, EXPIRED_KEY = made("old", expires=CREATED + timedelta(days=1))
OTHER, _ = made("unknown")


REFUSED = {
    "": MISSING,
    "Authorization: Basic eA==\r\n": MISSING,
    "Authorization: Bearer\r\n": MISSING,
    "Authorization: Bearer sk-wrong\r\n": "the API key is not valid",
    "x-api-key: \xff\xfe\r\n": "the API key is not valid",
    bearer(OTHER): "the API key is not valid",
    bearer(EXPIRED[:-3] + "aaa"): "the API key is not valid",
    bearer(EXPIRED): "the API key has expired",
}


@pytest.mark.parametrize("path", SHAPES)
def test_a_missing_or_wrong_key_is_refused_in_the_words_of_the_path(tmp_path: Path, path: str) -> None:
    shape, end = SHAPES[path]

    async def story() -> None:
        async with gateway(tmp_path, keys_file=written(tmp_path, EXPIRED_KEY)) as running:
            client = await running.connect()
            for header, message in REFUSED.items():
                head, _, body = request("POST", path, CHAT).partition(b"\r\n\r\n")
                await client.send(head + b"\r\n" + header.encode("latin-1") + b"\r\n" + body)
                reply = await client.reply()
                assert reply.status == 401
                assert reply.header("WWW-Authenticate") == "Bearer"
                body = json.dumps(shape, separators=(",", ":")).replace("MESSAGE", message).encode()
                assert reply.body == body + end
            await client.aclose()

    run(story())


@pytest.mark.parametrize(
    "header", ["Authorization: Bearer {}", "authorization: bearer  {} ", "X-Api-Key: {}", "api-key: {}"]
)
def test_a_key_may_come_in_any_of_the_clients_headers_and_goes_no_further(tmp_path: Path, header: str) -> None:
    text, key = made("phone")

    async def story() -> None:
        server = await served()
        async with gateway(tmp_path, entry(server, "one"), keys_file=written(tmp_path, key)) as running:
            reply = await running.ask("POST", "/api/chat", CHAT, header.format(text) + "\r\n")
            assert reply.status == 200
            (heard,) = (each for each in server.heard if each.path == "/api/chat")
            assert text.encode() not in heard.head + heard.body
            assert b"api-key" not in heard.head.lower()
        assert running.records()[0]["key"] == "phone"
        await server.stop()

    run(story())


def test_a_key_is_for_its_models_only(tmp_path: Path) -> None:
    text, key = made(models=("llama2",))

    async def story() -> None:
        server = await served()
        async with gateway(tmp_path, entry(server, "one"), keys_file=written(tmp_path, key)) as running:
            for body, status, message in (
                ({"model": "LLama2:latest"}, 200, None),
                ({"model": "mistral"}, 403, "this key may not use the model 'mistral:latest'"),
                ({}, 403, "this key may use certain models only, and the request names none"),
                (b"[" * 5000, 403, "this key may use certain models only, and the request names none"),
            ):
                reply = await running.ask("POST", "/api/chat", body, bearer(text))
                assert reply.status == status
                assert message is None or reply.json() == {"error": message}
        await server.stop()

    run(story())


@pytest.mark.parametrize(
    ("limits", "passing", "message"),
    [
        ({"requests_a_minute": 3}, 3, "this key may ask 3 times a minute at most"),
        ({"tokens_a_minute": 150}, 2, "this key may use 150 tokens a minute at most"),
        ({"spend_a_day": 0.00025}, 2, "this key may spend 0.00025 a day at most"),
    ],
)
def test_limits_stop_the_next_request(tmp_path: Path, limits: dict[str, float], passing: int, message: str) -> None:
    text, key = made(**limits)
    prices = {"price_in_per_million": 2.0, "price_out_per_million": 1.0}

    async def story() -> None:
        server = await served()
        file = written(tmp_path, key)
        async with gateway(tmp_path, entry(server, "one"), keys_file=file, **prices) as running:
            replies = [await running.ask("POST", "/v1/messages", CHAT, bearer(text)) for _ in range(passing + 1)]
            assert [reply.status for reply in replies] == [200] * passing + [429]
            error = replies[-1].json()["error"]  # type: ignore[index]
            assert error["type"] == "rate_limit_error"
            assert error["message"].startswith(message)
            assert int(replies[-1].header("Retry-After") or 0) >= 1
        assert sum(heard.path == "/v1/messages" for heard in server.heard) == passing
        await server.stop()

    run(story())


def test_open_requests_are_counted_until_they_end_however_they_end(tmp_path: Path) -> None:
    text, key = made(concurrency=2)

    async def story() -> None:
        release = asyncio.Event()

        async def hold(heard: Heard) -> None:
            await release.wait()
            await heard.send(json_response(USED))

        server = await ScriptedServer(plays={"/api/chat": hold}).start()
        async with gateway(tmp_path, entry(server, "one"), keys_file=written(tmp_path, key)) as running:
            usage = running.context.guard.usages()["app"]
            clients = [await running.connect() for _ in range(2)]
            for client in clients:
                await client.send(request("POST", "/api/chat", CHAT, bearer(text)))
            await running.until(lambda: usage.open == 2)
            refused = await running.ask("POST", "/api/chat", CHAT, bearer(text))
            assert (refused.status, refused.header("Retry-After")) == (429, "1")
            assert usage.open == 2
            await clients[0].aclose()
            await running.until(lambda: usage.open == 1)
            release.set()
            assert (await clients[1].reply()).status == 200
            await clients[1].aclose()
            assert usage.open == 0
            assert (usage.requests_total, usage.refused_total) == (2, 1)
        await server.stop()

    run(story())


async def statuses(running: Running, *texts: str) -> list[int]:
    asked = [running.ask("POST", "/api/generate", CHAT, bearer(text) if text else "") for text in texts]
    return [(await reply).status for reply in asked]


async def reread(running: Running) -> str:
    """Has the file read anew; what was told of it."""
    seen = len(events(running.log, "keys."))
    running.context.renew_now.set()
    await running.until(lambda: len(events(running.log, "keys.")) > seen)
    return str(events(running.log, "keys.")[-1]["event"])


def test_keys_are_taken_up_rotated_and_revoked(tmp_path: Path) -> None:
    async def story() -> None:
        server, file = await served(), tmp_path / "keys.json"
        async with gateway(tmp_path, entry(server, "one"), keys_file=str(file)) as running:
            assert await statuses(running, "") == [200]
            first, key = made()
            keys_file.write(file, [key])
            assert await reread(running) == "keys.renewed"
            assert await statuses(running, "", first) == [401, 200]
            ring, (second, lock) = Keyring((key,)), make_lock()
            ring.rotate("app", lock, datetime.now(UTC), 3600)
            keys_file.write(file, ring.keys)
            await reread(running)
            assert await statuses(running, first, second.reveal()) == [200, 200]
            keys_file.write(file, [replace(ring.keys[0], locks=(lock,))])
            await reread(running)
            assert await statuses(running, first, second.reveal()) == [401, 200]
            keys_file.write(file, [])
            await reread(running)
            assert await statuses(running, "", second.reveal()) == [401, 401]
        await server.stop()

    run(story())


def test_a_bad_or_lost_file_keeps_the_former_keys(tmp_path: Path) -> None:
    text, key = made()

    async def story() -> None:
        server, file = await served(), Path(written(tmp_path, key))
        async with gateway(tmp_path, entry(server, "one"), keys_file=str(file)) as running:
            for spoil in (lambda: file.write_text("{"), lambda: file.chmod(0o644), file.unlink):
                spoil()
                assert await reread(running) == "keys.refused"
                assert await statuses(running, "", text) == [401, 200]
            assert "the file of keys is gone" in str(events(running.log, "keys.refused")[-1]["problems"])
        await server.stop()

    run(story())


def test_a_stream_goes_on_while_its_key_is_revoked(tmp_path: Path) -> None:
    text, key = made()

    async def story() -> None:
        release = asyncio.Event()

        async def slow(heard: Heard) -> None:
            await heard.send(stream_head() + chunk(b'{"done": false}\n'))
            await release.wait()
            await heard.send(chunk(b'{"done": true}\n') + b"0\r\n\r\n")

        server = await ScriptedServer(plays={"/api/chat": slow, "/api/generate": play}).start()
        file = written(tmp_path, key)
        async with gateway(tmp_path, entry(server, "one"), keys_file=file) as running:
            client = await running.connect()
            await client.send(request("POST", "/api/chat", CHAT, bearer(text)))
            await client.head()
            keys_file.write(Path(file), [])
            await reread(running)
            assert await statuses(running, text) == [401]
            release.set()
            assert [await client.chunk() for _ in range(3)] == [b'{"done": false}\n', b'{"done": true}\n', b""]
            await client.aclose()
        await server.stop()

    run(story())


def test_ask_shows_the_key_it_is_given(tmp_path: Path) -> None:
    text, key = made()

    async def story() -> None:
        server = await served()
        async with gateway(tmp_path, entry(server, "one"), keys_file=written(tmp_path, key)) as running:

            def asked(shown: str) -> object:
                return [line for line, _ in asking.stream(f"http://{running.settings.listen}", CHAT, Secret(shown))]

            assert await asyncio.to_thread(asked, text) == [USED]
            with pytest.raises(ArrieroError, match="put an API key into ARRIERO_KEY"):
                await asyncio.to_thread(asked, "")
        await server.stop()

    run(story())


def test_a_change_of_the_file_is_noticed_within_two_seconds(tmp_path: Path) -> None:
    async def story() -> None:
        async with gateway(tmp_path, keys_file=str(tmp_path / "keys.json")) as running:
            written(tmp_path, made()[1])
            await running.until(lambda: running.context.guard.has_keys, seconds=2.0)

    run(story())


def test_keys_without_a_price_cannot_spend(tmp_path: Path) -> None:
    _, key = made(spend_a_day=1.0)

    async def story() -> None:
        file = written(tmp_path, key)
        with pytest.raises(ArrieroError, match="app may spend an amount a day, and the gateway knows no price"):
            async with gateway(tmp_path, keys_file=file):
                pass

    run(story())


def test_a_planted_key_is_seen_nowhere(tmp_path: Path) -> None:
    text, key = made("planted")
    wrong, _ = made("wrong")

    async def story() -> None:
        async def broken(heard: Heard) -> None:
            heard.break_off()

        server = await ScriptedServer(plays={"/api/chat": play, "/api/generate": broken}).start()
        seen = b""
        file = written(tmp_path, key)
        async with gateway(tmp_path, entry(server, "one"), keys_file=file, metrics_sources=("127.0.0.1",)) as running:
            for secret in (text, wrong):
                for header in (f"Authorization: Bearer {secret}", f"x-api-key: {secret}", f"api-key: {secret}"):
                    for path in ("/api/chat", "/api/generate", "/api/pull", "/nothing", "/v1/messages"):
                        reply = await running.ask("POST", path, CHAT, f"{header}\r\n")
                        seen += reply.head + reply.body
                client = await running.connect()
                await client.send(f"POST /api/chat HTTP/1.1\r\nHost: a\r\nHost: b\r\n{header}\r\n\r\n".encode())
                seen += await client.rest()
                await client.aclose()
            seen += (await running.ask("GET", "/metrics")).body
            for heard in server.heard:
                seen += heard.head + heard.body
        seen += running.log.read_bytes() + Path(file).read_bytes()
        for secret in (text, wrong):
            assert secret.split("_", 2)[2].encode() not in seen
            assert secret.encode() not in seen
        await server.stop()

    run(story())


def events(log: Path, start: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return [line for line in lines if str(line["event"]).startswith(start)]


def test_limits_survive_a_change_of_the_file(tmp_path: Path) -> None:
    text, key = made(requests_a_minute=1)

    async def story() -> None:
        server = await served()
        file = written(tmp_path, key)
        async with gateway(tmp_path, entry(server, "one"), keys_file=file, limits=FAST) as running:
            assert (await running.ask("POST", "/api/chat", CHAT, bearer(text))).status == 200
            running.context.guard.set_keys([key])
            assert (await running.ask("POST", "/api/chat", CHAT, bearer(text))).status == 429
        await server.stop()

    run(story())


@pytest.mark.parametrize("more", ["Content-Length: 4000000\r\n", "Transfer-Encoding: chunked\r\n"])
def test_without_a_key_no_large_body_is_taken(tmp_path: Path, more: str) -> None:
    text, key = made()
    size = b"" if "Length" in more else b"%x\r\n" % 4_000_000

    async def story() -> None:
        server = await served()
        async with gateway(tmp_path, entry(server, "one"), keys_file=written(tmp_path, key)) as running:
            for header, start in (("", b"HTTP/1.1 401 "), ("Expect: 100-continue\r\n", b"HTTP/1.1 401 ")):
                client = await running.connect()
                head = f"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\n{more}{header}\r\n"
                await client.send(head.encode() + (b"" if header else size + b"x" * 100_000))
                answer = await client.rest()
                assert answer.startswith(start)
                assert b'"type":"authentication_error"' in answer
                await client.aclose()
            long = {**CHAT, "prompt": "x" * 300_000}
            assert (await running.ask("POST", "/api/chat", long, bearer(text))).status == 200
        await server.stop()

    run(story())
