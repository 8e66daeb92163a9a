"""The recorded exchanges that the gateway answers itself. With `test_captures.py` every one of them has its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from running_gateway import entry, gateway, run
from scripted_server import Heard, Play, ScriptedServer
from test_captures import CAPTURES, VERSIONS, Capture, by_id, captures, head_lines

from arriero.gateway.words.paths import Kind, rule_of

pytestmark = pytest.mark.skipif(not CAPTURES.is_dir(), reason="the recorded exchanges are not here")
# What every target has to be asked for, and what the gateway finds out by itself.
PROBES = ("/api/tags", "/api/ps", "/api/version")
EMPTY = "sigkill_generate_stream"  # the server was killed before its first byte


def recorded(version: str, name: str) -> Capture:
    """As `captures` reads it, with the Host and Origin that were sent."""
    text = (CAPTURES / version / f"{name}.txt").read_bytes()
    sent = text.partition(b">>> REQUEST\n")[2].partition(b"\n\n<<< RESPONSE HEAD")[0]
    head, _, body = sent.partition(b"\r\n\r\n")
    return Capture(
        name, head + b"\r\n\r\n" + body.removesuffix(b"\n"), (CAPTURES / version / f"{name}.resp.raw").read_bytes()
    )


def names(version: str) -> set[str]:
    return {raw.name.removesuffix(".resp.raw") for raw in (CAPTURES / version).glob("*.resp.raw")}


def passed_through(version: str) -> set[str]:
    return {Path(one.name).name.removesuffix(".resp.raw") for one in captures(version, (Kind.RUN, Kind.LOOK))}


def written(version: str) -> set[str]:
    found = {name: rule_of(recorded(version, name).path) for name in names(version)}
    return {name for name, rule in found.items() if rule and rule.kind is Kind.WRITE}


def answered_here(version: str) -> list[str]:
    return sorted(names(version) - passed_through(version) - written(version))


def without_end(response: bytes) -> Play:
    """Plays a recorded answer on a connection that stays open."""

    async def play(heard: Heard) -> None:
        await heard.send(response.replace(b"Connection: close\r\n", b""))

    return play


def lines_of(head: bytes) -> list[bytes]:
    """In any order, and without the date: Go sorts names, the gateway puts its own last."""
    return sorted(line for line in head_lines(head) if not line.startswith(b"Date:"))


@pytest.mark.parametrize("version", VERSIONS)
def test_every_recorded_exchange_has_its_place(version: str) -> None:
    here = answered_here(version)
    assert {"err_404", "err_405", "err_bad_host_header", "options_cors_localhost", "ps_loaded", "tags"} <= set(here)
    assert len(here) + len(written(version)) + len(passed_through(version) & names(version)) == len(names(version))
    below = {raw.name.removesuffix(".resp.raw") for raw in (CAPTURES / version).rglob("*/*.resp.raw")}
    assert below - passed_through(version) <= {EMPTY}


@pytest.mark.parametrize("version", VERSIONS)
def test_what_the_gateway_answers_itself_is_as_recorded(tmp_path: Path, version: str) -> None:
    async def story() -> None:
        for number, name in enumerate(answered_here(version)):
            capture = recorded(version, name)
            server = ScriptedServer(version=version[1:])
            tags = recorded(version, "tags_end" if name in ("tags_end", "ps_after_2s") else "tags")
            server.plays["/api/tags"] = without_end(tags.response)
            if capture.path in PROBES:
                server.plays[capture.path] = without_end(capture.response)
            await server.start()
            folder = tmp_path / str(number)
            folder.mkdir()
            async with gateway(folder, entry(server, "one")) as running:
                client = await running.connect()
                await client.send(capture.request)
                reply = await client.reply(capture.method)
                await client.aclose()
            head, _, body = capture.response.partition(b"\r\n\r\n")
            assert lines_of(reply.head) == lines_of(head), name
            # Ollama lists models of the same second in any order there.
            same = by_id(reply.body) == by_id(body) if capture.path == "/v1/models" else reply.body == body
            assert same, (name, reply.body, body)
            await server.stop()

    run(story())


@pytest.mark.parametrize("version", VERSIONS)
def test_verbs_that_change_models_never_reach_a_target(tmp_path: Path, version: str) -> None:
    async def story() -> None:
        server = await ScriptedServer().start()
        async with gateway(tmp_path, entry(server, "one")) as running:
            for name in sorted(written(version)):
                capture = recorded(version, name)
                client = await running.connect()
                await client.send(capture.request)
                assert (await client.reply(capture.method)).status == 403, name
                await client.aclose()
        assert server.heard == []
        await server.stop()

    run(story())
