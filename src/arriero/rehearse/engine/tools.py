"""Calls of tools: a model that can (`tools` in its capabilities) calls the first tool it is offered, once a question.

When the conversation's last turn is a tool's answer, it says text as ever. The shapes are Ollama's own: arguments are
an object in its dialect and a JSON text in OpenAI's.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

from arriero.rehearse.engine.wire import encode

# So many tokens it takes to write a call; they are counted and paced, never shown.
CALL_TOKENS = 12


def call_for(request: Mapping[str, Any], prompt: str) -> dict[str, Any] | None:
    """The call that answers the request, in Ollama's own shape; None where text is due."""
    tools, messages = request.get("tools"), request.get("messages")
    if not tools or not messages or messages[-1].get("role") == "tool" or request.get("tool_choice") == "none":
        return None
    function = tools[0].get("function") or {}
    properties = (function.get("parameters") or {}).get("properties") or {}
    arguments = {str(name): _value(shape, prompt) for name, shape in properties.items()}
    identity = f"call_{zlib.crc32(prompt.encode()):08x}"
    return {"id": identity, "function": {"index": 0, "name": str(function.get("name", "")), "arguments": arguments}}


def as_openai(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call["function"]
    written = {"name": function["name"], "arguments": encode(function["arguments"]).decode()}
    return {"id": call["id"], "index": 0, "type": "function", "function": written}


def _value(shape: Mapping[str, Any], prompt: str) -> Any:
    """Something of the wanted type; a text is the prompt's last word."""
    if choices := shape.get("enum"):
        return choices[0]
    kinds = shape.get("type")
    kind = str(kinds[0] if isinstance(kinds, list) and kinds else kinds)
    found: Mapping[str, Any] = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}, "null": None}
    words = [word.strip("?.!\n") for word in prompt.rpartition("<|assistant|>")[0].split()]
    return found[kind] if kind in found else (words[-1] if words else "")
