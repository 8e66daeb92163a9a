"""Gateways behind Debian's nginx, as `arriero export nginx` configures it: bytes pass at once, nothing else does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import ssl
import statistics
import time
import warnings
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from certificates import Authority
from keyed import bearer, made, written
from nginx_server import Nginx, folder_of_nobody, needs_nginx, nginx_before
from ollama_servers import servers
from program import Program, program
from running_gateway import Client, free_port, gateway, request, run
from running_gateway import entry as entry_of
from scripted_server import Heard, ScriptedServer, chunk, stream_head

pytestmark = [pytest.mark.story, pytest.mark.wide, needs_nginx]
NOT_OPENAI = b'{"error":{"message":"not found","type":"not_found_error","param":null,"code":null}}'
LAST_CHUNK = b"\r\n0\r\n\r\n"
ASKED = {"model": "llama2", "prompt": "Say hello."}
PATHS = {"/api/generate": ASKED, "/v1/chat/completions": {"model": "llama2", "messages": [], "stream": True}}


@contextlib.asynccontextmanager
async def one_gateway(folder: Path, **values: object) -> AsyncIterator[Program]:
    """A gateway before one of the built-in engine's servers."""
    with servers(folder, "engine") as (server,):
        async with program(folder, server.entry, **values) as running:
            yield running


def test_each_piece_of_an_answer_has_come_before_the_next_is_sent(tmp_path: Path) -> None:
    run(_piece_by_piece(tmp_path))


async def _piece_by_piece(folder: Path) -> None:
    seen = asyncio.Semaphore(0)

    async def play(heard: Heard) -> None:
        is_native = heard.path.startswith("/api")
        await heard.send(stream_head("application/x-ndjson" if is_native else "text/event-stream"))
        for number in range(5):
            record = {"response": str(number), "done": False, "choices": [{"delta": {"content": str(number)}}]}
            text = json.dumps(record)
            await heard.send(chunk((f"{text}\n" if is_native else f"data: {text}\n\n").encode()))
            await seen.acquire()
        heard.break_off()

    target = await ScriptedServer(plays=dict.fromkeys(PATHS, play)).start()
    async with gateway(folder, entry_of(target, "a")) as behind, nginx_before(behind.settings.listen) as nginx:
        for path, body in PATHS.items():
            client = await nginx.connect()
            await client.send(request("POST", path, body))
            assert b" 200 " in await client.head()
            for number in range(5):
                # The target sends no other piece before this one is here: who holds one back never gets the next.
                while f'"{number}"'.encode() not in await client.chunk():
                    pass
                seen.release()
            await client.aclose()


def test_the_first_byte_comes_as_early_as_without_nginx(tmp_path: Path) -> None:
    run(_first_bytes(tmp_path))


async def _first_bytes(folder: Path) -> None:
    async with one_gateway(folder) as behind, nginx_before(behind.settings.listen) as nginx:
        direct, through = await behind.connect(), await nginx.connect()
        took: dict[str, list[float]] = {"direct": [], "through": []}
        clients = [("direct", direct), ("through", through)]
        for turn in range(40):
            for name, client in clients[:: -1 if turn % 2 else 1]:
                took[name].append(await _first_byte(client))
        medians = {name: statistics.median(values) * 1000 for name, values in took.items()}
        delay = medians["through"] - medians["direct"]
        print(
            f"first byte: {medians['direct']:.2f} ms direct, {medians['through']:.2f} ms through nginx: {delay:+.2f} ms"
        )
        assert delay < 20


async def _first_byte(client: Client) -> float:
    """Seconds until the first piece of an answer; the rest is read, too."""
    begun = time.perf_counter()
    await client.send(request("POST", "/api/generate", ASKED))
    await client.head()
    await client.chunk()
    took = time.perf_counter() - begun
    while await client.chunk():
        pass
    return took


def test_a_gateway_that_dies_costs_its_open_answers_and_no_other(tmp_path: Path) -> None:
    run(_failover(tmp_path))


async def _failover(folder: Path) -> None:
    (folder / "one").mkdir()
    (folder / "two").mkdir()
    slow = json.dumps({"load_seconds": 0.0, "first_token_seconds": 0.01, "tokens_per_second": 20.0})
    with servers(folder, "engine", ARRIERO_ENGINE_PROFILE=slow) as (server,):
        async with (
            program(folder / "one", server.entry) as one,
            program(folder / "two", server.entry) as two,
            nginx_before(one.settings.listen, two.settings.listen, limits={"connections": 999}) as nginx,
        ):
            await _kill_one(nginx, one, two)


