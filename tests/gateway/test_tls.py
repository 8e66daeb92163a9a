"""TLS on both sides, and certificates that change while connections stand."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
from certificates import Authority
from keyed import bearer, made, written
from running_gateway import Running, entry, gateway, request, run
from scripted_server import Heard, ScriptedServer, json_response

from arriero.control.messages import TargetEntry
from arriero.gateway.wire.tls import TlsError

CHAT = {"model": "llama2"}


async def play(heard: Heard) -> None:
    await heard.send(json_response({"model": "llama2", "done": True}))


def serial(running_tls: asyncio.StreamWriter) -> str:
    return str(running_tls.get_extra_info("peercert")["serialNumber"])


async def renewed(running: Running, name: str) -> None:
    """Has the files read anew, and waits until that is told."""
    before = running.log.read_text().count(f'"{name}.') if running.log.exists() else 0
    running.context.renew_now.set()
    await running.until(lambda: running.log.exists() and running.log.read_text().count(f'"{name}.') > before)


def test_a_new_certificate_is_shown_to_new_clients_and_drops_nobody(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("127.0.0.1")

    async def story() -> None:
        settings = {"tls_certificate": pair[0], "tls_key": pair[1]}
        async with gateway(tmp_path, **settings) as running:
            first = await running.connect(authority.client())
            authority.issue("127.0.0.1")
            await renewed(running, "listener_tls")
            second = await running.connect(authority.client())
            assert serial(first.writer) != serial(second.writer)
            Path(pair[1]).write_text("no key")
            await renewed(running, "listener_tls")
            assert '"listener_tls.refused"' in running.log.read_text()
            third = await running.connect(authority.client())
            assert serial(third.writer) == serial(second.writer)
            for client in (first, second, third):
                await client.send(request("GET", "/"))
                assert (await client.reply()).body == b"Ollama is running"
                await client.aclose()

    run(story())


def test_pipelined_requests_and_errors_cross_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("127.0.0.1")
    text, key = made()

    async def story() -> None:
        server = await ScriptedServer(plays={"/api/chat": play}).start()
        settings = {"tls_certificate": pair[0], "tls_key": pair[1], "keys_file": written(tmp_path, key)}
        async with gateway(tmp_path, entry(server, "one"), **settings) as running:
            client = await running.connect(authority.client())
            await client.send(
                request("POST", "/api/chat", CHAT, bearer(text)) * 3 + b"GET / HTTP/1.1\r\nHost : x\r\n\r\n"
            )
            assert [(await client.reply()).status for _ in range(4)] == [200, 200, 200, 400]
            assert await client.rest() == b""
            await client.aclose()
        await server.stop()

    run(story())


def test_nothing_older_than_tls_1_2_is_spoken(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("127.0.0.1")

    async def story() -> None:
        async with gateway(tmp_path, tls_certificate=pair[0], tls_key=pair[1]) as running:
            old, plain = authority.client(), await running.connect()
            old.set_ciphers("ALL:@SECLEVEL=0")
            old.minimum_version, old.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, ssl.TLSVersion.TLSv1_1
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await running.connect(old)
            await plain.send(request("GET", "/"))
            assert b"HTTP" not in await plain.rest()
            await plain.aclose()
            newest = await running.connect(authority.client())
            assert newest.writer.get_extra_info("ssl_object").version() == "TLSv1.3"
            await newest.aclose()

    run(story())


def test_with_an_authority_for_clients_they_need_a_certificate_of_it_and_it_can_change(tmp_path: Path) -> None:
    authority, others = Authority(tmp_path), Authority(tmp_path, "others")
    pair, good, bad = authority.issue("127.0.0.1"), authority.issue("client"), others.issue("stranger")
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(authority.file.read_bytes())

    async def may_come(running: Running, certificate: tuple[str, str] | None) -> bool:
        """In TLS 1.3 a client learns with its first reading that its certificate was refused."""
        try:
            client = await running.connect(authority.client(certificate))
            await client.send(request("GET", "/"))
            is_answered = b"200 OK" in await client.head()
            await client.aclose()
        except (OSError, asyncio.IncompleteReadError):
            return False
        return is_answered

    async def story() -> None:
        settings = {"tls_certificate": pair[0], "tls_key": pair[1], "tls_client_ca": str(trusted)}
        async with gateway(tmp_path, **settings) as running:
            assert [await may_come(running, shown) for shown in (None, good, bad)] == [False, True, False]
            trusted.write_bytes(others.file.read_bytes())
            await renewed(running, "listener_tls")
            assert [await may_come(running, shown) for shown in (None, good, bad)] == [False, False, True]

    run(story())


def test_targets_are_spoken_to_over_mutual_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server_pair, client_pair = authority.issue("sidecar.internal"), authority.issue("edge")

    async def story() -> None:
        server = TlsServer(authority.server(server_pair, asks_clients=True))
        address = await server.start_tls()
        target = TargetEntry("one", "here", f"https://{address}")
        settings = {
            "targets_ca": str(authority.file),
            "targets_certificate": client_pair[0],
            "targets_key": client_pair[1],
            "targets_name": "sidecar.internal",
        }
        async with gateway(tmp_path, target, **settings) as running:
            reply = await running.ask("POST", "/api/chat", CHAT)
            assert reply.status == 200
            assert b"Host: " + address.encode() + b"\r\n" in server.heard[0].head
        async with gateway(tmp_path, target, **{**settings, "targets_name": "another.name"}) as running:
            assert {found.state for found in running.context.pool} != {"up"}
        await server.stop()

    run(story())


class TlsServer(ScriptedServer):
    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(plays={"/api/chat": play})
        self.context = context

    async def start_tls(self) -> str:
        self._writers = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.context)
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"


def test_certificates_that_cannot_be_used_stop_the_start(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair, other = authority.issue("a"), authority.issue("b")
    bad = {
        "key values mismatch": {"tls_certificate": pair[0], "tls_key": other[1]},
        "No such file": {"tls_certificate": pair[0], "tls_key": str(tmp_path / "none")},
        "cannot read it": {"targets_ca": str(tmp_path / "none")},
    }

    async def story() -> None:
        for message, settings in bad.items():
            with pytest.raises(TlsError, match=message):
                async with gateway(tmp_path, **settings):
                    pass

    run(story())
