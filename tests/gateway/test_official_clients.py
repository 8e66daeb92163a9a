"""The official Python clients of Ollama, OpenAI and Anthropic work against the gateway as they are.

On the built-in engine always; on a real Ollama too where ARRIERO_OLLAMA names one (its model is a tiny one with random
weights, so what needs sense is asked of the engine alone).
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import anthropic
import ollama
import openai
import pytest
from gateway_process import gateway_process

from arriero.control.messages import TargetEntry
from arriero.rehearse.processes import Processes, ServerSpec

ROOT = Path(__file__).parents[2]
GREETING = [{"role": "user", "content": "hello world"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "the weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
PROFILE = {
    "load_seconds": 0.05,
    "first_token_seconds": 0.002,
    "tokens_per_second": 500,
    "models": {"llama2": {"capabilities": ["completion", "tools", "thinking"]}},
}


@dataclass(frozen=True)
class Place:
    """A gateway before one server; `embeds` is the model to embed with."""

    url: str
    is_real: bool
    embeds: str

    @property
    def native(self) -> ollama.Client:
        return ollama.Client(self.url)

    @property
    def openai(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="any", max_retries=0)

    @property
    def anthropic(self) -> anthropic.Anthropic:
        return anthropic.Anthropic(base_url=self.url, api_key="any", max_retries=0)


@pytest.fixture(scope="module", params=["engine", "ollama"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    is_real, program = request.param == "ollama", os.environ.get("ARRIERO_OLLAMA")
    if is_real and not program:
        pytest.skip("ARRIERO_OLLAMA names no Ollama")
    folder = tmp_path_factory.mktemp("clients")
    environment = {"PATH": "/nowhere", **({"ARRIERO_OLLAMA": str(program)} if is_real else {})}
    own = {"ARRIERO_ENGINE_PROFILE": json.dumps(PROFILE), "ARRIERO_MODELS": "llama2,nomic-embed-text"}
    processes = Processes(folder, environment)
    try:
        server = processes.start(ServerSpec("one", "ollama", "aws", "r", "i", (), own))
        while not server.is_answering():
            assert server.poll() is None, server.log.read_text()
        if is_real:
            make_model(f"{server.address}:11434", folder)
        entry = TargetEntry("one", "here", f"{server.address}:11434")
        with gateway_process(folder, [entry]) as url:
            yield Place(url, is_real, "llama2" if is_real else "nomic-embed-text")
    finally:
        processes.close()


def make_model(address: str, folder: Path) -> None:
    """Gives a real server the model `llama2`; the client writes to it directly, since the gateway lets nobody write."""
    file = folder / "tiny.gguf"
    subprocess.run([sys.executable, str(ROOT / "benchmarks/tiny_gguf.py"), str(file)], check=True)
    client = ollama.Client(f"http://{address}")
    client.create("llama2", files={"tiny.gguf": client.create_blob(file)}, parameters={"num_thread": 1})


def test_ollama_streams_what_it_says_at_once(place: Place) -> None:
    options = {"temperature": 0, "num_predict": 12}
    whole = place.native.chat("llama2", GREETING, options=options)
    parts = list(place.native.chat("llama2", GREETING, options=options, stream=True))
    assert len(parts) > 3
    assert "".join(part.message.content or "" for part in parts) == whole.message.content
    assert (parts[-1].done, parts[-1].done_reason) == (True, "length")
    assert parts[-1].eval_count == whole.eval_count == 12
    said = list(place.native.generate("llama2", "hello world", options=options, stream=True))
    assert said[-1].done
    assert place.native.generate("llama2", "hello world", options=options).response == "".join(
        part.response for part in said
    )


def test_ollama_lists_shows_and_tells_what_is_loaded(place: Place) -> None:
    place.native.generate("llama2", "", keep_alive="5m")
    assert "llama2:latest" in [model.model for model in place.native.list().models]
    deadline = time.monotonic() + 5
    while "llama2:latest" not in [model.model for model in place.native.ps().models]:
        assert time.monotonic() < deadline  # what is loaded is known by the next probe
    shown = place.native.show("llama2")
    assert shown.details
    assert shown.details.family == "llama"
    assert "completion" in (shown.capabilities or ["completion"])


def test_ollama_embeds(place: Place) -> None:
    vectors = place.native.embed(place.embeds, ["mule", "road"]).embeddings
    assert len(vectors) == 2
    assert sum(value * value for value in vectors[0]) == pytest.approx(1, abs=0.01)
    assert place.native.embeddings(place.embeds, "mule").embedding


def test_ollama_calls_tools(place: Place) -> None:
    if place.is_real:
        with pytest.raises(ollama.ResponseError, match="does not support tools"):
            place.native.chat("llama2", GREETING, tools=[WEATHER])
        return
    asked = [{"role": "user", "content": "What is the weather in Lima?"}]
    for stream in (False, True):
        found = place.native.chat("llama2", asked, tools=[WEATHER], stream=stream)  # type: ignore[call-overload]
        messages = [part.message for part in (found if stream else [found])]
        (call,) = [call for message in messages for call in message.tool_calls or ()]
        assert (call.function.name, call.function.arguments) == ("weather", {"city": "Lima"})
    answer = {"role": "tool", "tool_name": "weather", "content": "dry"}
    told = place.native.chat("llama2", [*asked, messages[0], answer], tools=[WEATHER])
    assert told.message.content
    assert not told.message.tool_calls


def test_ollama_thinks_before_it_answers(place: Place) -> None:
    if place.is_real:
        pytest.skip("the tiny model can't think")
    options = {"temperature": 0, "num_predict": 20}
    whole = place.native.chat("llama2", GREETING, think=True, options=options)
    parts = list(place.native.chat("llama2", GREETING, think=True, options=options, stream=True))
    assert whole.message.thinking
    assert whole.message.content
    assert "".join(part.message.thinking or "" for part in parts) == whole.message.thinking
    assert "".join(part.message.content or "" for part in parts) == whole.message.content


def test_ollama_is_told_its_mistakes(place: Place) -> None:
    with pytest.raises(ollama.ResponseError, match="model 'nobody' not found") as caught:
        place.native.chat("nobody", GREETING)
    assert caught.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="not found"):
        list(place.native.chat("nobody", GREETING, stream=True))
    with pytest.raises(ollama.ResponseError, match="the models of this service are fixed") as caught:
        place.native.pull("mistral")
    assert caught.value.status_code == 403


def test_the_asynchronous_client_streams_side_by_side_and_may_leave(place: Place) -> None:
    async def one(client: ollama.AsyncClient, count: int) -> int:
        stream = await client.chat("llama2", GREETING, options={"num_predict": count, "temperature": 0}, stream=True)
        return len([part async for part in stream])

    async def story() -> None:
        client = ollama.AsyncClient(place.url)
        assert await asyncio.gather(*(one(client, 8) for _ in range(6))) == [9] * 6
        async for part in await client.chat("llama2", GREETING, stream=True):
            assert part.message.content
            break  # the rest is never read
        assert await one(client, 3) == 4

    asyncio.run(story())


def test_openai_completes_and_streams(place: Place) -> None:
    asked = {"model": "llama2", "messages": GREETING, "temperature": 0, "max_tokens": 12}
    whole = place.openai.chat.completions.create(**asked)  # type: ignore[call-overload]
    assert whole.choices[0].finish_reason == "length"
    assert whole.usage.completion_tokens == 12
    with place.openai.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}) as stream:  # type: ignore[call-overload]
        chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage.completion_tokens == 12
    plain = place.openai.completions.create(model="llama2", prompt="hello", max_tokens=4, temperature=0)
    assert plain.choices[0].text


def test_openai_lists_and_embeds(place: Place) -> None:
    assert "llama2:latest" in [model.id for model in place.openai.models.list()]
    assert place.openai.models.retrieve("llama2").owned_by
    found = place.openai.embeddings.create(model=place.embeds, input=["mule", "road"])
    assert [len(row.embedding) > 10 for row in found.data] == [True, True]


def test_openai_calls_tools(place: Place) -> None:
    if place.is_real:
        with pytest.raises(openai.BadRequestError, match="does not support tools"):
            place.openai.chat.completions.create(model="llama2", messages=GREETING, tools=[WEATHER])  # type: ignore[arg-type]
        return
    asked = {
        "model": "llama2",
        "messages": [{"role": "user", "content": "What is the weather in Lima?"}],
        "tools": [WEATHER],
    }
    whole = place.openai.chat.completions.create(**asked)  # type: ignore[call-overload]
    (call,) = whole.choices[0].message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Lima"})
    assert whole.choices[0].finish_reason == "tool_calls"
    chunks = list(place.openai.chat.completions.create(**asked, stream=True))  # type: ignore[call-overload]
    calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
    assert [call.function.name for call in calls] == ["weather"]
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_openai_is_told_its_mistakes(place: Place) -> None:
    with pytest.raises(openai.NotFoundError, match="model 'nobody' not found"):
        place.openai.chat.completions.create(model="nobody", messages=GREETING)  # type: ignore[arg-type]
    with pytest.raises(openai.NotFoundError):
        place.openai.models.retrieve("nobody")
    with pytest.raises(openai.BadRequestError):
        place.openai.chat.completions.create(model="llama2", messages=[])


def needs_messages(place: Place) -> None:
    """Ollama speaks Anthropic's dialect since 0.14; an older one is told of in that dialect."""
    if place.is_real and place.native._client.get("/api/version").json()["version"] < "0.14":
        pytest.skip("this Ollama has no /v1/messages")


