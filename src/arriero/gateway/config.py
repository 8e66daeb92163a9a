"""Reads the gateway's settings file and refuses what would be unsafe; all problems of the file at once."""

from __future__ import annotations

import json
import typing
from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from arriero.control.settings import GatewaySettings, Limits
from arriero.errors import ArrieroError, Problem
from arriero.gateway.safety import unsafe
from arriero.secret import Secret

GatewayConfig = GatewaySettings
_WORDS = {str: "text", int: "a whole number above 0", float: "a number above 0", tuple: "a list of texts"}


class ConfigError(ArrieroError):
    """The settings file cannot be used."""


def load(path: Path) -> GatewayConfig:
    """The settings in `path`; raises ConfigError with every problem found."""
    data = _json(path)
    problems: list[Problem] = []
    limits = _section(Limits, data.pop("limits", {}), "limits.", path, problems)
    data.pop("schema", None)
    settings = _section(GatewaySettings, data, "", path, problems, known={"limits": limits})
    if settings:
        problems += unsafe(settings, str(path))
    if settings is None or problems:
        raise ConfigError(problems)
    return typing.cast(GatewayConfig, settings)


def read_token(path: Path) -> Secret:
    """The control port's token; a file that others may read, or a guessable token, is refused."""
    secret = read_secret(path)
    if len(secret.reveal()) < 16:
        raise ConfigError(Problem("the token is shorter than 16 characters", "make a longer one", file=str(path)))
    return secret


def read_secret(path: Path) -> Secret:
    """The text of a file that only its owner may read; raises ConfigError."""
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise ConfigError(
            Problem(f"cannot read the token: {error}", "write it there, mode 0600", file=str(path))
        ) from None
    if mode & 0o077:
        raise ConfigError(Problem("others may read this token", f"chmod 600 {path}", file=str(path)))
    return Secret(text)


def _json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        remedy = "write it with `arriero export gateway`"
        raise ConfigError(Problem(f"cannot read it: {error.strerror}", remedy, file=str(path))) from None
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        raise ConfigError(Problem(f"not JSON: {error}", "correct it there", file=str(path), line=line)) from None
    if not isinstance(data, dict):
        raise ConfigError(Problem("not a JSON object", "write it with `arriero export gateway`", file=str(path)))
    return data


def _section(
    kind: type[Any], data: Any, prefix: str, path: Path, problems: list[Problem], known: Mapping[str, Any] | None = None
) -> Any:
    """An instance of the dataclass `kind` made from `data`, or None once a problem was found."""
    found, values = len(problems), dict(known or {})
    if not isinstance(data, dict):
        problems.append(Problem("not a JSON object", "write {…}", prefix.rstrip("."), str(path)))
        return None
    hints = typing.get_type_hints(kind)
    for key, value in data.items():
        wanted = typing.get_origin(hints.get(key)) or hints.get(key)
        if wanted is None:
            problems.append(Problem("unknown key", _nearest(key, hints), prefix + key, str(path)))
        elif not (_fits(value, wanted) or _is_default(kind, key, value)):
            problems.append(Problem(f"{value!r} is not {_WORDS[wanted]}", "correct it", prefix + key, str(path)))
        else:
            values[key] = tuple(value) if wanted is tuple else value
    for field in fields(kind):
        if field.default is MISSING and field.name not in data:
            problems.append(Problem("missing", "every gateway needs it", prefix + field.name, str(path)))
    return kind(**values) if len(problems) == found else None


def _is_default(kind: type[Any], key: str, value: Any) -> bool:
    """What the writer puts there unasked, such as 0.0 for a price that nobody named."""
    default = next(field.default for field in fields(kind) if field.name == key)
    return type(value) is type(default) and bool(value == default)


def _nearest(key: str, known: Collection[str]) -> str:
    near = get_close_matches(key, known, 1)
    return f"perhaps {near[0]} was meant" if near else "take it out"


def _fits(value: Any, wanted: Any) -> bool:
    if wanted is tuple:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if wanted is str:
        return isinstance(value, str)
    is_number = isinstance(value, (int, float) if wanted is float else int) and not isinstance(value, bool)
    return is_number and value > 0
