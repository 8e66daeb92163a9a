"""`/v1/messages`: Anthropic's dialect. The whole answer is as recorded; the stream follows its documented events."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from arriero.rehearse.engine.decode import Failure, decode
from arriero.rehearse.engine.desk import Desk
from arriero.rehearse.engine.generation import Answer, Asked
from arriero.rehearse.engine.http import Exchange
from arriero.rehearse.engine.native import conversation
from arriero.rehearse.engine.openai import EVENTS, PLAIN_JSON, options_of, plain_content, send_line
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
    asked = Asked(model, conversation(model, turns), options)
    identity = f"msg_{os.urandom(12).hex()}"
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


def _message(identity: str, request: Mapping[str, Any], content: list[dict[str, str]]) -> dict[str, Any]:
    fixed = {"id": identity, "type": "message", "role": "assistant"}
    return {**fixed, "model": request["model"], "content": content}


def _usage(answer: Answer) -> dict[str, int]:
    return {"input_tokens": answer.prompt_count, "output_tokens": len(answer.tokens)}


def _event(kind: str, body: Mapping[str, Any]) -> bytes:
    return f"event: {kind}\ndata: ".encode() + encode({"type": kind, **body}) + b"\n\n"