def test_anthropic_answers_and_streams(place: Place) -> None:
    needs_messages(place)
    asked = {"model": "llama2", "messages": GREETING, "max_tokens": 12, "extra_body": {"temperature": 0.0}}
    whole = place.anthropic.messages.create(**asked)  # type: ignore[call-overload]
    assert (whole.type, whole.role, whole.stop_reason) == ("message", "assistant", "max_tokens")
    assert whole.usage.output_tokens == 12
    with place.anthropic.messages.stream(**asked) as stream:  # type: ignore[arg-type]
        parts = list(stream.text_stream)
        final = stream.get_final_message()
    assert len(parts) > 3
    assert "".join(parts) == final.content[0].text == whole.content[0].text
    assert (final.stop_reason, final.usage.output_tokens) == ("max_tokens", 12)


def test_anthropic_calls_tools(place: Place) -> None:
    needs_messages(place)
    if place.is_real:
        pytest.skip("the tiny model has no tools")
    tool = {"name": "weather", "input_schema": WEATHER["function"]["parameters"]}  # type: ignore[index]
    turns = [{"role": "user", "content": "What is the weather in Lima?"}]
    asked = {"model": "llama2", "max_tokens": 50, "tools": [tool]}
    whole = place.anthropic.messages.create(**asked, messages=turns)  # type: ignore[call-overload]
    with place.anthropic.messages.stream(**asked, messages=turns) as stream:  # type: ignore[arg-type]
        streamed = stream.get_final_message()
    for message in (whole, streamed):
        (call,) = message.content
        assert (message.stop_reason, call.type, call.name, call.input) == (
            "tool_use", "tool_use", "weather", {"city": "Lima"},
        )  # fmt: skip
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "dry"}
    turns += [{"role": "assistant", "content": whole.content}, {"role": "user", "content": [result]}]
    told = place.anthropic.messages.create(**asked, messages=turns)  # type: ignore[call-overload]
    assert told.content[0].text


def test_anthropic_is_told_its_mistakes(place: Place) -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        place.anthropic.messages.create(model="nobody", messages=GREETING, max_tokens=5)  # type: ignore[arg-type]
    message = caught.value.body["error"]["message"]  # type: ignore[index]
    assert caught.value.body == {"type": "error", "error": {"type": "not_found_error", "message": message}}
    assert message == "model 'nobody' not found"


def test_where_no_target_knows_its_dialect_anthropics_client_is_told_so(place: Place) -> None:
    if not place.is_real:
        pytest.skip("the engine knows it")
    if place.native._client.get("/api/version").json()["version"] >= "0.14":
        pytest.skip("this Ollama knows it")
    with pytest.raises(
        anthropic.NotFoundError, match="no target's Ollama knows /v1/messages: it needs a newer version"
    ):
        place.anthropic.messages.create(model="llama2", messages=GREETING, max_tokens=5)  # type: ignore[arg-type]
