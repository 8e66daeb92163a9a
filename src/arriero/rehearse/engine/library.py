"""The models' own paths: tags, ps, show, pull, create, copy, delete and blobs."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from typing import Any

from arriero.rehearse.engine import names
from arriero.rehearse.engine.decode import Failure, decode
from arriero.rehearse.engine.desk import Desk
from arriero.rehearse.engine.http import Exchange
from arriero.rehearse.engine.names import Name, parse
from arriero.rehearse.engine.native import JSON, NDJSON
from arriero.rehearse.engine.runners import expires_at
from arriero.rehearse.engine.show import describe
from arriero.rehearse.engine.store import Model
from arriero.rehearse.engine.wire import encode, stamp

_PULL_STEPS = 5


async def version(desk: Desk, exchange: Exchange) -> None:
    await exchange.send(200, encode({"version": desk.profile.version}), JSON)


async def tags(desk: Desk, exchange: Exchange) -> None:
    models = [
        {
            "name": model.name,
            "model": model.name,
            "modified_at": stamp(model.modified_at),
            "size": model.size,
            "digest": model.digest,
            "details": {
                **model.details,
                "context_length": model.context_length,
                "embedding_length": model.embedding_length,
            },
            "capabilities": list(model.capabilities),
        }
        for model in desk.store.newest_first()
    ]
    await exchange.send(200, encode({"models": models}), JSON)


async def ps(desk: Desk, exchange: Exchange) -> None:
    """Models in memory; names that share their weights are one runner, shown by the oldest of them."""
    by_weights = {model.weights: model for model in desk.store.newest_first()}
    models = [
        {
            "name": model.name,
            "model": model.name,
            "size": model.memory_bytes,
            "digest": model.digest,
            "details": model.details,
            "expires_at": stamp(expires_at(runner)),
            "size_vram": model.size_vram,
            "context_length": runner.context,
        }
        for runner in desk.runners.resident()
        if (model := by_weights.get(runner.model))
    ]
    await exchange.send(200, encode({"models": models}), JSON)


async def show(desk: Desk, exchange: Exchange) -> None:
    request = decode(exchange.request.body, "ShowRequest")
    name = request.get("model") or request.get("name") or ""
    model = desk.store.find(name)
    if model is None:
        raise Failure(404, f"model '{parse(name)}' not found")
    await exchange.send(200, encode(describe(model)), JSON)


async def copy(desk: Desk, exchange: Exchange) -> None:
    request = decode(exchange.request.body, "CopyRequest")
    source, destination = request.get("source") or "", parse(request.get("destination") or "")
    if not destination.is_valid:
        raise Failure(400, f'destination "{request.get("destination") or ""}" is invalid')
    model = desk.store.find(source)
    if model is None:
        raise Failure(404, f'model "{source}" not found')
    desk.store.copy(model, destination)
    await exchange.send(200)


async def delete(desk: Desk, exchange: Exchange) -> None:
    request = decode(exchange.request.body, "DeleteRequest")
    name = request.get("model") or request.get("name") or ""
    model = desk.store.find(name)
    if model is None:
        raise Failure(404, f"model '{name}' not found")
    desk.store.delete(model)
    await exchange.send(200)


async def create(desk: Desk, exchange: Exchange) -> None:
    request = decode(exchange.request.body, "CreateRequest")
    name = parse(request.get("model") or request.get("name") or "")
    if not name.is_valid:
        raise Failure(400, "invalid model name")
    base = _base(desk, request, name)
    changes = {key: request[key] for key in ("system", "template", "parameters") if request.get(key)}
    model = desk.store.create(name, base, changes)
    layers = [("using existing layer", model.weights), *_layers(model, changes)]
    lines = [{"status": f"{said} sha256:{digest}"} for said, digest in layers]
    await _tell(exchange, request, [*lines, {"status": "writing manifest"}, {"status": "success"}])


async def pull(desk: Desk, exchange: Exchange) -> None:
    request = decode(exchange.request.body, "PullRequest")
    name = parse(request.get("model") or request.get("name") or "")
    if not name.is_valid:
        raise Failure(400, "invalid model name")
    failed = await _failed_reach(name, bool(request.get("insecure")))
    if failed:
        await _tell(exchange, request, [{"status": "pulling manifest"}, {"error": f"pull model manifest: {failed}"}])
        return
    if request.get("stream") is False:
        await asyncio.sleep(desk.profile.pull_seconds)
        desk.store.pull(name)
        await _tell(exchange, request, [{"status": "success"}])
        return
    exchange.begin(200, NDJSON)
    await exchange.write(encode({"status": "pulling manifest"}) + b"\n")
    model = desk.store.pull(name)
    digest = f"sha256:{model.weights}"
    for step in range(_PULL_STEPS):
        await asyncio.sleep(desk.profile.pull_seconds / _PULL_STEPS)
        done = model.size * (step + 1) // _PULL_STEPS
        line = {"status": f"pulling {model.weights[:12]}", "digest": digest, "total": model.size, "completed": done}
        await exchange.write(encode(line) + b"\n")
    for status in ("verifying sha256 digest", "writing manifest", "success"):
        await exchange.write(encode({"status": status}) + b"\n")
    await exchange.end()


async def find_blob(desk: Desk, exchange: Exchange) -> None:
    digest = exchange.request.path.rpartition("/")[2]
    if not desk.store.has_blob(digest):
        raise Failure(404, f'blob "{digest}" not found')
    await exchange.send(200)


async def put_blob(desk: Desk, exchange: Exchange) -> None:
    wanted = exchange.request.path.rpartition("/")[2]
    found = f"sha256:{hashlib.sha256(exchange.request.body).hexdigest()}"
    if wanted != found:
        raise Failure(400, f'digest mismatch, expected "{wanted}", got "{found}"')
    desk.store.put_blob(wanted, exchange.request.body)
    await exchange.send(201)


def _base(desk: Desk, request: dict[str, Any], name: Name) -> Model:
    source, files = request.get("from"), request.get("files")
    if source:
        return desk.find(source)
    if not files:
        raise Failure(400, "neither 'from' or 'files' was specified")
    digest = str(next(iter(files.values())))
    if not desk.store.has_blob(digest):
        raise Failure(400, f'blob "{digest}" not found')
    return desk.store.from_blob(name, digest)


def _layers(model: Model, changes: dict[str, Any]) -> Iterable[tuple[str, str]]:
    for key in ("template", "system", "parameters"):
        value = getattr(model, key)
        if value:
            said = "creating new layer" if key in changes else "using existing layer"
            yield said, hashlib.sha256(repr(value).encode()).hexdigest()


async def _tell(exchange: Exchange, request: dict[str, Any], lines: list[dict[str, Any]]) -> None:
    """As a stream, or its last line alone; an error inside a stream does not change the 200."""
    if request.get("stream") is False:
        last = lines[-1]
        await exchange.send(500 if "error" in last else 200, encode(last), JSON)
        return
    exchange.begin(200, NDJSON)
    for line in lines:
        await exchange.write(encode(line) + b"\n")
    await exchange.end()


async def _failed_reach(name: Name, insecure: bool) -> str:
    """Why a registry that the name spells out cannot serve; the default one always has the model."""
    if name.host == names.DEFAULT_HOST:
        return ""
    url = f"{'http' if insecure else 'https'}://{name.host}/v2/{name.namespace}/{name.model}/manifests/{name.tag}"
    host, _, port = name.host.partition(":")
    if not host.startswith("127."):
        return f'Get "{url}": dial tcp: lookup {host}: no such host'
    try:
        _, writer = await asyncio.open_connection(host, int(port or 443))
    except (OSError, ValueError):
        return f'Get "{url}": dial tcp {host}:{port or 443}: connect: connection refused'
    writer.close()
    return "file does not exist"
