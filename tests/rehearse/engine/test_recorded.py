"""Every recorded exchange is replayed against the engine, in the order of the recording's own story.

What must differ is normalised: dates, durations, digests, sizes, ids, the text a real model said and what counts it.
Everything else is compared byte for byte: status line, header names, order and values, framing, keys and their order.
"""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from speaking import CAPTURES, Client, Response, Start, needs_captures, parse, recorded

pytestmark = needs_captures

PARAMETERS = {"num_predict": 32, "num_thread": 1, "stop": ["<|user|>"], "num_ctx": 2048}
MODEL = {
    "system": "You are tiny.",
    "parameters": PARAMETERS,
    "parameter_size": "189K",
    "quantization_level": "F16",
    "embedding_length": 64,
}
MODELS = {"tiny": MODEL, "small": {**MODEL, "parameter_size": "5.54M", "embedding_length": 256}}

# Not replayed, or with a laxer look; each with its reason.
EXCEPTIONS = {
    "huge_prompt_generate": "recorded cut: only a part of the 72 kB request is in the file; built anew below",
    "huge_prompt_chat": "as huge_prompt_generate",
    "huge_prompt_v1": "as huge_prompt_generate",
    "huge_prompt_generate_truncate_false": "as huge_prompt_generate",
    "huge_embed_truncate_false": "as huge_prompt_generate",
    "show": "a simulated model has one tensor and fewer keys in model_info; its shape is tested below",
    "v1_messages_anthropic": "temperature 1 without seed: text of any length up to the limit; keys are compared below",
}

# The simulated text is over before the limit that cut the recorded one; only the reason differs.
SHORTER = {"generate_raw", "generate_format_json"}

# The order matters: models are loaded, unloaded, copied and deleted on the way.
STORY = re.findall(
    r"\w+",
    """
    root_get root_head version tags err_404 err_405 err_bad_host_header options_cors_localhost options_cors_bad_origin
    auth_header_ignored ps_empty generate_stream_cold generate_stream_warm generate_nostream generate_load_only
    generate_raw generate_format_json generate_logprobs chat_stream chat_nostream chat_load_only chat_think_unsupported
    chat_tools_unsupported ps_loaded gen_unknown_field gen_keepalive_conn embed embed_empty embeddings_legacy
    err_embed_missing_model show_missing v1_chat v1_chat_stream v1_chat_stream_usage v1_completions
    v1_completions_stream_usage v1_embeddings v1_models v1_model_one v1_responses err_gen_bad_json err_gen_bad_type
    err_gen_empty_body err_gen_missing_model err_gen_no_model err_invalid_name err_gen_bad_format
    err_gen_bad_option_type err_keepalive_bad err_chat_missing_model err_v1_bad_json err_v1_missing_model
    err_v1_no_messages err_v1_unknown_path num_ctx_change_reload num_ctx_back_reload unload_keepalive0 ps_after_unload
    generate_keepalive_2s ps_keepalive_2s unload_chat_when_not_loaded copy copy_missing create_from delete
    delete_missing delete3 blob_head_missing blob_post_mismatch pull_unreachable generate_stop
    """,
)

VARIABLE_TEXT = {"response", "content", "text", "token"}
VARIABLE_NUMBERS = re.compile(r".*(_duration|_count|_tokens)$|created|created_at|completed_at|size|logprob|size_vram")
VARIABLE_WORDS = {"created_at", "modified_at", "expires_at", "digest", "id", "context", "bytes"}


@pytest.fixture(scope="module")
def client(start: Start) -> Client:
    return start({"models": MODELS}, ARRIERO_MODELS="small,tiny", OLLAMA_KEEP_ALIVE="5m")


def test_the_story_and_the_exceptions_are_all_there_is() -> None:
    there = {file.name.removesuffix(".txt") for file in CAPTURES.glob("*.txt")}
    later = {"tags_end", "ps_after_2s"}  # as tags and ps_empty, at the end of the recording
    assert there == set(STORY) | set(EXCEPTIONS) | later


def test_the_recorded_story_is_answered_as_recorded(client: Client) -> None:
    different = [row for name in STORY if (row := difference(client, name))]
    assert not different, "\n\n".join("\n".join(map(str, row)) for row in different)


def difference(client: Client, name: str) -> tuple[str, object, object] | None:
    request, expected = recorded(name)
    found = client.raw(request)
    if name == "unload_keepalive0":
        time.sleep(0.01)
    want, have = normal(expected, name), normal(found, name)
    return None if want == have else (name, want, have)


