"""What the recordings of concurrency, overflow and faults show, as behaviour of one server."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from speaking import CAPTURES, Client, Response, Start, needs_captures, parse

ENDLESS = {"num_predict": 100_000, "temperature": 0, "stop": []}


def eventually(true: Callable[[], bool], seconds: float = 5) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    return true()


def stream(client: Client, prompt: str = "tell me", path: str = "/api/generate", **body: object) -> socket.socket:
    """A stream under way: its head and first record have come."""
    connection = client.connect()
    request = {"model": "llama2", "prompt": prompt, "options": {"temperature": 0}, **body}
    connection.sendall(client.request("POST", path, request))
    assert connection.recv(15) == b"HTTP/1.1 200 OK"
    return connection


def long_prompt(client: Client) -> str:
    """A prompt whose answer is long enough to be interrupted."""
    for n in range(100):
        said = client.ask("/api/generate", model="llama2", prompt=f"q{n}", stream=False, options={"temperature": 0})
        if said.json()["eval_count"] > 60:
            return f"q{n}"
    raise AssertionError("no prompt has a long answer")


def say(client: Client, **body: object) -> dict:  # type: ignore[type-arg]
    return client.ask("/api/generate", model="llama2", stream=False, **body).json()


@needs_captures
def test_past_the_loading_queue_a_request_is_refused_as_recorded(start: Start) -> None:
    client = start({"load_seconds": 0.4}, OLLAMA_MAX_QUEUE="2")
    paths = ("/api/generate", "/v1/chat/completions")
    body = {"model": "llama2", "prompt": "q", "messages": [{"role": "user", "content": "q"}], "max_tokens": 2}

    def ask(number: int) -> tuple[str, Response]:
        path = paths[number % 2]
        return path, client.ask(path, **body)

    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(ask, range(12)))
    assert sorted(response.status for _, response in found) == [200] * 3 + [503] * 9
    for path, response in found:
        if response.status == 503:
            name = "cold12-generate-503" if path == paths[0] else "cold12-v1-503"
            wanted = parse((CAPTURES / "overflow-mq2" / f"{name}.resp.raw").read_bytes())
            assert response.body == wanted.body
            assert dict(response.headers) | {"Date": ""} == dict(wanted.headers) | {"Date": ""}


def test_a_loaded_model_lets_more_wait_than_the_queue_allows(start: Start) -> None:
    client = start(OLLAMA_MAX_QUEUE="2")
    say(client, prompt="warm")
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda n: say(client, prompt=f"q{n}", options={"num_predict": 20}), range(12)))
    assert all(answer["done"] for answer in found)


def test_a_waiting_request_gets_no_headers_until_its_turn_and_the_wait_counts(start: Start) -> None:
    client = start({"tokens_per_second": 100})
    prompt = long_prompt(start())
    say(client, prompt="warm", options={"num_predict": 1})
    with stream(client, prompt, options={"temperature": 0, "num_predict": 40}), client.connect() as waiting:
        body = {"model": "llama2", "prompt": "x", "stream": False, "options": {"num_predict": 1}}
        waiting.sendall(client.request("POST", "/api/generate", body))
        waiting.settimeout(0.1)
        with pytest.raises(TimeoutError):
            waiting.recv(1)
        waiting.settimeout(5)
        answer = parse(waiting.makefile("rb").read()).json()
    assert answer["total_duration"] > 0.1e9


def test_with_more_slots_requests_run_side_by_side(start: Start) -> None:
    client = start({"tokens_per_second": 100}, OLLAMA_NUM_PARALLEL="4")
    prompt = long_prompt(start())
    say(client, prompt="warm", options={"num_predict": 1})
    began = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        options = {"temperature": 0, "num_predict": 40}
        list(pool.map(lambda _: say(client, prompt=prompt, options=options), range(4)))
    assert time.monotonic() - began < 1.2  # 0.4 s each, 1.6 s one after the other


def test_a_disconnect_aborts_the_generation(start: Start) -> None:
    client = start({"tokens_per_second": 5})
    prompt = long_prompt(start())
    stream(client, prompt).close()
    began = time.monotonic()
    assert say(client, prompt="next", options={"num_predict": 1})["done"]
    assert time.monotonic() - began < 2  # the whole answer would have taken more than ten
    assert "| 200 |" in client.server.log.read_text()


def test_a_cut_answer_is_carried_on_with_the_tokens_of_the_uncut_one(start: Start) -> None:
    client = start()
    prompt = long_prompt(client)
    for temperature in (0, 1):
        options = {"temperature": temperature, "seed": 7}
        uncut = say(client, prompt=prompt, raw=True, options=options)
        head = say(client, prompt=prompt, raw=True, options={**options, "num_predict": 3})
        tail = say(client, prompt=prompt + head["response"], raw=True, options=options)
        assert head["response"] + tail["response"] == uncut["response"]
        assert tail["prompt_eval_count"] == uncut["prompt_eval_count"] + 3


def test_a_conversation_whose_last_message_is_the_assistants_goes_on(start: Start) -> None:
    client = start()
    question = {"role": "user", "content": long_prompt(client)}

    def chat(*messages: dict[str, str], **options: object) -> str:
        body = {
            "model": "llama2",
            "messages": list(messages),
            "stream": False,
            "options": {"temperature": 0, **options},
        }
        return str(client.ask("/api/chat", **body).json()["message"]["content"])

    uncut = chat(question)
    head = chat(question, num_predict=4)
    assert head + chat(question, {"role": "assistant", "content": head}) == uncut
    v1 = client.ask("/v1/chat/completions", model="llama2", messages=[question], temperature=0).json()
    assert v1["choices"][0]["message"]["content"] == uncut


def test_a_short_name_and_its_latest_tag_are_one_model(start: Start) -> None:
    client = start()
    assert say(client, prompt="x", options={"num_predict": 1})["done"]
    assert client.ask("/api/generate", model="llama2:latest").json()["done_reason"] == "load"
    assert client.resident() == ["llama2:latest"]


def test_a_model_leaves_when_its_keep_alive_is_over(start: Start) -> None:
    client = start()
    client.ask("/api/generate", model="llama2", keep_alive="100ms")
    assert client.resident() == ["llama2:latest"]
    assert eventually(lambda: client.resident() == [])


def test_a_copy_shares_the_runner_of_its_original(start: Start) -> None:
    client = start({"load_seconds": 0.5})
    client.ask("/api/generate", model="llama2")
    assert client.ask("/api/copy", source="llama2", destination="twin").status == 200
    began = time.monotonic()
    assert client.ask("/api/generate", model="twin", prompt="x", options={"num_predict": 1}).status == 200
    assert time.monotonic() - began < 0.4


def test_a_kept_model_is_there_from_the_start(start: Start) -> None:
    client = start(ARRIERO_MODELS="mistral,llama2", OLLAMA_KEEP_ALIVE="-1")
    assert eventually(lambda: client.resident() == ["mistral:latest"])
    (model,) = client.send("GET", "/api/ps").json()["models"]
    assert model["expires_at"].startswith("2318-")


@pytest.mark.parametrize("path", ["/api/generate", "/v1/completions"])
def test_sigterm_cuts_streams_at_once_without_a_last_line(start: Start, path: str) -> None:
    client = start({"tokens_per_second": 20})
    prompt = long_prompt(start())
    with stream(client, prompt, path, stream=True, temperature=0) as connection:
        os.kill(client.server.pid, signal.SIGTERM)
        rest = connection.makefile("rb").read()
    assert client.server.wait(5) == 0
    assert b'"done":true' not in rest
    assert b"[DONE]" not in rest
    assert not rest.endswith(b"0\r\n\r\n")


def test_a_blob_that_was_put_can_be_made_a_model_and_survives_a_restart(start: Start) -> None:
    client = start()
    digest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert client.send("HEAD", f"/api/blobs/{digest}").status == 404
    assert client.send("POST", f"/api/blobs/{digest}", b"abc").status == 201
    assert client.send("HEAD", f"/api/blobs/{digest}").status == 200
    made = client.ask("/api/create", model="mine", files={"m.gguf": digest}, stream=False)
    assert made.json() == {"status": "success"}
    assert client.ask("/api/show", model="mine").status == 200


def test_embeddings_come_from_models_that_embed_and_have_length_one(start: Start) -> None:
    client = start(ARRIERO_MODELS="nomic-embed-text")
    found = client.ask("/api/embed", model="nomic-embed-text", input=["a", "b"]).json()
    lengths = [sum(value * value for value in vector) for vector in found["embeddings"]]
    assert lengths == pytest.approx([1, 1], abs=1e-6)
    legacy = client.ask("/api/embeddings", model="nomic-embed-text", prompt="a").json()
    assert legacy["embedding"] == found["embeddings"][0]
    v1 = client.ask("/v1/embeddings", model="nomic-embed-text", input="b").json()
    assert v1["data"][0]["embedding"] == found["embeddings"][1]


def test_the_other_dialects_stream_their_events_to_the_end(start: Start) -> None:
    client = start()
    message = [{"role": "user", "content": "hi"}]
    claude = client.ask("/v1/messages", model="llama2", max_tokens=5, messages=message, stream=True)
    kinds = [line[7:] for line in claude.body.decode().splitlines() if line.startswith("event: ")]
    assert (kinds[0], kinds[-1]) == ("message_start", "message_stop")
    newer = client.ask("/v1/responses", model="llama2", input="hi", max_output_tokens=5, stream=True)
    last = json.loads(newer.body.decode().strip().splitlines()[-1].removeprefix("data: "))
    assert (last["type"], last["response"]["usage"]["output_tokens"] > 0) == ("response.completed", True)
    missing = client.ask("/v1/messages", model="nope", max_tokens=5, messages=message)
    assert (missing.status, missing.json()["error"]["type"]) == (404, "not_found_error")


def test_a_connection_serves_many_requests_and_chunked_bodies(start: Start) -> None:
    client = start()
    with client.connect() as connection:
        reader = connection.makefile("rb")
        for _ in range(3):
            body = b'{"model":"llama2"}'
            chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            head = b"POST /api/show HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            connection.sendall(head + chunked + b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert reader.readline() == b"HTTP/1.1 200 OK\r\n"
            while (line := reader.readline()) != b"Ollama is running" and not line.startswith(b"Content-Length: 17"):
                assert line
            assert reader.readline() == b"\r\n"
            assert reader.read(17) == b"Ollama is running"


def test_a_wrong_profile_ends_the_server_with_a_sentence(start: Start) -> None:
    with pytest.raises(AssertionError, match="Error: ARRIERO_ENGINE_PROFILE: it has no speed"):
        start({"speed": 3})
