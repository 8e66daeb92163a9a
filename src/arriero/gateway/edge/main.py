"""`arriero gateway edge`: a gateway's settings from two variables of the environment, then a gateway like any other.

ARRIERO_SETTINGS is the settings file itself, as JSON; ARRIERO_KEYS the file of hashed keys, which ECS puts there from
Secrets Manager. Both become files of a folder that only this user may read and that goes with the process, beside a
token that nobody outside knows: who gives orders would have to be in here.
"""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

from arriero.errors import ArrieroError, Problem
from arriero.gateway.main import run as run_gateway

SETTINGS, KEYS = "ARRIERO_SETTINGS", "ARRIERO_KEYS"
CONTROL = "127.0.0.1:11436"
FILE, TOKEN_FILE, KEYS_FILE = "gateway.json", "token", "keys.json"


def run(environment: MutableMapping[str, str]) -> int:
    """Serves until a signal; raises ArrieroError for settings or keys that can't be used."""
    with tempfile.TemporaryDirectory(prefix="arriero-edge-") as folder:
        os.chdir(folder)
        write(Path(folder), environment)
        return run_gateway(Path(FILE))


def write(folder: Path, environment: MutableMapping[str, str]) -> None:
    """Puts the files there, and takes the variables away: no child needs them. Raises ArrieroError."""
    settings, keys = environment.pop(SETTINGS, ""), environment.pop(KEYS, "")
    _keep(folder / FILE, json.dumps({"control": CONTROL, **_settings(settings), **_files(keys)}))
    _keep(folder / TOKEN_FILE, secrets.token_urlsafe(32))
    if keys:
        _keep(folder / KEYS_FILE, keys)


def _settings(text: str) -> dict[str, object]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        what = f"not JSON: {error}" if text else "is not there"
        raise ArrieroError(
            Problem(what, "write what is in a gateway's settings file", SETTINGS, "environment")
        ) from None
    if not isinstance(found, dict):
        raise ArrieroError(Problem("not a JSON object", "write {…}", SETTINGS, "environment"))
    return found


def _files(keys: str) -> dict[str, str]:
    """Where the files are, which the settings can't know. Without keys no gateway listens off loopback."""
    return {"admin_token_file": TOKEN_FILE, **({"keys_file": KEYS_FILE} if keys else {})}


def _keep(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