async def _kill_one(nginx: Nginx, one: Program, two: Program) -> None:
    open_ones = [await nginx.connect() for _ in range(2)]
    for client in open_ones:
        await client.send(request("POST", "/api/generate", ASKED))
        await client.head()
        await client.chunk()
    assert [await behind.figure("arriero_requests_open") for behind in (one, two)] == [1, 1]
    os.kill(one.process.pid, signal.SIGKILL)
    one.process.wait()
    ends = [await _rest(client) for client in open_ones]
    # The cut one has neither a last record nor a last chunk: nobody takes it for whole.
    assert sorted(b'"done":true' in end for end in ends) == [False, True]
    assert sorted(end.endswith(LAST_CHUNK) for end in ends) == [False, True]
    asked = {**ASKED, "options": {"num_predict": 1}}
    replies = [await nginx.ask("POST", "/api/generate", asked) for _ in range(20)]
    assert [reply.status for reply in replies] == [200] * 20
    os.kill(two.process.pid, signal.SIGKILL)
    two.process.wait()
    refused = await nginx.ask("POST", "/v1/messages", asked)
    assert (refused.status, refused.header("retry-after")) == (502, "1")
    assert refused.json() == {
        "type": "error",
        "error": {"type": "api_error", "message": "no gateway answers; try again soon"},
    }


async def _rest(client: Client) -> bytes:
    """Everything until the last chunk or the connection's end."""
    data = b""
    while not data.endswith(LAST_CHUNK) and (piece := await asyncio.wait_for(client.reader.read(65536), 10)):
        data += piece
    return data


def test_only_the_paths_of_clients_pass(tmp_path: Path) -> None:
    run(_paths(tmp_path))


async def _paths(folder: Path) -> None:
    async with one_gateway(folder) as behind, nginx_before(behind.settings.listen) as nginx:
        for path in ("/", "/healthz", "/readyz", "/api/version", "/v1/models"):
            assert (await nginx.ask("GET", path)).status == 200, path
        assert (await behind.ask("GET", "/metrics")).status == 200  # what nginx would be told
        for path in (
            "/metrics", "/metrics/", "//metrics", "/api/../metrics", "/api/%2e%2e/metrics", "/v1/..%2fmetrics",
            "/api//../metrics", "/api/..;/metrics", "/%6detrics", "http://localhost/metrics", "/api/./../metrics?a=1",
            "/api", "/v1", "/api/blobs", "/API/tags", "/nginx_status", "/control",
        ):  # fmt: skip
            reply = await nginx.ask("GET", path)
            assert reply.status == 404, path
            assert b"arriero_requests_total" not in reply.body
            # What looks like a path of clients is the gateway's to refuse.
            assert reply.body in (b'{"error":"not found"}', NOT_OPENAI, b"404 page not found"), path
        assert (await nginx.ask("TRACE", "/api/tags")).status == 405


def test_a_request_has_one_id_all_the_way(tmp_path: Path) -> None:
    run(_ids(tmp_path))


async def _ids(folder: Path) -> None:
    async with one_gateway(folder) as behind, nginx_before(behind.settings.listen) as nginx:
        theirs = await nginx.ask("GET", "/api/version?key=hush", headers="X-Request-Id: their.own:id/1+2=3\r\n")
        assert theirs.head.lower().count(b"x-request-id") == 1
        assert theirs.header("x-request-id") == "their.own:id/1+2=3"
        for wrong in ("a b", 'a"b', "x" * 129, "a\tb", "{}"):
            headers = f"X-Request-Id: {wrong}\r\nAuthorization: Bearer hush\r\n"
            reply = await nginx.ask("GET", "/api/version", headers=headers)
            assert re.fullmatch("[0-9a-f]{32}", str(reply.header("x-request-id"))), wrong
        missing = await nginx.ask("GET", "/metrics", headers="X-Request-Id: lost\r\n")
        assert missing.header("x-request-id") == "lost"
        lines = await nginx.lines(7)
        first = next(line for line in lines if line["request_id"] == "their.own:id/1+2=3")
        ids = {line["request_id"] for line in lines}  # workers write side by side
        assert "lost" in ids
        async with asyncio.timeout(10):  # the gateway writes its own down soon
            while {line["id"] for line in behind.events("request")} != ids - {"lost"}:
                await asyncio.sleep(0.02)
        text = (nginx.folder / "access.log").read_text() + (nginx.folder / "stderr").read_text()
        assert "hush" not in text
        assert first | {"path": "/api/version", "status": "200", "client": "127.0.0.1"} == first


