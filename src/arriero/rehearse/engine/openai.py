"""`/v1/chat/completions`, `/v1/completions`, `/v1/embeddings` and `/v1/models`: OpenAI's dialect, as Ollama has it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from arriero.rehearse.engine import text
from arriero.rehearse.engine.decode import Failure, Malformed, decode, properties_of
from arriero.rehearse.engine.desk import Desk
from arriero.rehearse.engine.generation import Answer, Asked
from arriero.rehearse.engine.http import Exchange
from arriero.rehearse.engine.native import conversation, embeddings, logprobs
from arriero.rehearse.engine.tools import CALL_TOKENS, as_openai, call_for
from arriero.rehearse.engine.wire import encode

PLAIN_JSON = "application/json"
EVENTS = "text/event-stream"

_TYPES = {400: "invalid_request_error", 404: "not_found_error"}
_OPTIONS = {
    "max_tokens": "num_predict",
    "max_completion_tokens": "num_predict",
    "seed": "seed",
    "temperature": "temperature",
    "top_p": "top_p",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}


async def chat_completions(desk: Desk, exchange: Exchange) -> None:
    request = decode(exchange.request.body, "ChatCompletionRequest")
    if not request.get("messages"):
        raise Malformed("[] is too short - 'messages'")
    model = desk.find(request.get("model") or "")
    messages = [{**one, "content": plain_content(one.get("content"))} for one in request["messages"]]
    if request.get("tools") and "tools" not in model.capabilities:
        raise Failure(400, f"registry.ollama.ai/library/{model.name} does not support tools")
    options = desk.options(model, options_of(request))
    form = _form(request.get("response_format"))
    prompt = conversation(model, messages)
    head = _head("chatcmpl", "chat.completion")
    if call := call_for(request, prompt):
        asked = Asked(model, prompt, {**options, "num_predict": CALL_TOKENS})
        async with desk.answering(asked, desk.settings.keep_alive) as answer:
            await _send_call(desk, exchange, request, answer, head, as_openai(call))
        return
    asked = Asked(model, prompt, options, properties=properties_of(form))
    async with desk.answering(asked, desk.settings.keep_alive) as answer:
        if request.get("stream"):
            await _stream_chat(desk, exchange, request, answer, head)
        else:
            await _send_chat(desk, exchange, request, answer, head)


async def completions(desk: Desk, exchange: Exchange) -> None:
    request = decode(exchange.request.body, "CompletionRequest")
    model = desk.find(request.get("model") or "")
    system = [("system", model.system)] if model.system else []
    prompt = text.render([*system, ("user", str(request.get("prompt") or ""))])
    asked = Asked(model, prompt, desk.options(model, options_of(request)))
    head = _head("cmpl", "text_completion")
    async with desk.answering(asked, desk.settings.keep_alive) as answer:
        if request.get("stream"):
            await _stream_completion(desk, exchange, request, answer, head)
            return
        content = "".join([part async for part in desk.tokens(answer)])
        choice = {"text": content, "index": 0, "finish_reason": answer.done_reason}
        await send_line(exchange, {**head, **_who(request), "choices": [choice], "usage": usage(answer)})


async def embed(desk: Desk, exchange: Exchange) -> None:
    request = decode(exchange.request.body, "EmbedRequest")
    model = desk.find(request.get("model") or "")
    found = request.get("input")
    inputs = [found] if isinstance(found, str) else [str(one) for one in found or []]
    vectors = await embeddings(desk, model, inputs, desk.options(model, {}), desk.settings.keep_alive)
    rows = [{"object": "embedding", "embedding": vector, "index": place} for place, vector in enumerate(vectors)]
    count = sum(len(text.pieces(one)) for one in inputs)
    counts = {"prompt_tokens": count, "total_tokens": count}
    await send_line(exchange, {"object": "list", "data": rows, "model": request["model"], "usage": counts})


async def models(desk: Desk, exchange: Exchange) -> None:
    rows = [_model_row(model.name, model.modified_at) for model in desk.store.newest_first()]
    await send_line(exchange, {"object": "list", "data": rows})


async def model(desk: Desk, exchange: Exchange) -> None:
    name = exchange.request.path.removeprefix("/v1/models/")
    found = desk.find(name)
    await send_line(exchange, _model_row(name, found.modified_at))


async def send_failure(exchange: Exchange, failure: Failure) -> None:
    """Mistakes that its front door finds go out by another way than Ollama's own: other type, no last newline."""
    kind = _TYPES.get(failure.status, "api_error")
    body = {"error": {"message": failure.message, "type": kind, "param": None, "code": None}}
    if isinstance(failure, Malformed):
        await exchange.send(failure.status, encode(body), "application/json; charset=utf-8")
    else:
        await exchange.send(failure.status, encode(body) + b"\n", PLAIN_JSON)


async def send_line(exchange: Exchange, body: Mapping[str, Any]) -> None:
    await exchange.send(200, encode(body) + b"\n", PLAIN_JSON)


