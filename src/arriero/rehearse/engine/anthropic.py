"""`/v1/messages`: Anthropic's dialect. The whole answer is as recorded; the stream and calls of tools follow its
documented events.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from arriero.rehearse.engine.decode import Failure, decode
from arriero.rehearse.engine.desk import Desk
from arriero.rehearse.engine.generation import Answer, Asked
from arriero.rehearse.engine.http import Exchange
from arriero.rehearse.engine.native import conversation
from arriero.rehearse.engine.openai import EVENTS, PLAIN_JSON, options_of, plain_content, send_line
from arriero.rehearse.engine.tools import CALL_TOKENS, call_for
from arriero.rehearse.engine.wire import encode

_REASONS = {"length": "max_tokens", "stop": "end_turn"}
_TYPES = {400: "invalid_request_error", 404: "not_found_error", 503: "overloaded_error"}


async def messages(desk: Desk, exchange: Exchange) -> None:
    request = decode(exchange.request.body, "MessagesRequest")
    model = desk.find(request.get("model") or "")
    if not request.get("messages"):
        raise Failure(400, "messages is required")
    system = plain_content(request.get("system"))
    turns = [{"role": "system", "content": system}] if system else []
    turns += [{**one, "content": plain_content(one.get("content"))} for one in request["messages"]]
    stops = {"stop": request["stop_sequences"]} if request.get("stop_sequences") else {}
    options = desk.options(model, {**options_of(request), **stops})
    if request.get("tools") and "tools" not in model.capabilities:
        raise Failure(400, f"registry.ollama.ai/library/{model.name} does not support tools")
    prompt, identity = conversation(model, turns), f"msg_{os.urandom(12).hex()}"
    if call := call_for(_as_functions(request), prompt):
        asked = Asked(model, prompt, {**options, "num_predict": CALL_TOKENS})
        async with desk.answering(asked, desk.settings.keep_alive) as answer:
            await _send_call(desk, exchange, request, answer, identity, call)
        return
    asked = Asked(model, prompt, options)
    async with desk.answering(asked, desk.settings.keep_alive) as answer:
        if request.get("stream"):
            await _stream(desk, exchange, request, answer, identity)
            return
        content = "".join([part async for part in desk.tokens(answer)])
        body = _message(identity, request, [{"type": "text", "text": content}])
        body |= {"stop_reason": _REASONS[answer.done_reason], "usage": _usage(answer)}
        await send_line(exchange, body)


async def send_failure(exchange: Exchange, failure: Failure) -> None:
    kind = _TYPES.get(failure.status, "api_error")
    body = {"type": "error", "error": {"type": kind, "message": failure.message}}
    await exchange.send(failure.status, encode(body) + b"\n", PLAIN_JSON)


async def _stream(desk: Desk, exchange: Exchange, request: Mapping[str, Any], answer: Answer, identity: str) -> None:
    start = {**_message(identity, request, []), "usage": {"input_tokens": answer.prompt_count, "output_tokens": 0}}
    block = {"index": 0, "content_block": {"type": "text", "text": ""}}
    opening = _event("message_start", {"message": start}) + _event("content_block_start", block)
    exchange.begin(200, EVENTS)
    async for part in desk.tokens(answer):
        delta = {"index": 0, "delta": {"type": "text_delta", "text": part}}
        await exchange.write(opening + _event("content_block_delta", delta))
        opening = b""
    reason = {"delta": {"stop_reason": _REASONS[answer.done_reason]}, "usage": _usage(answer)}
    closing = _event("content_block_stop", {"index": 0}) + _event("message_delta", reason)
    await exchange.write(opening + closing + _event("message_stop", {}))
    await exchange.end()


async def _send_call(
    desk: Desk, exchange: Exchange, request: Mapping[str, Any], answer: Answer, identity: str, call: Mapping[str, Any]
) -> None:
    """Told as one block, at its end: who calls a tool says nothing while it writes the call."""
    async for _ in desk.tokens(answer):
        pass
    function = call["function"]
    block = {"type": "tool_use", "id": call["id"], "name": function["name"], "input": function["arguments"]}
    end = {"stop_reason": "tool_use"}
    if not request.get("stream"):
        await send_line(exchange, {**_message(identity, request, [block]), **end, "usage": _usage(answer)})
        return
    start = {**_message(identity, request, []), "usage": {"input_tokens": answer.prompt_count, "output_tokens": 0}}
    delta = {"type": "input_json_delta", "partial_json": json.dumps(function["arguments"])}
    exchange.begin(200, EVENTS)
    for kind, body in (
        ("message_start", {"message": start}),
        ("content_block_start", {"index": 0, "content_block": {**block, "input": {}}}),
        ("content_block_delta", {"index": 0, "delta": delta}),
        ("content_block_stop", {"index": 0}),
        ("message_delta", {"delta": end, "usage": _usage(answer)}),
        ("message_stop", {}),
    ):
        await exchange.write(_event(kind, body))
    await exchange.end()


def _as_functions(request: Mapping[str, Any]) -> dict[str, Any]:
    """The tools and the last turn in the words of OpenAI's dialect."""
    tools = [
        {"function": {"name": tool.get("name"), "parameters": tool.get("input_schema")}}
        for tool in request.get("tools") or ()
        if isinstance(tool, dict)
    ]
    content = request["messages"][-1].get("content")
    parts = content if isinstance(content, list) else []
    is_result = any(isinstance(part, dict) and part.get("type") == "tool_result" for part in parts)
    is_none = (request.get("tool_choice") or {}).get("type") == "none"
    turns = [{"role": "tool" if is_result else "user"}]
    return {"tools": tools, "messages": turns, "tool_choice": "none" if is_none else None}


def _message(identity: str, request: Mapping[str, Any], content: list[dict[str, Any]]) -> dict[str, Any]:
    fixed = {"id": identity, "type": "message", "role": "assistant"}
    return {**fixed, "model": request["model"], "content": content}


def _usage(answer: Answer) -> dict[str, int]:
    return {"input_tokens": answer.prompt_count, "output_tokens": len(answer.tokens)}


def _event(kind: str, body: Mapping[str, Any]) -> bytes:
    return f"event: {kind}\ndata: ".encode() + encode({"type": kind, **body}) + b"\n\n"
