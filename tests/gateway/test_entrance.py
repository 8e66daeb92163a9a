"""By which name, through which door and from which address a gateway may be asked."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest
from keyed import bearer, made, written
from running_gateway import FAST, Reply, Running, entry, gateway, request, run
from scripted_server import Heard, ScriptedServer

from arriero.gateway.access.sources import Sources, client_address, is_loopback
from arriero.gateway.wire.headers import sort_headers
from arriero.gateway.wire.request import Request
from arriero.plan.wanted.azure_edges import NO_DOOR

FRONT_DOOR = "1f0e4b3c-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    ("ranges", "address", "is_inside"),
    [
        (["10.0.0.0/8"], "10.1.2.3", True),
        (["10.0.0.0/8"], "11.1.2.3", False),
        (["10.0.0.0/8"], "::ffff:10.1.2.3", True),
        (["10.1.2.3"], "10.1.2.3", True),
        (["fd00::/8"], "fd12::1", True),
        (["fd00::/8"], "10.1.2.3", False),
        (["0.0.0.0/0"], "nonsense", False),
        (["0.0.0.0/0"], "", False),
        ([], "10.1.2.3", False),
    ],
)
def test_ranges_of_addresses(ranges: list[str], address: str, is_inside: bool) -> None:
    sources = Sources(ranges)
    assert [address in sources, address in sources] == [is_inside, is_inside]


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("10.0.0.1", ["8.8.8.8"], "8.8.8.8"),
        ("10.0.0.1", ["127.0.0.1, 8.8.8.8"], "8.8.8.8"),
        ("10.0.0.1", ["127.0.0.1, 8.8.8.8, 10.0.0.2"], "8.8.8.8"),
        ("10.0.0.1", ["127.0.0.1", "8.8.8.8, 10.0.0.2"], "8.8.8.8"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["8.8.8.8:1234"], "10.0.0.1"),
        ("9.9.9.9", ["127.0.0.1"], "9.9.9.9"),
    ],
)
def test_the_client_is_whom_the_nearest_trusted_proxy_names(peer: str, forwarded: list[str], found: str) -> None:
    asked = Request(0.0)
    asked.headers = [(b"X-Forwarded-For", value.encode()) for value in forwarded]
    sort_headers(asked)
    assert client_address(peer, asked, Sources(["10.0.0.0/8"])) == found
    assert client_address(peer, asked, Sources([])) == peer


def test_loopback_is_known_in_all_its_clothes() -> None:
    assert [is_loopback(text) for text in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1")] == [True] * 4
    assert [is_loopback(text) for text in ("10.0.0.1", "", "localhost.evil", "::2")] == [False] * 4


async def figures(running: Running, headers: str = "") -> int:
    return (await running.ask("GET", "/metrics", headers=headers)).status


def test_who_may_read_the_figures(tmp_path: Path) -> None:
    text, key = made(role="viewer")
    proxied = "X-Forwarded-For: 8.8.8.8\r\n"

    async def story() -> None:
        async with gateway(tmp_path) as running:
            assert await figures(running) == 200
            assert await figures(running, proxied) == 200
        async with gateway(tmp_path, trusted_proxies=("127.0.0.1",)) as running:
            assert [await figures(running), await figures(running, proxied)] == [200, 403]
        async with gateway(tmp_path, trusted_proxies=("127.0.0.1",), metrics_sources=("8.8.8.0/24",)) as running:
            assert await figures(running, proxied) == 200
        file = written(tmp_path, key)
        async with gateway(tmp_path, keys_file=file) as running:
            assert [await figures(running), await figures(running, bearer(text))] == [401, 200]
        async with gateway(tmp_path, keys_file=file, metrics_sources=("127.0.0.0/8",)) as running:
            assert [await figures(running), await figures(running, bearer("ak_wrong"))] == [200, 401]

    run(story())


def test_behind_a_front_door_nobody_else_is_answered(tmp_path: Path) -> None:
    async def story() -> None:
        async with gateway(tmp_path, front_door_id=FRONT_DOOR) as running:

            async def ask(path: str, headers: str = "") -> Reply:
                return await running.ask("GET", path, headers=headers)

            through = f"X-Azure-FDID: {FRONT_DOOR.upper()}\r\n"
            assert (await ask("/", through)).body == b"Ollama is running"
            wrong = "X-Azure-FDID: 1f0e4b3c-0000-4000-8000-000000000002\r\n"
            for headers in ("", wrong, through + wrong, wrong + through):
                assert (await ask("/v1/models", headers)).status == 403
            refused = await ask("/api/tags")
            assert refused.json() == {"error": "this server answers through its Front Door only"}
            assert [(await ask(path)).status for path in ("/healthz", "/readyz", "/metrics")] == [200, 503, 200]

    run(story())


def test_before_its_front_door_is_known_no_header_opens_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with gateway(tmp_path, front_door_id=NO_DOOR) as running:
            for said in (NO_DOOR, NO_DOOR.strip(), "", f'"{NO_DOOR}"', "00000000-0000-0000-0000-000000000000"):
                assert (await running.ask("GET", "/", headers=f"X-Azure-FDID: {said}\r\n")).status == 403, said
            assert (await running.ask("GET", "/healthz")).status == 200

    run(story())


def test_public_names_are_known_and_others_are_not(tmp_path: Path) -> None:
    async def story() -> None:
        async with gateway(tmp_path, hosts=("llm.example.com", "9.9.9.7")) as running:
            for host, status in (
                ("llm.example.com", 200),
                ("LLM.Example.com:443", 200),
                ("9.9.9.7:11434", 200),
                ("9.9.9.8", 403),
                ("evil.example.com", 403),
                ("llm.example.com.evil.com", 403),
            ):
                client = await running.connect()
                await client.send(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                assert (await client.reply()).status == status, host
                await client.aclose()

    run(story())


def test_one_address_may_not_take_all_connections(tmp_path: Path) -> None:
    limits = dataclasses.replace(FAST, connections_an_address=2)

    async def story() -> None:
        async with gateway(tmp_path, limits=limits) as running:
            host, _, port = running.settings.listen.rpartition(":")
            mine = [await running.connect() for _ in range(2)]
            assert await (await running.connect()).rest() == b""
            reader, writer = await asyncio.open_connection(host, int(port), local_addr=("127.0.0.2", 0))
            writer.write(request("GET", "/"))
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            writer.close()
            await mine[0].aclose()
            await asyncio.sleep(0.05)
            again = await running.connect()
            await again.send(request("GET", "/"))
            assert (await again.reply()).status == 200
            for client in (mine[1], again):
                await client.aclose()

    run(story())


def test_a_client_that_reads_nothing_is_let_go(tmp_path: Path) -> None:
    limits = dataclasses.replace(FAST, send_seconds=0.2)

    async def story() -> None:
        has_left = asyncio.Event()

        async def endless(heard: Heard) -> None:
            await heard.send(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: 1000000000\r\n\r\n"
            )
            try:
                while True:
                    await heard.send(b"x" * 100_000)
            except ConnectionError:
                has_left.set()

        server = await ScriptedServer(plays={"/api/chat": endless}).start()
        async with gateway(tmp_path, entry(server, "one"), limits=limits) as running:
            client = await running.connect()
            client.writer.transport.pause_reading()
            await client.send(request("POST", "/api/chat", {"model": "llama2"}))
            await asyncio.wait_for(has_left.wait(), 5)
            await client.aclose()
        assert running.records()[0]["outcome"] == "gone"
        await server.stop()

    run(story())
