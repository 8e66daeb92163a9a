"""API keys at rest: the file `keys.json`, which `arriero keys` writes and a gateway reads.

A key's text is `ak_<id>_<secret>`: the id is public and finds the entry, the secret is 256 random bits. The file keeps
SHA-256 of a salt and the whole text. A slow password hash would add nothing: nobody guesses 256 random bits.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from arriero.errors import ArrieroError, Problem
from arriero.secret import Secret

Role = Literal["user", "viewer", "admin"]
ROLES: tuple[Role, ...] = typing.get_args(Role)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TEXT = re.compile(r"ak_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
_COUNTS = ("requests_a_minute", "tokens_a_minute", "concurrency")
_NEVER = hashlib.sha256(b"").digest()


class KeysError(ArrieroError):
    """The file of keys cannot be used."""


@dataclass(frozen=True, slots=True)
class Lock:
    """What one text of a key is checked against. A former one (after `rotate`) is valid `until` then."""

    id: str
    salt: bytes
    digest: bytes
    until: datetime | None = None

    def opens(self, text: str) -> bool:
        return hmac.compare_digest(hashlib.sha256(self.salt + text.encode()).digest(), self.digest)


@dataclass(frozen=True, slots=True)
class Key:
    """One caller and what it may do; None and an empty `models` mean without limit. `locks`: the present one first."""

    name: str
    locks: tuple[Lock, ...]
    created: datetime
    role: Role = "user"
    models: tuple[str, ...] = ()
    requests_a_minute: int | None = None
    tokens_a_minute: int | None = None
    concurrency: int | None = None
    spend_a_day: float | None = None
    expires: datetime | None = None


def make_lock() -> tuple[Secret, Lock]:
    """A new random text and its lock; the text is kept nowhere."""
    public, salt = secrets.token_hex(6), secrets.token_bytes(16)
    text = f"ak_{public}_{secrets.token_urlsafe(32)}"
    return Secret(text), Lock(public, salt, hashlib.sha256(salt + text.encode()).digest())


def id_of(text: str) -> str | None:
    """The public id in a key's text; None when the text has not the form of a key."""
    match = _TEXT.fullmatch(text)
    return match[1] if match else None


def open_nothing(text: str) -> None:
    """Takes as long as `Lock.opens`, so that an unknown id can't be told from a wrong secret by time."""
    hmac.compare_digest(hashlib.sha256(bytes(16) + text.encode()).digest(), _NEVER)


def read(path: Path) -> tuple[Key, ...]:
    """The keys in `path`. Raises FileNotFoundError, or KeysError with every problem of the file."""
    try:
        mode, data = path.stat().st_mode, json.loads(path.read_bytes())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise KeysError(Problem(f"cannot read it: {error.strerror}", "let its owner read it", file=str(path))) from None
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        raise KeysError(Problem(f"not JSON: {error}", "correct it there", file=str(path), line=line)) from None
    if mode & 0o077:
        raise KeysError(Problem("others may read these keys", f"chmod 600 {path}", file=str(path)))
    problems: list[Problem] = []
    entries = data.get("keys") if isinstance(data, dict) and data.get("schema") == 1 else None
    if not isinstance(entries, list):
        raise KeysError(Problem("not a file of keys", "make it with: arriero keys add NAME", file=str(path)))
    keys = [_key(entry, f"keys[{place}]", path, problems) for place, entry in enumerate(entries)]
    found = [key for key in keys if key is not None]
    problems += _doubles(found, path)
    if problems:
        raise KeysError(problems)
    return tuple(found)


def write(path: Path, keys: Iterable[Key]) -> None:
    """Written beside with mode 0600 and renamed, so that a reader sees the old keys or the new ones."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        json.dump({"schema": 1, "keys": [_entry(key) for key in keys]}, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _entry(key: Key) -> dict[str, Any]:
    present, *former = (_lock_entry(lock) for lock in key.locks)
    entry: dict[str, Any] = {"name": key.name, **present, "role": key.role, "created": key.created.isoformat()}
    for field in ("models", *_COUNTS, "spend_a_day"):
        if value := getattr(key, field):
            entry[field] = value
    if key.expires:
        entry["expires"] = key.expires.isoformat()
    return {**entry, "former": former} if former else entry


def _lock_entry(lock: Lock) -> dict[str, str]:
    entry = {"id": lock.id, "salt": lock.salt.hex(), "hash": lock.digest.hex()}
    return {**entry, "until": lock.until.isoformat()} if lock.until else entry


def _key(entry: Any, place: str, path: Path, problems: list[Problem]) -> Key | None:
    """The key that `entry` says, or None once a problem was found."""
    if not isinstance(entry, dict):
        problems.append(Problem("not a JSON object", "write {…}", place, str(path)))
        return None
    found = len(problems)
    known = {field.name for field in fields(Key)} - {"locks"} | {"id", "salt", "hash", "former"}
    problems += [Problem("unknown key", "take it out", f"{place}.{name}", str(path)) for name in entry.keys() - known]
    values: dict[str, Any] = {}
    for name, parse in _FIELDS.items():
        if name in entry:
            try:
                values[name] = parse(entry[name])
            except (TypeError, ValueError) as error:
                problems.append(Problem(str(error), "correct it", f"{place}.{name}", str(path)))
    try:
        values["locks"] = tuple(_lock(lock) for lock in (entry, *entry.get("former", ())))
    except (AttributeError, KeyError, TypeError, ValueError):
        problems.append(Problem("id, salt or hash is missing or wrong", "rotate the key", place, str(path)))
    problems += [
        Problem("missing", "correct it", f"{place}.{name}", str(path)) for name in ("name", "created") - entry.keys()
    ]
    return Key(**values) if len(problems) == found else None


def _lock(entry: Mapping[str, Any]) -> Lock:
    salt, digest, until = bytes.fromhex(entry["salt"]), bytes.fromhex(entry["hash"]), entry.get("until")
    if len(digest) != 32 or len(salt) < 16 or not re.fullmatch("[0-9a-f]{12}", entry["id"]):
        raise ValueError("not a lock")
    return Lock(entry["id"], salt, digest, _moment(until) if until else None)


def _doubles(keys: list[Key], path: Path) -> list[Problem]:
    names = [key.name for key in keys]
    ids = [lock.id for key in keys for lock in key.locks]
    twice = sorted({text for texts in (names, ids) for text in texts if texts.count(text) > 1})
    return [Problem(f"{text} stands there twice", "take one out", "keys", str(path)) for text in twice]


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    if moment is None or moment.tzinfo is None:
        raise ValueError(f"{value!r} is not a moment with its zone, like 2026-01-31T12:00:00+00:00")
    return moment.astimezone(UTC)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise ValueError(f"{value!r} is not a name of letters, digits, dots, dashes and underscores")
    return value


def _role(value: Any) -> Any:
    if value not in ROLES:
        raise ValueError(f"{value!r} is none of {', '.join(ROLES)}")
    return value


def _models(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise ValueError(f"{value!r} is not a list of models")
    return tuple(value)


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{value!r} is not a whole number above 0")
    return value


def _amount(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < float("inf"):
        raise ValueError(f"{value!r} is not a number above 0")
    return float(value)


_FIELDS = {
    "name": _name, "created": _moment, "expires": _moment, "role": _role, "models": _models, "spend_a_day": _amount,
    **dict.fromkeys(_COUNTS, _count),
}  # fmt: skip
