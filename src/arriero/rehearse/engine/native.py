"""`/api/generate`, `/api/chat`, `/api/embed` and `/api/embeddings`: Ollama's own dialect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from arriero.rehearse.engine import text
from arriero.rehearse.engine.decode import Failure, decode, keep_alive_of, properties_of
from arriero.rehearse.engine.desk import Desk
from arriero.rehearse.engine.generation import Answer, Asked
from arriero.rehearse.engine.http import Exchange
from arriero.rehearse.engine.store import Model
from arriero.rehearse.engine.tools import CALL_TOKENS, call_for
from arriero.rehearse.engine.wire import encode, stamp

JSON = "application/json; charset=utf-8"
NDJSON = "application/x-ndjson"
_NO_EMBEDDINGS = "This server does not support embeddings. Start it with `--embeddings`"
# So many tokens a model thinks before it answers, where it can and is asked to.
THOUGHTS = 8

Said = Callable[[str], dict[str, Any]]


async def generate(desk: Desk, exchange: Exchange) -> None:
    request = decode(exchange.request.body, "GenerateRequest")
    keep_alive = keep_alive_of(request, desk.settings.keep_alive)
    model = desk.find(request.get("model") or "")
    said: Said = lambda content: {"response": content}  # noqa: E731
    if not request.get("prompt"):
        await _load_or_unload(desk, exchange, request, model, keep_alive, said)
        return
    _need(model, request, "generate")
    options = desk.options(model, request.get("options"))
    before = tuple(request.get("context") or ())
    asked = Asked(model, _prompt(model, request), options, before, properties_of(request.get("format")))
    await _answer(desk, exchange, request, asked, keep_alive, said)


async def chat(desk: Desk, exchange: Exchange) -> None:
    request = decode(exchange.request.body, "ChatRequest")
    keep_alive = keep_alive_of(request, desk.settings.keep_alive)
    model = desk.find(request.get("model") or "")
    said: Said = lambda content: {"message": {"role": "assistant", "content": content}}  # noqa: E731
    if not request.get("messages"):
        await _load_or_unload(desk, exchange, request, model, keep_alive, said)
        return
    _need(model, request, "chat")
    options = desk.options(model, request.get("options"))
    prompt = conversation(model, request["messages"])
    if call := call_for(request, prompt):
        asked = Asked(model, prompt, {**options, "num_predict": CALL_TOKENS})
        await _answer_call(desk, exchange, request, asked, keep_alive, call)
        return
    asked = Asked(model, prompt, options, properties=properties_of(request.get("format")))
    await _answer(desk, exchange, request, asked, keep_alive, said)


async def embed(desk: Desk, exchange: Exchange) -> None:
    request = decode(exchange.request.body, "EmbedRequest")
    keep_alive = keep_alive_of(request, desk.settings.keep_alive)
    name = request.get("model") or ""
    model = desk.store.find(name)
    if model is None:
        raise Failure(404, f'model "{name}" not found, try pulling it first')
    found = request.get("input")
    inputs = [found] if isinstance(found, str) else [str(one) for one in found or []]
    options = desk.options(model, request.get("options"))
    vectors = await embeddings(desk, model, inputs, options, keep_alive, request.get("truncate") is not False)
    counted = sum(len(text.pieces(one)) for one in inputs)
    body: dict[str, Any] = {"model": name, "embeddings": vectors}
    if vectors:
        body |= {"total_duration": 1_000_000, "load_duration": 500_000, "prompt_eval_count": counted}
    await exchange.send(200, encode(body), JSON)


async def embeddings_legacy(desk: Desk, exchange: Exchange) -> None:
    request = decode(exchange.request.body, "EmbeddingRequest")
    keep_alive = keep_alive_of(request, desk.settings.keep_alive)
    model = desk.find(request.get("model") or "")
    options = desk.options(model, request.get("options"))
    try:
        vectors = await embeddings(desk, model, [request.get("prompt") or ""], options, keep_alive)
    except Failure as failure:
        raise Failure(500, failure.message) from failure
    await exchange.send(200, encode({"embedding": vectors[0]}), JSON)


async def embeddings(
    desk: Desk, model: Model, inputs: list[str], options: Mapping[str, Any], keep_alive: float, truncates: bool = True
) -> list[list[float]]:
    """Vectors of length 1; only for models that can embed, as recorded of 0.32.15 (0.17.4 embedded with any)."""
    await desk.load(model, options, keep_alive)
    if any(len(text.pieces(one)) > int(options["num_ctx"]) for one in inputs) and not truncates:
        raise Failure(400, "the input length exceeds the context length")
    if inputs and "embedding" not in model.capabilities:
        raise Failure(501, _NO_EMBEDDINGS)
    return [text.embed(model.weights + one, model.embedding_length) for one in inputs]


def conversation(model: Model, messages: list[Any]) -> str:
    turns = [(str(m.get("role", "user")), str(m.get("content") or "")) for m in messages if isinstance(m, dict)]
    if model.system and not any(role == "system" for role, _ in turns):
        turns = [("system", model.system), *turns]
    return text.render(turns)


def logprobs(count: int, shown: list[str]) -> list[dict[str, Any]]:
    """`logprobs` of the tokens, in the form both dialects share."""
    return [_logprob(token, count) for token in shown]


def _prompt(model: Model, request: Mapping[str, Any]) -> str:
    prompt = str(request["prompt"])
    if request.get("raw"):
        return prompt
    system = request.get("system") or model.system
    return text.render([("system", system), ("user", prompt)] if system else [("user", prompt)])


def _need(model: Model, request: Mapping[str, Any], verb: str) -> None:
    name = request["model"]
    if request.get("think") and "thinking" not in model.capabilities:
        raise Failure(400, f'"{name}" does not support thinking')
    if request.get("tools") and "tools" not in model.capabilities:
        raise Failure(400, f"registry.ollama.ai/library/{model.name} does not support tools")
    if "completion" not in model.capabilities:
        raise Failure(400, f'"{name}" does not support {verb}')


async def _load_or_unload(
    desk: Desk, exchange: Exchange, request: Mapping[str, Any], model: Model, keep_alive: float, said: Said
) -> None:
    if keep_alive == 0:
        desk.runners.give_up(model)
    else:
        await desk.load(model, desk.options(model, request.get("options")), keep_alive)
    reason = "unload" if keep_alive == 0 else "load"
    body = {"model": request["model"], "created_at": stamp(), **said(""), "done": True, "done_reason": reason}
    await exchange.send(200, encode(body), JSON)


async def _answer_call(
    desk: Desk, exchange: Exchange, request: Mapping[str, Any], asked: Asked, keep_alive: float, call: dict[str, Any]
) -> None:
    message: dict[str, Any] = {"role": "assistant", "content": ""}
    async with desk.answering(asked, keep_alive) as answer:
        async for _ in desk.tokens(answer):
            pass
        answer.done_reason = "stop"
        with_call: Said = lambda _: {"message": {**message, "tool_calls": [call]}}  # noqa: E731
        if request.get("stream") is False:
            await exchange.send(200, encode(_last(request, answer, with_call, "")), JSON)
            return
        exchange.begin(200, NDJSON)
        record = {"model": request["model"], "created_at": stamp(), **with_call(""), "done": False}
        await exchange.write(encode(record) + b"\n")
        await exchange.write(encode(_last(request, answer, lambda _: {"message": message}, "")) + b"\n")
        await exchange.end()


async def _answer(
    desk: Desk, exchange: Exchange, request: Mapping[str, Any], asked: Asked, keep_alive: float, said: Said
) -> None:
    truncates = request.get("truncate") is not False
    async with desk.answering(asked, keep_alive, truncates) as answer:
        if request.get("stream") is False:
            parts = [part async for part in desk.tokens(answer)]
            thoughts = THOUGHTS if request.get("think") else 0
            said = _thinking(said, "".join(parts[:thoughts])) if thoughts else said
            await exchange.send(200, encode(_last(request, answer, said, "".join(parts[thoughts:]))), JSON)
        else:
            await _stream(desk, exchange, request, answer, said)


async def _stream(desk: Desk, exchange: Exchange, request: Mapping[str, Any], answer: Answer, said: Said) -> None:
    exchange.begin(200, NDJSON)
    thoughts = THOUGHTS if request.get("think") else 0
    async for part in desk.tokens(answer):
        words = _thinking(said, part)("") if thoughts > 0 else said(part)
        thoughts -= 1
        record = {"model": request["model"], "created_at": stamp(), **words, "done": False}
        if request.get("logprobs"):
            record["logprobs"] = logprobs(int(request.get("top_logprobs") or 0), [part])
        await exchange.write(encode(record) + b"\n")
    last = _last({**request, "logprobs": False}, answer, said, "")
    await exchange.write(encode(last) + b"\n")
    await exchange.end()


def _thinking(said: Said, thought: str) -> Said:
    """Says it with a thought beside the content."""

    def with_thought(content: str) -> dict[str, Any]:
        record = said(content)
        if "message" in record:
            return {"message": {**record["message"], "thinking": thought}}
        return {**record, "thinking": thought}

    return with_thought


def _last(request: Mapping[str, Any], answer: Answer, said: Said, content: str) -> dict[str, Any]:
    record = {"model": request["model"], "created_at": stamp(), **said(content), "done": True}
    record["done_reason"] = answer.done_reason
    if "response" in record and not request.get("raw"):
        record["context"] = [*answer.prompt_ids, *map(text.token_id, answer.tokens)]
    record |= answer.durations()
    if request.get("logprobs"):
        record["logprobs"] = logprobs(int(request.get("top_logprobs") or 0), answer.tokens)
    return record


def _logprob(token: str, count: int) -> dict[str, Any]:
    rows = [
        {"token": token, "logprob": value, "bytes": list(token.encode())}
        for token, value in text.probabilities(token, count)
    ]
    return {**rows[0], "top_logprobs": rows} if count else rows[0]
