"""Every exchange recorded from real Ollama servers passes through the gateway unchanged."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from running_gateway import Reply, Running, entry, gateway, run
from scripted_server import Heard, ScriptedServer

from arriero.gateway.routing.quarantine import Quarantine
from arriero.gateway.words.paths import Kind, rule_of

CAPTURES = Path(__file__).resolve().parents[3] / "shared" / "data" / "ollama-captures"
VERSIONS = ("v0.17.4", "v0.32.15")
OURS = ("connection", "x-arriero-site", "x-arriero-target", "x-arriero-attempts", "x-arriero-queue-ms", "x-request-id")
pytestmark = pytest.mark.skipif(not CAPTURES.is_dir(), reason="the recorded exchanges are not here")


@dataclass(frozen=True)
class Capture:
    name: str
    request: bytes
    response: bytes

    @property
    def method(self) -> str:
        return self.request.split(b" ")[0].decode()

    @property
    def path(self) -> str:
        return self.request.split(b" ")[1].decode()

    @property
    def model(self) -> str:
        try:
            return str(json.loads(self.request.partition(b"\r\n\r\n")[2])["model"])
        except (ValueError, KeyError, TypeError):
            return self.path.removeprefix("/v1/models/")


def captures(version: str, kinds: tuple[Kind, ...]) -> list[Capture]:
    found = []
    for raw in sorted((CAPTURES / version).rglob("*.resp.raw")):
        text = raw.with_name(raw.name.replace(".resp.raw", ".txt")).read_bytes()
        sent = text.partition(b">>> REQUEST\n")[2].partition(b"\n\n<<< RESPONSE HEAD")[0]
        head, _, body = sent.partition(b"\r\n\r\n")
        lines = [
            line for line in head.split(b"\r\n") if not line.startswith((b"Connection", b"Host", b"Content-Length"))
        ]
        body = body.removesuffix(b"\n")
        lines += [b"Host: localhost", b"Content-Length: %d" % len(body)]
        capture = Capture(f"{version}/{raw.name}", b"\r\n".join(lines) + b"\r\n\r\n" + body, raw.read_bytes())
        rule = rule_of(capture.path)
        if (
            rule
            and rule.kind in kinds
            and capture.method in rule.methods
            and "bad_host" not in raw.name
            and capture.response
        ):
            found.append(capture)
    return found


async def through(running: Running, server: ScriptedServer, capture: Capture) -> Reply:
    async def play(heard: Heard) -> None:
        await heard.send(capture.response)
        heard.writer.close()

    server.plays[capture.path] = play
    # Some were recorded with the same body from servers that were killed: here each is the first.
    running.context.quarantine = Quarantine()
    client = await running.connect()
    await client.send(capture.request)
    reply = await client.reply(capture.method)
    await client.aclose()
    return reply


def head_lines(head: bytes) -> list[bytes]:
    lines = head.split(b"\r\n")
    return [lines[0], *(line for line in lines[1:] if line.partition(b":")[0].lower().decode() not in OURS)]


def decoded(head: bytes, body: bytes) -> bytes:
    if b"\r\nTransfer-Encoding: chunked" not in head:
        return body
    text, rest = b"", body
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        text, rest = text + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return text


def is_cut(capture: Capture, text: bytes) -> bool:
    """A stream that has no last record: recorded from servers that were killed, or gave up without a word."""
    last = text.strip().rpartition(b"\n")[2]
    is_stream = b"ndjson" in capture.response[:300] or b"event-stream" in capture.response[:300]
    return is_stream and not (b'"done":true' in last or b"[DONE]" in last or last.startswith(b'{"error"'))


@pytest.mark.parametrize("version", VERSIONS)
def test_every_recorded_exchange_passes_unchanged(tmp_path: Path, version: str) -> None:
    recorded = captures(version, (Kind.RUN, Kind.LOOK))
    assert len(recorded) > 50
    names = tuple({capture.model for capture in recorded if capture.model})

    async def story() -> None:
        server = await ScriptedServer(models=names).start()
        cut = []
        async with gateway(tmp_path, entry(server, "one")) as running:
            for capture in recorded:
                head, _, body = capture.response.partition(b"\r\n\r\n")
                text, reply = decoded(head, body), await through(running, server, capture)
                assert head_lines(reply.head) == head_lines(head), capture.name
                if is_cut(capture, text):
                    cut.append(capture.name)
                    kept = text[: text.rfind(b"\n") + 1]
                    assert reply.body.startswith(kept), capture.name
                    assert b"the stream broke off" in reply.body[len(kept) :], capture.name
                else:
                    assert reply.body == text, capture.name
        for name in ("runner_kill9_v1_stream", "sigterm_v1_stream", "sigterm_generate_stream"):
            assert f"{version}/{name}.resp.raw" in cut
        await server.stop()

    run(story())


def by_id(body: bytes) -> list[dict[str, str]]:
    return sorted(json.loads(body)["data"], key=lambda model: str(model["id"]))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", ["/api/tags", "/api/version", "/v1/models"])
def test_what_is_merged_over_one_target_is_what_that_target_says(tmp_path: Path, version: str, path: str) -> None:
    recorded = {capture.path: capture for capture in captures(version, (Kind.LOCAL,)) if capture.method == "GET"}

    async def story() -> None:
        server = ScriptedServer(version=version[1:])
        tags = recorded["/api/tags"].response

        async def play(heard: Heard) -> None:
            await heard.send(tags.replace(b"Connection: close\r\n", b""))

        server.plays["/api/tags"] = play
        await server.start()
        async with gateway(tmp_path, entry(server, "one")) as running:
            reply = await running.ask("GET", path)
        head, _, body = recorded[path].response.partition(b"\r\n\r\n")
        assert reply.status == 200
        if path == "/v1/models":
            # Ollama lists models of the same second in any order there.
            assert by_id(reply.body) == by_id(body)
        else:
            assert reply.body == body
        assert [line for line in head_lines(head) if not line.startswith(b"Date")] == head_lines(reply.head)
        await server.stop()

    run(story())
