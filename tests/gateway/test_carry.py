"""Cut answers and what becomes of them, as data: what was sent, what is asked, what comes, what the client gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arriero.gateway.relay.carry import CannotCarry, Carry, plan
from arriero.gateway.relay.continuation import Spent
from arriero.gateway.relay.kept import FOLD_AT, TEXT_BYTES_LIMIT, Kept
from arriero.gateway.relay.stream import Stream
from arriero.gateway.words.paths import dialect_of
from arriero.gateway.words.templates import Reading

FOLDER = Path(__file__).parents[1] / "cases"
CASES = [json.loads(file.read_text()) for file in sorted((FOLDER / "gateway_carry").glob("*.json"))]
REFUSED = json.loads((FOLDER / "gateway_carry_refused.json").read_text())
SPENT = Spent(total=1000, answering=700)
OPEN = Reading(True)


def named(cases: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(case, id=str(case.get("name", case.get("why")))) for case in cases]


def kept_of(path: str, records: list[str]) -> Kept:
    kept = Kept(path, dialect_of(path).end_of_record)
    for record in records:
        kept.pieces.append(record.encode())
    return kept


def planned(case: dict[str, Any]) -> Carry:
    kept, reading = kept_of(case["path"], case["before"]), Reading(**case["reading"])
    return plan(case["path"], json.dumps(case["request"]).encode(), kept, reading, SPENT)


def chunk(text: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(text), text)


@pytest.mark.parametrize("case", named(CASES))
def test_a_cut_answer_is_asked_for_and_goes_on(case: dict[str, Any]) -> None:
    carry = planned(case)
    assert {"path": carry.path, "body": json.loads(carry.body)} == case["asks"]
    got = carry.answer.take("".join(case["after"]).encode())
    assert got.decode() == "".join(case["client"])
    assert carry.answer.is_complete
    assert not carry.answer.failure


@pytest.mark.parametrize("case", named(CASES))
@given(cuts=st.lists(st.integers(0, 2000), max_size=10))
def test_the_rest_is_read_at_any_split(case: dict[str, Any], cuts: list[int]) -> None:
    answer, body, start, got = planned(case).answer, "".join(case["after"]).encode(), 0, b""
    for cut in [*sorted(cut % len(body) for cut in cuts), len(body)]:
        got, start = got + answer.take(body[start:cut]), cut
    assert got.decode() == "".join(case["client"])


@pytest.mark.parametrize("case", named([case for case in CASES if len(case["before"]) > 1]))
@given(st.data())
def test_wherever_a_stream_is_cut_the_text_that_was_sent_is_carried(case: dict[str, Any], data: st.DataObject) -> None:
    dialect = dialect_of(case["path"])
    records = [record.encode() for record in case["before"]] * data.draw(st.integers(1, 40))
    body = b"".join(map(chunk, records))
    end = data.draw(st.integers(0, len(body)))
    reads = sorted(data.draw(st.lists(st.integers(0, end), max_size=8)))
    stream, sent, start = Stream(dialect, True, case["path"]), b"", 0
    for cut in [*reads, end]:
        pieces, is_at_end = decoded(body, start, cut)
        sent, start = sent + stream.pass_on(body[start:cut], pieces, is_at_end), cut
    passed = b"".join(decoded(sent, 0, len(sent))[0])
    count = passed.count(dialect.end_of_record)
    assert passed == b"".join(records[:count])
    said = [said_in(record) for record in records[:count]]
    assert stream.kept.text() == "".join(said)
    assert stream.kept.said() == sum(map(bool, said))
    assert stream.kept.first == (records[0].removesuffix(dialect.end_of_record) if count else b"")


def decoded(body: bytes, start: int, end: int) -> tuple[list[bytes], bool]:
    """What a parser gives for these bytes of a chunked body, and whether they end with a chunk."""
    pieces, at = [], 0
    while at < end:
        head = body.index(b"\r\n", at) + 2
        size = int(body[at:head], 16)
        piece = body[max(start, head) : min(end, head + size)]
        if piece and max(start, head) < min(end, head + size):
            pieces.append(piece)
        at = head + size + 2
    return pieces, at == end


def said_in(record: bytes) -> str:
    value = json.loads(record.removeprefix(b"data: "))
    choice = (value.get("choices") or [{}])[0]
    said = value.get("response") or value.get("message", {}).get("content") or choice.get("text")
    return str(said or choice.get("delta", {}).get("content") or "")


@pytest.mark.parametrize("case", named(REFUSED))
def test_what_can_not_be_right_is_not_carried_on(case: dict[str, Any]) -> None:
    with pytest.raises(CannotCarry) as caught:
        plan(case["path"], json.dumps(case["request"]).encode(), kept_of(case["path"], []), OPEN, SPENT)
    assert str(caught.value) == case["why"]


CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "hello"}]}


def line(text: str, **more: object) -> str:
    value = {"message": {"role": "assistant", "content": text, **more}, "done": False}
    return json.dumps(value, separators=(",", ":")) + "\n"


@pytest.mark.parametrize(
    ("before", "why"),
    [
        ([line("a", thinking="hm")], "it says more than text"),
        ([line("", tool_calls=[])], "it says more than text"),
        ([line("\ufffd")], "its text can't be read back"),
        ([line("a")] * 40 + [line("b" * TEXT_BYTES_LIMIT)] + [line("c")] * 30,
         f"its text is larger than {TEXT_BYTES_LIMIT} bytes"),
        ([line(" no")] * 30, "it repeats itself"),
    ],
    ids=["thinking", "tools", "half a character", "long", "repeating"],
)  # fmt: skip
def test_what_was_said_may_forbid_it(before: list[str], why: str) -> None:
    kept = Kept("/api/chat", b"\n")
    for record in before:
        kept.pieces.append(record.encode())
        if len(kept.pieces) == FOLD_AT:
            kept.fold()
    with pytest.raises(CannotCarry) as caught:
        plan("/api/chat", json.dumps(CHAT).encode(), kept, OPEN, SPENT)
    assert str(caught.value) == why


@pytest.mark.parametrize(
    ("reading", "why"),
    [
        (None, "its model's template has not been read yet"),
        (Reading(None), "its model's template has not been tried yet"),
        (Reading(False, "its model thinks before it answers"), "its model thinks before it answers"),
    ],
)
def test_an_unknown_template_forbids_it(reading: Reading | None, why: str) -> None:
    with pytest.raises(CannotCarry) as caught:
        plan("/api/chat", json.dumps(CHAT).encode(), kept_of("/api/chat", [line("a")]), reading, SPENT)
    assert str(caught.value) == why


def test_a_known_context_length_lets_longer_prompts_go_on() -> None:
    body = json.dumps({"model": "tiny", "prompt": "x" * 9000}).encode()
    kept = kept_of("/api/generate", ['{"response":"a","done":false}\n'])
    assert plan("/api/generate", body, kept, OPEN, SPENT, 8192).carried_tokens == 1


def test_half_a_character_stays_what_it_is() -> None:
    body = b'{"model":"tiny","messages":[{"role":"user","content":"\\ud83d"}]}'
    carry = plan("/api/chat", body, kept_of("/api/chat", [line("a")]), OPEN, SPENT)
    assert b'"content":"\\ud83d"' in carry.body
    case = next(case for case in CASES if case["name"] == "generate")
    got = planned(case).answer.take(b'{"message":{"role":"assistant","content":"\\ud83d"},"done":false}\n')
    assert got == b'{"response":"\\ud83d","done":false}\n'


def test_an_error_in_the_rest_is_kept_apart() -> None:
    answer = planned(CASES[0]).answer
    assert answer.take(b'{"error":"unexpected EOF"}\n') == b""
    assert (answer.failure, answer.is_complete) == (b'{"error":"unexpected EOF"}\n', False)


@given(st.binary(max_size=200), st.sampled_from(["/api/chat", "/api/generate", "/v1/chat/completions", "/v1/messages"]))
def test_no_body_of_a_request_breaks_the_planning(body: bytes, path: str) -> None:
    with pytest.raises(CannotCarry):
        plan(path, body, kept_of(path, []), None, SPENT)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["model", "messages", "role", "content", "options", "num_predict", "num_ctx", "prompt", "n"]
                ),
                inner,
                max_size=4,
            )
        ),
    ),
    st.sampled_from(["/api/chat", "/api/generate", "/v1/chat/completions", "/v1/completions"]),
)
def test_no_json_of_a_request_breaks_the_planning(value: object, path: str) -> None:
    try:
        carry = plan(path, json.dumps(value).encode(), kept_of(path, []), OPEN, SPENT)
    except CannotCarry:
        return
    assert isinstance(json.loads(carry.body), dict)


@given(st.binary(max_size=300), st.booleans())
def test_no_answer_breaks_the_reading(body: bytes, is_openai: bool) -> None:
    case = next(case for case in CASES if case["path"].startswith("/v1/") == is_openai)
    answer = planned(case).answer
    answer.take(body + b"\n\n")
    assert not answer.is_complete or b"done" in body or b"DONE" in body


def test_a_server_that_names_the_role_in_every_event_goes_on_so() -> None:
    event = (
        'data: {"id":"1","choices":[{"index":0,"delta":{"role":"assistant","content":"a"},"finish_reason":null}]}\n\n'
    )
    kept = kept_of("/v1/chat/completions", [event, event])
    answer = plan("/v1/chat/completions", json.dumps(CHAT).encode(), kept, OPEN, SPENT).answer
    assert b'"role":"assistant"' in answer.take(event.encode())
