"""How a simulated server behaves: read from ARRIERO_ENGINE_PROFILE (JSON) and Ollama's own environment variables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from arriero.rehearse.engine.wire import parse_keep_alive


class BadSetting(Exception):
    """The environment asks for what cannot be."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Times in seconds. `total_tokens_per_second` is shared by all streams of the server (0: no limit). Of all answers
    `error_share` fail with 500, and `empty_share` say nothing. First tokens spread log-normally by `spread`.

    `models` gives, by name, what is to differ from the stand-in values in `store.py`.
    """

    load_seconds: float = 0.3
    first_token_seconds: float = 0.01
    tokens_per_second: float = 50.0
    total_tokens_per_second: float = 0.0
    pull_seconds: float = 0.3
    error_share: float = 0.0
    empty_share: float = 0.0
    spread: float = 0.0
    version: str = "0.32.15"
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settings:
    """What `ollama serve` reads from its environment, with its defaults."""

    host: str
    port: int
    parallel: int
    max_queue: int
    max_loaded: int
    keep_alive: float
    context_length: int
    origins: tuple[str, ...]
    store: str
    models: tuple[str, ...]
    preloads: bool


def read_profile(environment: Mapping[str, str]) -> Profile:
    try:
        asked = json.loads(environment.get("ARRIERO_ENGINE_PROFILE") or "{}")
        unknown = sorted(set(asked) - {one.name for one in fields(Profile)})
        if unknown:
            raise ValueError(f"it has no {', '.join(unknown)}")
        profile = Profile(**asked)
        if profile.tokens_per_second <= 0:
            raise ValueError("tokens_per_second must be above 0")
    except (ValueError, TypeError, AttributeError) as error:
        raise BadSetting(f"ARRIERO_ENGINE_PROFILE: {error}") from error
    return profile


def read_settings(environment: Mapping[str, str]) -> Settings:
    try:
        host, port = _host_and_port(environment.get("OLLAMA_HOST", ""))
        models = tuple(name.strip() for name in environment.get("ARRIERO_MODELS", "").split(",") if name.strip())
        keep_alive = parse_keep_alive(_number_or_text(environment.get("OLLAMA_KEEP_ALIVE") or "5m"))
        return Settings(
            host=host,
            port=port,
            parallel=int(environment.get("OLLAMA_NUM_PARALLEL") or 1),
            max_queue=int(environment.get("OLLAMA_MAX_QUEUE") or 512),
            max_loaded=int(environment.get("OLLAMA_MAX_LOADED_MODELS") or 0) or 3,
            keep_alive=keep_alive,
            context_length=int(environment.get("OLLAMA_CONTEXT_LENGTH") or 4096),
            origins=tuple(one for one in environment.get("OLLAMA_ORIGINS", "").split(",") if one),
            store=environment.get("OLLAMA_MODELS", ""),
            models=models,
            preloads=bool(models) and environment.get("OLLAMA_KEEP_ALIVE", "").startswith("-"),
        )
    except ValueError as error:
        raise BadSetting(f"a setting in the environment is wrong: {error}") from error


def _host_and_port(text: str) -> tuple[str, int]:
    """`OLLAMA_HOST` with or without scheme and port, as Ollama reads it."""
    text = text.strip().strip("\"'").removeprefix("http://").removeprefix("https://").split("/")[0]
    host, colon, port = text.rpartition(":")
    if not colon:
        host, port = text, ""
    return host.strip("[]") or "127.0.0.1", int(port or 11434)


def _number_or_text(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
