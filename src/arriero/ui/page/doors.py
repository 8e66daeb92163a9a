"""Who may look, and who may act: API keys, and what a browser keeps instead of one.

A browser keeps the public id of the key that it came with, until when, and a proof by a secret of this project, so that
it need not ask again after the page was restarted, and the key's text is kept nowhere. The key itself is looked up at
every question: one that is revoked, or expires, opens nothing from then on. Where no keys exist, whoever is on this
machine may look, and nobody may act.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from arriero.control import keys as keys_file
from arriero.control.keys import Key, KeysError, Lock

STAYS = timedelta(hours=12)
SEERS = ("viewer", "admin")
# Wrong keys that one address may try in a minute.
TRIES, TRIES_SECONDS = 10, 60.0


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks: the name and role of a key, or nobody in particular, where no keys exist."""

    name: str = "this machine"
    role: str = "viewer"


class Doors:
    """`now` tells the time of day, `monotonic` seconds. Raises KeysError where the file of keys can't be used."""

    def __init__(
        self, keys: Path, secret_file: Path, now: Callable[[], datetime], monotonic: Callable[[], float]
    ) -> None:
        self._path, self._now, self._monotonic = keys, now, monotonic
        self._secret = _secret(secret_file)
        self._seen: tuple[int, int] | None = None
        self._keys: tuple[Key, ...] = ()
        self._wrong: dict[str, list[float]] = {}

    @property
    def has_keys(self) -> bool:
        """Whether a key is needed, even where none is left."""
        self._look()
        return self._seen is not None

    def opened_by(self, text: str) -> Visitor | None:
        """Whose key this is; None for one that is wrong, old or revoked."""
        found = self._find(keys_file.id_of(text) or "")
        if found is None:
            keys_file.open_nothing(text)
            return None
        key, lock = found
        return Visitor(key.name, key.role) if lock.opens(text) else None

    def cookie(self, text: str) -> str:
        """What the browser of who has this key keeps: `<id>.<until>.<proof>`."""
        until = int((self._now() + STAYS).timestamp())
        told = f"{keys_file.id_of(text)}.{until}"
        return f"{told}.{self._proof(told)}"

    def returning(self, cookie: str) -> Visitor | None:
        """Who comes with this cookie; None where it is not ours, too old, or its key may not look any more."""
        told, _, proof = cookie.rpartition(".")
        public, _, until = told.partition(".")
        if not hmac.compare_digest(proof.encode(), self._proof(told).encode()) or not until.isdecimal():
            return None
        found = self._find(public) if int(until) > self._now().timestamp() else None
        return Visitor(found[0].name, found[0].role) if found and found[0].role in SEERS else None

    def may_try(self, address: str) -> bool:
        """Whether somebody at this address has not tried too many wrong keys a moment ago."""
        since = self._monotonic() - TRIES_SECONDS
        self._wrong = {who: kept for who, at in self._wrong.items() if (kept := [one for one in at if one > since])}
        return len(self._wrong.get(address, ())) < TRIES

    def was_wrong(self, address: str) -> None:
        self._wrong.setdefault(address, []).append(self._monotonic())

    def _find(self, public: str) -> tuple[Key, Lock] | None:
        self._look()
        now = self._now()
        for key in self._keys:
            for lock in key.locks:
                if lock.id == public:
                    is_over = any(end and end <= now for end in (lock.until, key.expires))
                    return None if is_over else (key, lock)
        return None

    def _look(self) -> None:
        """Reads the file anew where it changed."""
        try:
            now = self._path.stat()
        except FileNotFoundError:
            if self._seen is not None:
                self._keys = ()  # taken away while the page runs: a key is needed still, and none will do
            return
        seen = (now.st_mtime_ns, now.st_ino)
        if seen == self._seen:
            return
        try:
            self._keys, self._seen = keys_file.read(self._path), seen
        except KeysError:
            if self._seen is None:
                raise
            self._seen = seen  # broken while the page runs: the keys as they were hold, as they do for the gateway

    def _proof(self, told: str) -> str:
        return hmac.new(self._secret, told.encode(), hashlib.sha256).hexdigest()


def _secret(path: Path) -> bytes:
    """This project's own, made at the first start and readable by its owner only."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(32))
    return path.read_bytes()
