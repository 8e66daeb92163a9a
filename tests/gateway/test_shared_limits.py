"""Limits that several gateways count together, in a real Redis; and what happens while it is away."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from keyed import bearer, made, written
from running_gateway import Running, entry, free_port, gateway, request, run
from scripted_server import Heard, ScriptedServer, json_response

from arriero.errors import ArrieroError

SERVER = shutil.which("valkey-server") or shutil.which("redis-server")
needs_server = pytest.mark.skipif(SERVER is None, reason="neither valkey-server nor redis-server is installed")
CHAT = {"model": "llama2"}
PRICES = {"price_in_per_million": 2.0, "price_out_per_million": 1.0}


async def play(heard: Heard) -> None:
    await heard.send(json_response({"done": True, "prompt_eval_count": 30, "eval_count": 70}))


@contextlib.contextmanager
def store(folder: Path, port: int, password: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """A server of the test's own, on loopback; it keeps nothing on disk."""
    command = [str(SERVER), "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(
        [*command, *(["--requirepass", password] if password else [])], stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 5
        while subprocess.run(["bash", "-c", f": >/dev/tcp/127.0.0.1/{port}"], stderr=subprocess.DEVNULL).returncode:
            assert time.monotonic() < deadline, "the store does not listen"
        yield process
    finally:
        process.kill()
        process.wait()


@contextlib.asynccontextmanager
async def two_gateways(folder: Path, port: int, server: ScriptedServer, keys: str, **more: object):  # type: ignore[no-untyped-def]
    settings = {"keys_file": keys, "limits_store": f"redis://127.0.0.1:{port}/0", **PRICES, **more}
    folders = [folder / name for name in ("a", "b")]
    for each in folders:
        each.mkdir(exist_ok=True)
    async with (
        gateway(folders[0], entry(server, "one"), **settings) as first,
        gateway(folders[1], entry(server, "one"), **settings) as second,
    ):
        yield first, second


async def status(running: Running, text: str) -> int:
    return (await running.ask("POST", "/api/chat", CHAT, bearer(text))).status


def asked(server: ScriptedServer) -> list[Heard]:
    """What clients asked; not what the gateway itself wants to know."""
    return [heard for heard in server.heard if heard.path.startswith("/api/chat")]


def told(running: Running) -> list[str]:
    lines = [json.loads(line) for line in running.log.read_text().splitlines()]
    return [line["event"] for line in lines if line["event"].startswith("limits.")]


async def settled() -> None:
    """Lets what the answers have used be written."""
    await asyncio.sleep(0.1)


@needs_server
@pytest.mark.wide
@pytest.mark.parametrize(
    ("limits", "passing"),
    [({"requests_a_minute": 3}, 3), ({"tokens_a_minute": 250}, 3), ({"spend_a_day": 0.00026}, 2)],
)
def test_two_gateways_count_as_one(tmp_path: Path, limits: dict[str, float], passing: int) -> None:
    text, key = made(**limits)
    port = free_port()

    async def story() -> None:
        server = await ScriptedServer(plays={"/api/chat": play}).start()
        async with two_gateways(tmp_path, port, server, written(tmp_path, key)) as pair:
            seen = []
            for n in range(passing + 1):
                seen.append(await status(pair[n % 2], text))
                await settled()
            assert seen == [200] * passing + [429]
        assert len(asked(server)) == passing
        await server.stop()

    with store(tmp_path, port):
        run(story())


@needs_server
@pytest.mark.wide
def test_open_requests_are_counted_together_and_given_back(tmp_path: Path) -> None:
    text, key = made(concurrency=2)
    port = free_port()

    async def story() -> None:
        release = asyncio.Event()

        async def hold(heard: Heard) -> None:
            await release.wait()
            await play(heard)

        server = await ScriptedServer(plays={"/api/chat": hold}).start()
        async with two_gateways(tmp_path, port, server, written(tmp_path, key)) as pair:
            clients = [await running.connect() for running in pair]
            for client in clients:
                await client.send(request("POST", "/api/chat", CHAT, bearer(text)))
            await pair[0].until(lambda: len(asked(server)) == 2)
            assert await status(pair[0], text) == 429
            await clients[0].aclose()
            await pair[0].until(lambda: pair[0].context.guard.usages()["app"].open == 0)
            await settled()
            release.set()
            assert await status(pair[1], text) == 200
            assert (await clients[1].reply()).status == 200
            await clients[1].aclose()
        await server.stop()

    with store(tmp_path, port):
        run(story())


@needs_server
@pytest.mark.wide
def test_the_store_may_go_and_come_back(tmp_path: Path) -> None:
    text, key = made(requests_a_minute=1000, tokens_a_minute=100_000, concurrency=10)
    port = free_port()

    async def story() -> None:
        server = await ScriptedServer(plays={"/api/chat": play}).start()
        (tmp_path / "password").touch(mode=0o600)
        (tmp_path / "password").write_text("of-the-store")
        more = {"limits_store_password_file": str(tmp_path / "password")}
        with contextlib.ExitStack() as servers:
            servers.enter_context(store(tmp_path, port, "of-the-store"))
            async with two_gateways(tmp_path, port, server, written(tmp_path, key), **more) as (running, _):
                assert await status(running, text) == 200
                await settled()
                servers.close()
                assert [await status(running, text) for _ in range(5)] == [200] * 5
                with store(tmp_path, port, "of-the-store"):
                    async with asyncio.timeout(10):
                        while told(running) != ["limits.away", "limits.back"]:
                            assert await status(running, text) == 200
                            await asyncio.sleep(0.3)
                assert "of-the-store" not in running.log.read_text()
        await server.stop()

    run(story())


@needs_server
@pytest.mark.wide
def test_a_store_that_hangs_holds_up_nobody_for_long(tmp_path: Path) -> None:
    text, key = made(requests_a_minute=1000)
    port = free_port()

    async def story(process: subprocess.Popen[bytes]) -> None:
        server = await ScriptedServer(plays={"/api/chat": play}).start()
        async with two_gateways(tmp_path, port, server, written(tmp_path, key)) as (running, _):
            assert await status(running, text) == 200
            process.send_signal(19)
            began = time.monotonic()
            other = asyncio.create_task(running.ask("GET", "/healthz"))
            assert await status(running, text) == 200
            assert (await other).status == 200
            assert [await status(running, text) for _ in range(3)] == [200] * 3
            assert time.monotonic() - began < 1.0
            process.send_signal(18)
        await server.stop()

    with store(tmp_path, port) as process:
        run(story(process))


@pytest.mark.parametrize(("when_away", "seen"), [("allow", [200, 200, 429]), ("refuse", [503, 503, 503])])
def test_without_the_store_each_counts_for_itself_or_refuses(tmp_path: Path, when_away: str, seen: list[int]) -> None:
    pytest.importorskip("limits")
    limited, key = made(requests_a_minute=2)
    free, other = made("free")

    async def story() -> None:
        server = await ScriptedServer(plays={"/api/chat": play}).start()
        settings = {"limits_store": f"redis://127.0.0.1:{free_port()}/0", "limits_when_away": when_away}
        file = written(tmp_path, key, other)
        async with gateway(tmp_path, entry(server, "one"), keys_file=file, **settings) as running:
            assert [await status(running, limited) for _ in range(3)] == seen
            assert [await status(running, free) for _ in range(3)] == [200] * 3
            await running.until(lambda: told(running) == ["limits.away"])
            assert running.context.guard.usages()["app"].open == 0
        await server.stop()

    run(story())


def test_a_client_that_goes_while_the_store_is_asked_leaves_nothing_open(tmp_path: Path) -> None:
    pytest.importorskip("limits")
    text, key = made(concurrency=1)

    async def story() -> None:
        silent = await asyncio.start_server(lambda _reader, _writer: asyncio.sleep(30), "127.0.0.1", 0)
        port = silent.sockets[0].getsockname()[1]
        server = await ScriptedServer(plays={"/api/chat": play}).start()
        file = written(tmp_path, key)
        async with gateway(
            tmp_path, entry(server, "one"), keys_file=file, limits_store=f"valkey://127.0.0.1:{port}/0"
        ) as running:
            client = await running.connect()
            await client.send(request("POST", "/api/chat", CHAT, bearer(text)))
            usage = running.context.guard.usages()["app"]
            await running.until(lambda: usage.open == 1)
            await client.aclose()
            await running.until(lambda: usage.open == 0)
            assert asked(server) == []
            await running.until(lambda: [line["outcome"] for line in running.records()] == ["gone"])
        silent.close()
        await server.stop()

    run(story())


def test_a_password_that_others_may_read_stops_the_start(tmp_path: Path) -> None:
    pytest.importorskip("limits")
    password = tmp_path / "password"
    password.write_text("secret")
    password.chmod(0o644)
    _, key = made()

    async def story() -> None:
        more = {"limits_store": "valkey://127.0.0.1:1/0", "limits_store_password_file": str(password)}
        with pytest.raises(ArrieroError, match="chmod 600"):
            async with gateway(tmp_path, keys_file=written(tmp_path, key), **more):
                pass

    run(story())


@needs_server
@pytest.mark.wide
def test_the_places_of_a_killed_gateway_are_free_again_after_their_lease(tmp_path: Path) -> None:
    from valkey import Valkey

    from arriero.gateway.access.store import LEASE_SECONDS, Lease, Store

    _, key = made(concurrency=1)
    port = free_port()

    async def story() -> None:
        client, store_ = Valkey(port=port), Store(f"redis://127.0.0.1:{port}/0")
        mine, others = Lease("app"), Lease("app")

        def age(seconds: int) -> None:
            """As if so much of the lease had passed."""
            client.zincrby("arriero:open:app", -seconds, mine.id)

        assert await store_.take(key, mine, time.time()) is None
        age(LEASE_SECONDS - 2)
        await store_.renew([mine, others])
        assert client.zcard("arriero:open:app") == 1
        age(LEASE_SECONDS - 2)
        assert await store_.take(key, others, time.time()) is not None
        age(3)
        assert await store_.take(key, others, time.time()) is None
        assert 0 < client.ttl("arriero:open:app") <= 2 * LEASE_SECONDS
        await store_.close()
        client.close()

    with store(tmp_path, port):
        run(story())
