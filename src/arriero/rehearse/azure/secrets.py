"""Values that Azure takes and never gives back; on disk they stand sealed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

_SECRET_KEYS = frozenset({"secureValue", "storageAccountKey", "workspaceKey", "password", "adminPassword"})
# What is given back to who may read it, and holds a key nevertheless.
_SEALED = _SECRET_KEYS | {"serviceUri"}


def hidden(value: Any) -> Any:
    """A copy without the secret members; a secret volume keeps its name and loses its files."""
    if isinstance(value, list):
        return [hidden(item) for item in value]
    if not isinstance(value, dict):
        return copy.copy(value)
    return {k: ({} if _is_secret_volume(k, v) else hidden(v)) for k, v in value.items() if k not in _SECRET_KEYS}


class Seal:
    """Encrypts secret members for the snapshot, so that no secret can be found in a file of the stage."""

    def __init__(self, folder: Path) -> None:
        file = folder / "seal.key"
        if not file.exists():
            file.touch(0o600)
            file.write_bytes(Fernet.generate_key())
        self._fernet = Fernet(file.read_bytes())

    def seal(self, value: Any) -> Any:
        return _mapped(value, lambda text: self._fernet.encrypt(text.encode()).decode())

    def unseal(self, value: Any) -> Any:
        return _mapped(value, lambda text: self._fernet.decrypt(text.encode()).decode())


def _mapped(value: Any, change: Callable[[str], str], *, secret: bool = False) -> Any:
    if isinstance(value, list):
        return [_mapped(item, change, secret=secret) for item in value]
    if isinstance(value, dict):
        return {
            k: _mapped(v, change, secret=secret or k in _SEALED or _is_secret_volume(k, v)) for k, v in value.items()
        }
    return change(value) if secret and isinstance(value, str) else value


def _is_secret_volume(key: str, value: Any) -> bool:
    return key == "secret" and isinstance(value, dict)