def usage(answer: Answer) -> dict[str, int]:
    prompt, said = answer.prompt_count, len(answer.tokens)
    return {"prompt_tokens": prompt, "completion_tokens": said, "total_tokens": prompt + said}


def options_of(request: Mapping[str, Any]) -> dict[str, Any]:
    """OpenAI's parameters as Ollama's options; temperature and top_p are 1 where nothing is said."""
    found = {ours: request[theirs] for theirs, ours in _OPTIONS.items() if request.get(theirs) is not None}
    stop = request.get("stop")
    if stop:
        found["stop"] = [stop] if isinstance(stop, str) else stop
    return {"temperature": 1.0, "top_p": 1.0, **found}


def plain_content(content: Any) -> str:
    """Text, be it said plainly or in parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content or "")


def number() -> int:
    return int.from_bytes(os.urandom(4)) % 1000


async def _send_chat(
    desk: Desk, exchange: Exchange, request: Mapping[str, Any], answer: Answer, head: Mapping[str, Any]
) -> None:
    content = "".join([part async for part in desk.tokens(answer)])
    message = {"role": "assistant", "content": content}
    choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": answer.done_reason}
    if request.get("logprobs"):
        choice["logprobs"] = {"content": logprobs(int(request.get("top_logprobs") or 0), answer.tokens)}
    await send_line(exchange, {**head, **_who(request), "choices": [choice], "usage": usage(answer)})


async def _send_call(
    desk: Desk,
    exchange: Exchange,
    request: Mapping[str, Any],
    answer: Answer,
    head: Mapping[str, Any],
    call: Mapping[str, Any],
) -> None:
    async for _ in desk.tokens(answer):
        pass
    message = {"role": "assistant", "content": "", "tool_calls": [call]}
    if not request.get("stream"):
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        await send_line(exchange, {**head, **_who(request), "choices": [choice], "usage": usage(answer)})
        return
    frame = {**head, "object": "chat.completion.chunk", **_who(request)}
    exchange.begin(200, EVENTS)
    await exchange.write(_event({**frame, "choices": [_delta(message)]}))
    closing = _event({**frame, "choices": [{**_delta({}), "finish_reason": "tool_calls"}]})
    if _wants_usage(request):
        closing += _event({**frame, "choices": [], "usage": usage(answer)})
    await exchange.write(closing + b"data: [DONE]\n\n")
    await exchange.end()


async def _stream_chat(
    desk: Desk, exchange: Exchange, request: Mapping[str, Any], answer: Answer, head: Mapping[str, Any]
) -> None:
    frame = {**head, "object": "chat.completion.chunk", **_who(request)}
    exchange.begin(200, EVENTS)
    role = {"role": "assistant"}
    async for part in desk.tokens(answer):
        await exchange.write(_event({**frame, "choices": [_delta({**role, "content": part})]}))
        role = {}
    closing = _event({**frame, "choices": [{**_delta({}), "finish_reason": answer.done_reason}]})
    if _wants_usage(request):
        closing += _event({**frame, "choices": [], "usage": usage(answer)})
    await exchange.write(closing + b"data: [DONE]\n\n")
    await exchange.end()


async def _stream_completion(
    desk: Desk, exchange: Exchange, request: Mapping[str, Any], answer: Answer, head: Mapping[str, Any]
) -> None:
    nothing = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    counted = {"usage": nothing} if _wants_usage(request) else {}

    def record(choices: list[dict[str, Any]], counts: Mapping[str, Any]) -> bytes:
        return _event({**head, "choices": choices, **_who(request), **counts})

    exchange.begin(200, EVENTS)
    async for part in desk.tokens(answer):
        await exchange.write(record([{"text": part, "index": 0, "finish_reason": None}], counted))
    closing = record([{"text": "", "index": 0, "finish_reason": answer.done_reason}], counted)
    if counted:
        closing += record([], {"usage": usage(answer)})
    await exchange.write(closing + b"data: [DONE]\n\n")
    await exchange.end()


def _event(body: Mapping[str, Any]) -> bytes:
    return b"data: " + encode(body) + b"\n\n"


def _delta(content: Mapping[str, Any]) -> dict[str, Any]:
    return {"index": 0, "delta": content, "finish_reason": None}


def _head(prefix: str, kind: str) -> dict[str, Any]:
    return {"id": f"{prefix}-{number()}", "object": kind, "created": int(time.time())}


def _who(request: Mapping[str, Any]) -> dict[str, Any]:
    return {"model": request["model"], "system_fingerprint": "fp_ollama"}


def _wants_usage(request: Mapping[str, Any]) -> bool:
    return bool((request.get("stream_options") or {}).get("include_usage"))


def _model_row(name: str, modified_at: float) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": int(modified_at), "owned_by": "library"}


def _form(response_format: Any) -> Any:
    kind = response_format.get("type") if isinstance(response_format, dict) else None
    if kind == "json_object":
        return "json"
    return response_format["json_schema"].get("schema") if kind == "json_schema" else None
