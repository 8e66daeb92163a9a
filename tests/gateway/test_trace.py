"""W3C Trace Context: passed on as it came, begun where there is none, and what OpenTelemetry is told."""

from __future__ import annotations

import asyncio
import random
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from running_gateway import entry, gateway, run
from scripted_server import Heard, ScriptedServer, json_response, says

from arriero.gateway.telling.spans import Spans
from arriero.gateway.telling.trace import Traces

ID, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{ID}-{SPAN}-01"


def traces(records: bool = False) -> Traces:
    return Traces(records, random.Random(1))


def test_a_valid_parent_is_kept() -> None:
    trace = traces().of([PARENT.encode()])
    assert (trace.id, trace.parent, trace.flags, trace.is_kept) == (ID, SPAN, 1, True)


def test_a_gateway_that_records_stands_between() -> None:
    trace = traces(records=True).of([PARENT.encode()])
    assert not trace.is_kept
    assert trace.header().startswith(f"traceparent: 00-{ID}-".encode())
    assert trace.span != SPAN


@pytest.mark.parametrize(
    "parent",
    ["", "00", PARENT[:-1], PARENT.upper(), f"ff-{ID}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", f"00-{ID}-{'0' * 16}-01",
     f"{PARENT}-more", "x" * 55],
)  # fmt: skip
def test_a_parent_that_breaks_the_rules_starts_a_new_trace(parent: str) -> None:
    trace = traces().of([parent.encode()])
    assert trace.id != ID
    assert not trace.is_kept
    assert not trace.is_state_kept


def test_two_parents_are_none() -> None:
    assert traces().of([PARENT.encode(), PARENT.encode()]).id != ID


def test_a_later_version_may_say_more() -> None:
    assert traces().of([f"01-{ID}-{SPAN}-01-more".encode()]).id == ID


@given(st.binary(max_size=80))
def test_any_bytes_give_a_trace(value: bytes) -> None:
    trace = traces().of([value])
    assert len(trace.id) == 32
    assert len(trace.span) == 16


def test_target_and_log_learn_the_trace(tmp_path: Path) -> None:
    async def story() -> None:
        server = await ScriptedServer(plays={"/api/generate": says(json_response({"done": True}))}).start()
        async with gateway(tmp_path, entry(server, "a")) as running:
            body = {"model": "llama2", "stream": False}
            headers = f"traceparent: {PARENT}\r\ntracestate: vendor=1\r\n"
            await running.ask("POST", "/api/generate", body, headers)
            await running.ask("POST", "/api/generate", body)
            await running.ask("POST", "/api/generate", body, "traceparent: nonsense\r\ntracestate: vendor=1\r\n")
            given, begun, replaced = (traced(heard) for heard in server.heard)
            assert given == [f"traceparent: {PARENT}", "tracestate: vendor=1"]
            await running.until(lambda: len(running.records()) == 3)
            ids = [record["trace"] for record in running.records()]
            assert ids[0] == ID
            assert re.fullmatch(rf"traceparent: 00-{ids[1]}-[0-9a-f]{{16}}-00", begun[0])
            assert len(replaced) == 1
            assert str(ids[2]) in replaced[0]
        await server.stop()

    run(story())


def traced(heard: Heard) -> list[str]:
    lines = heard.head.decode().split("\r\n")
    return [line for line in lines if line.lower().startswith("trace")]


class Collector(BaseHTTPRequestHandler):
    got: list[ExportTraceServiceRequest]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).got.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (named by http.server)
        """Quiet."""


@pytest.fixture
def collector() -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """A real OTLP/HTTP receiver."""
    handler = type("Here", (Collector,), {"got": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler.got
    server.shutdown()
    thread.join()
    server.server_close()


def test_spans_reach_a_collector_under_the_ids_that_the_target_heard(
    tmp_path: Path, collector: tuple[str, list[ExportTraceServiceRequest]]
) -> None:
    address, got = collector
    spans, heard = Spans(address, "llm"), []

    async def story() -> None:
        server = await ScriptedServer(plays={"/api/generate": says(json_response({"done": True}))}).start()
        async with gateway(tmp_path, entry(server, "a")) as running:
            running.context.spans, running.context.traces = spans, traces(records=True)
            body = {"model": "llama2", "prompt": "a secret prompt", "stream": False}
            await running.ask("POST", "/api/generate", body, f"traceparent: {PARENT}\r\n")
            await running.ask("POST", "/api/generate", body)
            unsampled = f"traceparent: 00-{ID}-{SPAN}-00\r\n"
            await running.ask("POST", "/api/generate", body, unsampled)
            heard.extend(traced(each)[0] for each in server.heard)
        await server.stop()
        await asyncio.to_thread(spans.close)

    run(story())
    told = [
        span for each in got for found in each.resource_spans for scope in found.scope_spans for span in scope.spans
    ]
    assert [f"traceparent: 00-{span.trace_id.hex()}-{span.span_id.hex()}-01" for span in told] == heard[:2]
    first, second = told
    assert (first.name, first.parent_span_id.hex()) == ("POST /api/generate", SPAN)
    assert second.parent_span_id == b""
    assert first.end_time_unix_nano > first.start_time_unix_nano
    values = {pair.key: pair.value for pair in first.attributes}
    assert values["gen_ai.request.model"].string_value == "llama2:latest"
    assert b"secret" not in b"".join(each.SerializeToString() for each in got)


def test_a_collector_that_is_away_stops_nothing(tmp_path: Path) -> None:
    spans = Spans("http://127.0.0.1:9", "llm")

    async def story() -> None:
        server = await ScriptedServer(plays={"/api/generate": says(json_response({"done": True}))}).start()
        async with gateway(tmp_path, entry(server, "a")) as running:
            running.context.spans, running.context.traces = spans, traces(records=True)
            for _ in range(20):
                assert (await running.ask("POST", "/api/generate", {"model": "llama2"})).status == 200
        await server.stop()

    run(story())
