"""What a receiver is told of a line: labels of few values, the text as it was, and the rest beside it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from log_receiver import LABELS_LIMIT, LINE_LIMIT, Receiver, receiving

from arriero.observe.logs.entry import Entry
from arriero.observe.shipping import loki, otlp
from arriero.observe.shipping.line import TARGETS_LIMIT, Labels, Line
from arriero.observe.shipping.waiting import BATCH_LINES, Waiting

AT = datetime(2026, 1, 1, 12, 0, 0, 250_000, UTC)
TRACE = "0af7651916cd43dd8448eb211c80319c"
GIN = '[GIN] 2026/01/01 - 12:00:00 | %d |  1.2ms | 127.0.0.1 | POST     "/api/chat"'


def of_gateway(**fields: object) -> str:
    return json.dumps({"at": AT.isoformat(), "event": "request", "id": "r-1", "trace": TRACE, **fields})


def of_sidecar(**fields: object) -> str:
    return json.dumps({"at": AT.isoformat(), "event": "sidecar.request", "boot": "b", "seq": 1, "id": "r-1", **fields})


def entry(text: str, target: str = "a-1", request: str = "") -> Entry:
    return Entry(AT, "a", target, text, request)


@pytest.mark.parametrize(
    ("told", "source", "level"),
    [
        (entry(of_gateway(outcome="answered"), "gateway", "r-1"), "gateway", "info"),
        (entry(of_gateway(outcome="gone"), "gateway", "r-1"), "gateway", "info"),
        (entry(of_gateway(outcome="refused"), "gateway", "r-1"), "gateway", "warn"),
        (entry(of_gateway(outcome="cut"), "gateway", "r-1"), "gateway", "error"),
        (entry(of_gateway(event="worker.died"), "gateway"), "gateway", "error"),
        (entry(of_sidecar(outcome="failed"), "a-1", "r-1"), "sidecar", "error"),
        (entry(of_sidecar(event="sidecar.started")), "sidecar", "info"),
        (entry(GIN % 200, request="r-1"), "ollama", "info"),
        (entry(GIN % 404), "ollama", "warn"),
        (entry(GIN % 500), "ollama", "error"),
        (entry('time=2026-01-01T12:00:00.000Z level=WARN source=x.go:1 msg="words"'), "ollama", "warn"),
        (entry("llama_model_loader: loaded meta data"), "ollama", "unknown"),
        (entry('{"at": "' + "[" * 5_000), "ollama", "unknown"),
        (entry("! a: can't be read", target=""), "arriero", "error"),
    ],
)
def test_who_wrote_a_line_and_how_bad_it_is(told: Entry, source: str, level: str) -> None:
    line = Labels("llm").line(told)
    target = told.target or "-"
    assert line.labels == {"service": "llm", "site": "a", "target": target, "level": level, "source": source}
    assert line.text == told.text


def test_the_id_of_a_request_is_no_label() -> None:
    line = Labels("llm").line(entry(of_gateway(outcome="answered"), "gateway", "r-1"))
    assert line.beside == {"request": "r-1", "trace": TRACE}
    assert "r-1" not in line.labels.values()
    assert line.nanoseconds == 1767268800_250_000_000


def test_of_targets_that_come_and_go_only_so_many_have_a_label() -> None:
    labels = Labels("llm")
    made = [labels.line(entry("words", f"a-{number}")) for number in range(TARGETS_LIMIT + 50)]
    assert len({line.labels["target"] for line in made}) == TARGETS_LIMIT + 1
    assert (made[-1].labels["target"], made[-1].beside["target"]) == ("other", f"a-{TARGETS_LIMIT + 49}")
    assert labels.line(entry("words", "a-0")).labels["target"] == "a-0"
    later = replace(entry("words", "a-new"), at=AT + timedelta(hours=2))
    assert labels.line(later).labels["target"] == "a-new"
    assert len(labels._named) == 1


def test_a_line_beyond_all_measure_is_cut() -> None:
    line = Labels("llm").line(entry("x" * 1_000_000))
    assert len(line.text) < 70_000
    assert line.text.endswith("(cut)")


@pytest.fixture
def receiver() -> Receiver:
    with receiving() as found:
        yield found  # type: ignore[misc]


HOSTILE = ['"}],"streams":[', "\ud800 \0 \x1b[2J", "a\nb", "é 中", "", "\\", "x" * 70_000]


def test_hostile_text_arrives_as_text(receiver: Receiver) -> None:
    labels = Labels("llm")
    lines = [labels.line(Entry(AT, "a", text[:40], text, text[:40])) for text in HOSTILE]
    for form in (loki, otlp):
        receiver.got.clear()
        assert receiver.take(form.PATH, form.body(lines))[0] in (200, 204)
        assert sorted(got.text for got in receiver.got) == sorted(line.text for line in lines)
        assert {got.nanoseconds for got in receiver.got} == {lines[0].nanoseconds}
        assert len(receiver.got) == len(HOSTILE)
    assert "? \ufffd \x1b[2J" in [line.text for line in lines]


@given(st.lists(st.tuples(st.text(max_size=50), st.text(max_size=20), st.sampled_from(["a", "b"])), max_size=30))
def test_whatever_is_written_can_be_sent(drawn: list[tuple[str, str, str]]) -> None:
    labels = Labels("llm")
    lines = [labels.line(Entry(AT, site, target, text, text[:9])) for text, target, site in drawn]
    told = json.loads(loki.body(lines))
    values = [value for stream in told["streams"] for value in stream["values"]]
    assert sorted(value[1] for value in values) == sorted(line.text for line in lines)
    assert all(len(stream["stream"]) <= LABELS_LIMIT for stream in told["streams"])
    assert all(len(line.text.encode()) <= LINE_LIMIT for line in lines)
    assert len(otlp.body(lines)) > 0 or not lines


def test_a_trace_of_ours_links_a_line_to_its_span(receiver: Receiver) -> None:
    line = Labels("llm").line(entry(of_gateway(outcome="failed"), "gateway", "r-1"))
    receiver.take(otlp.PATH, otlp.body([line, Labels("llm").line(entry("words"))]))
    told, other = receiver.got
    assert told.trace == TRACE
    assert told.labels == {
        "service.name": "llm", "service.instance.id": "gateway", "arriero.site": "a", "arriero.source": "gateway",
        "severity": "17 ERROR",
    }  # fmt: skip
    assert told.beside == {"arriero.request": "r-1"}
    assert (other.trace, other.labels["severity"], other.beside) == ("", "0", {})


def line(text: str) -> Line:
    return Line(AT, {"service": "llm"}, text, {})


@given(st.lists(st.integers(0, 3_000), max_size=200), st.integers(1, 40), st.integers(3_500, 40_000))
def test_what_waits_is_bounded_and_every_line_is_there_or_counted(sizes: list[int], most: int, size: int) -> None:
    waiting = Waiting(lines_limit=most, bytes_limit=size)
    lines = [line(f"{number} " + "x" * length) for number, length in enumerate(sizes)]
    for each in lines:
        waiting.put(each)
        assert len(waiting) <= most
        assert sum(one.size for one in waiting._lines) == waiting._bytes <= size
    taken = list(waiting.take())
    assert taken == lines[waiting.dropped :]
    assert (len(waiting), waiting._bytes) == (0, 0)


def test_a_batch_is_bounded_too() -> None:
    waiting = Waiting()
    for number in range(BATCH_LINES + 5):
        waiting.put(line(str(number)))
    assert waiting.is_batch
    assert [len(waiting.take()), len(waiting.take()), len(waiting.take())] == [BATCH_LINES, 5, 0]
    for _ in range(40):
        waiting.put(line("x" * 60_000))
    assert len(waiting.take()) == 17