LIMITED = {
    "/api/generate": {"error": "too many requests; try again in 1 s"},
    "/v1/chat/completions": {
        "error": {
            "message": "too many requests; try again in 1 s",
            "type": "rate_limit_error",
            "param": None,
            "code": "rate_limit_exceeded",
        }
    },
    "/v1/messages": {
        "type": "error",
        "error": {"type": "rate_limit_error", "message": "too many requests; try again in 1 s"},
    },
}


def test_who_asks_too_often_is_told_so_in_its_own_words(tmp_path: Path) -> None:
    run(_limits(tmp_path))


async def _limits(folder: Path) -> None:
    key, entry = made()
    other, entry_too = made("other")
    keys = written(folder, entry, entry_too)
    once = {"requests_a_minute": 1, "burst": 0, "by": "key"}
    async with one_gateway(folder, keys_file=keys) as behind:
        of = {"keys": "keys.json"}
        async with nginx_before(behind.settings.listen, limits=once, without_keys=False, of_gateway=of) as nginx:
            first = await nginx.ask("GET", "/api/tags", headers=bearer(key))
            assert first.status == 200
            for path, body in LIMITED.items():
                reply = await nginx.ask("POST", path, ASKED, headers=bearer(key))
                assert (reply.status, reply.json(), reply.header("retry-after")) == (429, body, "1")
                assert str(reply.header("content-type")).startswith("application/json")
            # Another key has an allowance of its own, so has who shows none; and who probes is never refused.
            assert (await nginx.ask("GET", "/api/tags", headers=f"x-api-key: {other}\r\n")).status == 200
            statuses = [(await nginx.ask("GET", "/api/tags")).status for _ in range(2)]
            assert statuses == [401, 429]
            assert {(await nginx.ask("GET", "/readyz")).status for _ in range(5)} == {200}
            assert "limiting" not in (nginx.folder / "stderr").read_text()


def test_who_has_too_much_open_is_refused_until_it_ends(tmp_path: Path) -> None:
    run(_open(tmp_path))


async def _open(folder: Path) -> None:
    async def silent(heard: Heard) -> None:
        await heard.client_left()

    target = await ScriptedServer(plays={"/api/generate": silent}).start()
    async with (
        gateway(folder, entry_of(target, "a")) as behind,
        nginx_before(behind.settings.listen, limits={"connections": 1}) as nginx,
    ):
        client = await nginx.connect()
        await client.send(request("POST", "/api/generate", ASKED))
        await behind.until(lambda: bool(target.heard) and target.heard[-1].path == "/api/generate")
        assert (await nginx.ask("GET", "/api/tags")).status == 429
        await client.aclose()  # the client leaves: so does nginx, and the gateway is told
        await behind.until(lambda: any(record["path"] == "/api/generate" for record in behind.records()))
        assert (await nginx.ask("GET", "/api/tags")).status == 200


def test_bodies_have_the_gateways_bound_and_models_files_none(tmp_path: Path) -> None:
    run(_bodies(tmp_path))


async def _bodies(folder: Path) -> None:
    async with one_gateway(folder) as behind:
        of = {"limits": {"body": "1MiB"}}
        async with nginx_before(behind.settings.listen, of_gateway=of) as nginx:
            large = b"x" * (2**20 + 1)
            reply = await nginx.ask("POST", "/v1/embeddings", large)
            assert reply.status == 413
            assert b'"the body is too large"' in reply.body
            blob = await nginx.ask("POST", f"/api/blobs/sha256:{'0' * 64}", large)
            assert blob.status not in (200, 201, 413)
            assert (await behind.ask("POST", f"/api/blobs/sha256:{'0' * 64}", large)).status == blob.status


def test_a_client_can_not_say_whence_it_comes_but_a_trusted_proxy_can(tmp_path: Path) -> None:
    run(_addresses(tmp_path))


async def _addresses(folder: Path) -> None:
    heads: list[bytes] = []

    async def play(heard: Heard) -> None:
        heads.append(heard.head)
        await heard.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    # nginx's peer here is a scripted server: what it is told is seen whole.
    behind = await ScriptedServer(plays={"/api/chat": play}).start()
    said = "X-Forwarded-For: 6.6.6.6, 198.51.100.7\r\nForwarded: for=6.6.6.6\r\n"
    for trusted, expected in (((), b"127.0.0.1"), (("127.0.0.0/8",), b"198.51.100.7")):
        async with nginx_before(behind.address, trusted_proxies=trusted) as nginx:
            assert (await nginx.ask("POST", "/api/chat", ASKED, said)).status == 200
            head = heads[-1].lower()
            assert re.findall(rb"\r\nx-forwarded-for: ([^\r]*)", head) == [expected]
            assert b"\r\nforwarded" not in head
            assert b"\r\nconnection" not in head
            assert b"\r\nhost: localhost\r\n" in head
            assert (await nginx.lines())[-1]["client"] == expected.decode()


