"""`/v1/responses`: OpenAI's newer dialect. The whole answer is as recorded, the stream as documented."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from arriero.rehearse.engine.decode import decode
from arriero.rehearse.engine.desk import Desk
from arriero.rehearse.engine.generation import Answer, Asked
from arriero.rehearse.engine.http import Exchange
from arriero.rehearse.engine.native import conversation
from arriero.rehearse.engine.openai import EVENTS, options_of, plain_content, send_line
from arriero.rehearse.engine.wire import encode


async def respond(desk: Desk, exchange: Exchange) -> None:
    request = decode(exchange.request.body, "ResponsesRequest")
    model = desk.find(request.get("model") or "")
    limit = {"max_tokens": request.get("max_output_tokens")}
    options = desk.options(model, options_of({**request, **limit}))
    asked = Asked(model, conversation(model, _turns(request)), options)
    numbers = int.from_bytes(os.urandom(4)) % 1_000_000, int.from_bytes(os.urandom(4)) % 1_000_000
    async with desk.answering(asked, desk.settings.keep_alive) as answer:
        if request.get("stream"):
            await _stream(desk, exchange, request, answer, numbers)
            return
        content = "".join([part async for part in desk.tokens(answer)])
        await send_line(exchange, _whole(request, answer, numbers, content))


def _turns(request: Mapping[str, Any]) -> list[dict[str, str]]:
    instructions = request.get("instructions")
    turns = [{"role": "system", "content": str(instructions)}] if instructions else []
    asked = request.get("input")
    if not isinstance(asked, list):
        return [*turns, {"role": "user", "content": str(asked or "")}]
    rows = [one for one in asked if isinstance(one, dict)]
    return turns + [{"role": str(r.get("role", "user")), "content": plain_content(r.get("content"))} for r in rows]


async def _stream(
    desk: Desk, exchange: Exchange, request: Mapping[str, Any], answer: Answer, numbers: tuple[int, int]
) -> None:
    begun = {**_whole(request, answer, numbers, ""), "status": "in_progress", "completed_at": None, "output": []}
    item = {"item_id": f"msg_{numbers[1]}", "output_index": 0, "content_index": 0}
    events = _Events()
    opening = events("response.created", response=begun) + events("response.in_progress", response=begun)
    exchange.begin(200, EVENTS)
    content = ""
    async for part in desk.tokens(answer):
        content += part
        await exchange.write(opening + events("response.output_text.delta", **item, delta=part))
        opening = b""
    done = events("response.output_text.done", **item, text=content)
    await exchange.write(
        opening + done + events("response.completed", response=_whole(request, answer, numbers, content))
    )
    await exchange.end()


class _Events:
    """Server-sent events, numbered."""

    def __init__(self) -> None:
        self._next = 0

    def __call__(self, kind: str, **body: Any) -> bytes:
        numbered = {"type": kind, "sequence_number": self._next, **body}
        self._next += 1
        return f"event: {kind}\ndata: ".encode() + encode(numbered) + b"\n\n"


def _whole(request: Mapping[str, Any], answer: Answer, numbers: tuple[int, int], content: str) -> dict[str, Any]:
    now = int(time.time())
    part = {"type": "output_text", "text": content, "annotations": [], "logprobs": []}
    message = {"id": f"msg_{numbers[1]}", "type": "message", "status": "completed", "role": "assistant"}
    return {
        "id": f"resp_{numbers[0]}",
        "object": "response",
        "created_at": now,
        "completed_at": now,
        "status": "completed",
        "incomplete_details": None,
        "model": request["model"],
        "previous_response_id": None,
        "instructions": request.get("instructions"),
        "output": [{**message, "content": [part]}],
        "error": None,
        "tools": [],
        "tool_choice": "auto",
        "truncation": "disabled",
        "parallel_tool_calls": True,
        "text": {"format": {"type": "text"}},
        "top_p": request.get("top_p") or 1,
        "presence_penalty": 0,
        "frequency_penalty": 0,
        "top_logprobs": 0,
        "temperature": 1 if request.get("temperature") is None else request["temperature"],
        "reasoning": None,
        "usage": _usage(answer),
        "max_output_tokens": request.get("max_output_tokens"),
        "max_tool_calls": None,
        "store": False,
        "background": False,
        "service_tier": "default",
        "metadata": {},
        "safety_identifier": None,
        "prompt_cache_key": None,
    }


def _usage(answer: Answer) -> dict[str, Any]:
    prompt, said = answer.prompt_count, len(answer.tokens)
    counts: dict[str, Any] = {"input_tokens": prompt, "output_tokens": said, "total_tokens": prompt + said}
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    return counts | details
