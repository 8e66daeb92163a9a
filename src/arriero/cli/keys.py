"""The verbs of API keys: keys add, list, rotate, revoke. A running gateway takes changes up within two seconds."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from arriero.cli.deploying import confirm
from arriero.cli.here import SecretsUnread, load_project
from arriero.cli.options import File, Json, Overlay, Yes
from arriero.clock import SystemClock
from arriero.control import keys as keys_file
from arriero.control.keyring import changing, read_or_none
from arriero.control.keys import ROLES, Key
from arriero.errors import Problem, Refused
from arriero.secret import Secret
from arriero.spec.units import Duration

verbs = typer.Typer(help="API keys of the gateway: shown once, kept as salted hashes.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The key's name, as logs and figures show it.")]
Keys = Annotated[
    Path | None,
    typer.Option("--keys", help="The file of keys. Default: the one of the project's gateway.", show_default=False),
]
Count = Annotated[int | None, typer.Option(min=1, show_default=False)]


def register(app: typer.Typer) -> None:
    app.add_typer(verbs, name="keys")


@verbs.command()
def add(
    name: Name,
    role: Annotated[str, typer.Option(help=f"One of: {', '.join(ROLES)}.")] = "user",
    model: Annotated[list[str] | None, typer.Option(help="Only this model (may be repeated).")] = None,
    requests_a_minute: Count = None,
    tokens_a_minute: Count = None,
    concurrency: Count = None,
    spend_a_day: Annotated[float | None, typer.Option(help="In the currency of the gateway's prices.")] = None,
    expires: Annotated[str, typer.Option(help="After this time, such as 90d; or at a date.")] = "",
    keys: Keys = None,
    file: File = None,
    overlay: Overlay = None,
    as_json: Json = False,
) -> None:
    """Make a key and print it; it is never shown again. From the first key on, requests need one.

    Example: [bold]arriero keys add mobile-app --model llama2 --requests-a-minute 60[/bold]
    """
    if role not in ROLES:
        raise Refused(Problem(f"there is no role {role}", f"choose from {', '.join(ROLES)}", key="--role"))
    if spend_a_day is not None and not 0 < spend_a_day < float("inf"):
        raise Refused(Problem(f"{spend_a_day} is not an amount above 0", "correct it", key="--spend-a-day"))
    text, lock = keys_file.make_lock()
    now = _now()
    key = Key(
        name, (lock,), now, role, tuple(model or ()), requests_a_minute, tokens_a_minute, concurrency,
        spend_a_day, _moment(expires, now) if expires else None,
    )  # fmt: skip
    with changing(_path(keys, file, overlay)) as ring:
        ring.add(key)
    _show(key, text, as_json)


@verbs.command("list")
def list_keys(keys: Keys = None, file: File = None, overlay: Overlay = None, as_json: Json = False) -> None:
    """List the keys by name, with what they may do; never their text."""
    entries = [_public(key) for key in read_or_none(_path(keys, file, overlay))]
    if as_json:
        print(json.dumps({"schema": 1, "keys": entries}))
        return
    for entry in entries:
        limits = ", ".join(f"{name} {value}" for name, value in entry.items() if name not in ("name", "id", "role"))
        print(f"{entry['name']}  ak_{entry['id']}_…  {entry['role']}  {limits}".rstrip())


@verbs.command()
def rotate(
    name: Name,
    overlap: Annotated[str, typer.Option(help="How long the former text stays valid; 0s ends it now.")] = "24h",
    keys: Keys = None,
    file: File = None,
    overlay: Overlay = None,
    as_json: Json = False,
) -> None:
    """Give a key a new text and print it; the former one stays valid for the overlap.

    Example: [bold]arriero keys rotate mobile-app --overlap 1h[/bold]
    """
    text, lock = keys_file.make_lock()
    with changing(_path(keys, file, overlay)) as ring:
        ring.rotate(name, lock, _now(), _seconds(overlap, "--overlap"))
    _show(next(key for key in ring.keys if key.name == name), text, as_json)


@verbs.command()
def revoke(name: Name, keys: Keys = None, file: File = None, overlay: Overlay = None, yes: Yes = False) -> None:
    """Take a key away; requests with it are refused from then on."""
    confirm(f"Revoke the key {name}?", yes)
    with changing(_path(keys, file, overlay)) as ring:
        ring.revoke(name)
    print(f"Revoked {name}.", file=sys.stderr)


def _path(keys: Path | None, file: Path | None, overlay: str | None) -> Path:
    if keys is not None:
        return keys.absolute()
    project, loaded = load_project(file, overlay, SecretsUnread())
    if named := loaded.spec.gateway.keys:
        return project.file(named)
    project.make_state()
    return project.keys


def _show(key: Key, text: Secret, as_json: bool) -> None:
    """The one moment in which the text of a key is seen."""
    if as_json:
        print(json.dumps({"schema": 1, "key": text.reveal(), **_public(key)}))
        return
    print("This is shown once:", file=sys.stderr)
    print(text.reveal())


def _public(key: Key) -> dict[str, Any]:
    limits = {
        "models": list(key.models), "requests_a_minute": key.requests_a_minute, "tokens_a_minute": key.tokens_a_minute,
        "concurrency": key.concurrency, "spend_a_day": key.spend_a_day,
        "expires": key.expires.isoformat() if key.expires else None,
        "former_until": [lock.until.isoformat() for lock in key.locks[1:] if lock.until],
    }  # fmt: skip
    told = {name: value for name, value in limits.items() if value}
    return {"name": key.name, "id": key.locks[0].id, "role": key.role, "created": key.created.isoformat(), **told}


def _moment(text: str, now: datetime) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return now + timedelta(seconds=_seconds(text, "--expires"))
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment <= now:
        raise Refused(Problem(f"{text} has passed", "give a later moment", key="--expires"))
    return moment


def _seconds(text: str, option: str) -> float:
    try:
        return float(Duration.parse(text))
    except ValueError as error:
        raise Refused(Problem(f"it {error}", key=option)) from None


def _now() -> datetime:
    return SystemClock().now().replace(microsecond=0)