def test_what_stands_behind_gives_nginx_no_orders(tmp_path: Path) -> None:
    run(_orders())


async def _orders() -> None:
    async def play(heard: Heard) -> None:
        orders = b"X-Accel-Redirect: /metrics\r\nX-Accel-Buffering: yes\r\nX-Accel-Limit-Rate: 1\r\n"
        await heard.send(b"HTTP/1.1 200 OK\r\n" + orders + b"Content-Length: 6\r\n\r\nanswer")

    behind = await ScriptedServer(plays={"/api/chat": play}).start()
    async with nginx_before(behind.address) as nginx:
        reply = await nginx.ask("POST", "/api/chat", ASKED)
        assert (reply.status, reply.body) == (200, b"answer")


@pytest.mark.parametrize(("path", "method", "asked"), [("/api/delete", "DELETE", 1), ("/api/chat", "POST", 1)])
def test_what_a_gateway_has_begun_is_asked_no_second_one(path: str, method: str, asked: int) -> None:
    run(_asked_once(path, method, asked))


async def _asked_once(path: str, method: str, asked: int) -> None:
    async def play(heard: Heard) -> None:
        heard.break_off()

    behind = [await ScriptedServer(plays={path: play}).start() for _ in range(2)]
    async with nginx_before(*(server.address for server in behind)) as nginx:
        assert (await nginx.ask(method, path, {"model": "llama2"})).status == 502
        assert sum(len(server.heard) for server in behind) == asked


def test_tls_in_front_and_behind_and_308_from_http(tmp_path: Path) -> None:
    run(_tls(tmp_path))


async def _tls(folder: Path) -> None:
    redirect = free_port()
    with folder_of_nobody() as place:
        authority = Authority(place)
        certificate, key = (Path(name).name for name in authority.issue("llm.example.com"))
        inner = Authority(folder, "inner")
        behind_files = dict(zip(("tls_certificate", "tls_key"), inner.issue("llm.example.com", "gateway"), strict=True))
        (place / "inner.pem").write_bytes(inner.file.read_bytes())
        async with _listening(folder, behind_files) as address:
            values = {"tls": {"certificate": certificate, "key": key}, "redirect_from": redirect}
            own = {"certificate": "gateway.crt", "key": "gateway.key"}
            of = {"hosts": ["llm.example.com"], "tls": own}
            ca = {"gateways_ca": "inner.pem"}
            async with nginx_before(address, folder=place, of_gateway=of, **values, **ca) as nginx:
                await _ask_with_tls(nginx, authority, redirect)
            # A gateway that somebody else vouches for is not believed.
            ca = {"gateways_ca": "authority.pem"}
            async with nginx_before(address, folder=place, of_gateway=of, **values, **ca) as nginx:
                more = {"ssl": authority.client(), "server_hostname": "llm.example.com"}
                assert (await nginx.ask("GET", "/", **more)).status == 502


@contextlib.asynccontextmanager
async def _listening(folder: Path, files: dict[str, str]) -> AsyncIterator[str]:
    async with gateway(folder, hosts=("llm.example.com",), **files) as behind:
        yield behind.settings.listen


async def _ask_with_tls(nginx: Nginx, authority: Authority, redirect: int) -> None:
    named = {"ssl": authority.client(), "server_hostname": "llm.example.com"}
    reply = await nginx.ask("GET", "/", **named)
    assert reply.status == 200
    assert (await nginx.lines())[-1]["tls"] == "TLSv1.3"
    for version, is_taken in ((ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_1, False)):
        old = authority.client()
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # that the old one is old is known
            old.minimum_version = old.maximum_version = version
        old.set_ciphers("DEFAULT:@SECLEVEL=0")
        try:
            assert (await nginx.ask("GET", "/healthz", ssl=old, server_hostname="llm.example.com")).status == 200
            assert is_taken
        except (ssl.SSLError, ConnectionError):
            assert not is_taken
    plain = await nginx.ask("GET", "/healthz")
    assert plain.status == 400
    assert "error" in json.loads(plain.body)
    asked = b"POST /api/chat?a=b HTTP/1.1\r\nHost: llm.example.com\r\nContent-Length: 0\r\n\r\n"
    client = await nginx.connect(redirect)
    await client.send(asked + asked.replace(b"llm.", b"evil."))
    moved, foreign = await client.reply(), await client.reply()
    assert (moved.status, moved.header("location")) == (308, f"https://llm.example.com:{nginx.port}/api/chat?a=b")
    assert (foreign.status, foreign.header("location")) == (421, None)
    await client.aclose()