def normal(response: Response, name: str) -> tuple[object, ...]:
    """What has to be equal: of a stream of tokens its first record and its end, for their number differs."""
    headers = [(key, "…" if key in ("Date", "Content-Length") else value) for key, value in response.headers]
    is_same_length = response.status != 200
    if is_same_length:
        headers = [(key, "…" if key == "Date" else value) for key, value in response.headers]
    form = [normal_text(chunk) for chunk in response.chunks or [response.body]]
    if name in SHORTER:
        form = json.loads(json.dumps(form).replace('"stop\\"', '"length\\"'))
    if response.chunks and len(form) > 3:
        form = [form[0], form[1], *form[-2:]] if "create" not in name else form
    return response.status_line, headers, form


def normal_text(body: bytes) -> list[object]:
    lines = [line for line in body.decode().split("\n") if line]
    return [*map(normal_line, lines), body.endswith(b"\n")]


def normal_line(line: str) -> object:
    prefix, text = ("data: ", line[6:]) if line.startswith("data: ") else ("", line)
    try:
        value = json.loads(text)
    except ValueError:
        return line
    assert spaces_outside(text) == 0
    return prefix, json.dumps(normal_value("", value))


def spaces_outside(text: str) -> int:
    return re.sub(r'"(\\.|[^"\\])*"', "", text).count(" ")


def normal_value(key: str, value: Any) -> Any:
    if key in VARIABLE_WORDS or (key in VARIABLE_TEXT and value):
        return "…"
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and VARIABLE_NUMBERS.fullmatch(key):
        return 0
    if isinstance(value, str):
        return re.sub(r"[0-9a-f]{64}", "…", value) if key == "status" else value
    if isinstance(value, dict):
        return {name: normal_value(name, inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [normal_value(key, inner) for inner in value]
    return value


LONG = "hello world " * 6000


def test_a_prompt_past_the_context_is_cut_silently_or_refused_as_recorded(client: Client) -> None:
    options = {"num_predict": 2, "temperature": 0}
    cut = client.ask("/api/generate", model="tiny", prompt=LONG, stream=False, options=options)
    assert (cut.status, cut.json()["prompt_eval_count"]) == (200, 1027)
    assert dict(cut.headers)["Transfer-Encoding"] == "chunked"
    messages = [{"role": "user", "content": LONG}]
    assert client.ask("/api/chat", model="tiny", messages=messages, stream=False).json()["prompt_eval_count"] == 1027
    v1 = client.ask("/v1/chat/completions", model="tiny", messages=messages, max_tokens=2)
    assert v1.json()["usage"]["prompt_tokens"] == 1027
    refused = client.ask("/api/generate", model="tiny", prompt=LONG, stream=False, truncate=False)
    wanted = parse_file("huge_prompt_generate_truncate_false").body
    assert re.sub(rb"\d{5}", b"N", refused.body) == re.sub(rb"\d{5}", b"N", wanted)
    embed = client.ask("/api/embed", model="tiny", input=LONG, truncate=False)
    assert (embed.status, embed.body) == (400, parse_file("huge_embed_truncate_false").body)


def parse_file(name: str) -> Response:
    return parse((CAPTURES / f"{name}.resp.raw").read_bytes())


def test_show_has_the_recorded_keys_in_their_order(client: Client) -> None:
    request, expected = recorded("show")
    found = client.raw(request)
    assert list(found.json()) == list(expected.json())
    for key in ("parameters", "template", "system", "details", "capabilities"):
        assert found.json()[key] == expected.json()[key]
    froms = re.compile(r"FROM /.*")
    assert froms.sub("", found.json()["modelfile"]) == froms.sub("", expected.json()["modelfile"])


def test_an_anthropic_message_has_the_recorded_keys_in_their_order(client: Client) -> None:
    request, expected = recorded("v1_messages_anthropic")
    found = client.raw(request)
    assert [list(found.json()), found.headers[0]] == [list(expected.json()), expected.headers[0]]
    assert found.json()["stop_reason"] in ("max_tokens", "end_turn")


def test_a_pull_tells_its_steps_as_recorded(client: Client) -> None:
    wanted = [json.loads(line) for line in (CAPTURES / "pull_from_docker_registry.ndjson").read_text().splitlines()]
    found = client.ask("/api/pull", model="mistral:7b").lines()
    steps = [re.sub(r"pulling [0-9a-f]{12}", "pulling …", line["status"]) for line in found]
    assert list(dict.fromkeys(steps)) == ["pulling manifest", "pulling …", *(line["status"] for line in wanted[-3:])]
    assert list(found[1]) == list(wanted[1])
    assert "mistral:7b" in [model["name"] for model in client.send("GET", "/api/tags").json()["models"]]
