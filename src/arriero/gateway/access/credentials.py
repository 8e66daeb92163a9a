"""The keys and certificates of one gateway: which files hold them, how each is read, where what was read goes."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from arriero.control import keys as keys_file
from arriero.control.keys import Key, KeysError
from arriero.control.settings import GatewaySettings
from arriero.errors import Problem
from arriero.gateway.access.guard import Guard, Prices
from arriero.gateway.access.renewal import Watched
from arriero.gateway.context import Context
from arriero.gateway.wire.tls import (
    ListenerTls,
    TargetsTls,
    listener_context,
    listener_files,
    targets_context,
    targets_files,
)


def watched(context: Context) -> tuple[list[Watched], ListenerTls | None]:
    """What to read now and whenever it changes, and the listener's TLS; raises ArrieroError for what can't be used."""
    settings, files = context.settings, []
    context.guard.set_prices(Prices(settings.price_in_per_million, settings.price_out_per_million))
    if settings.keys_file:
        path = Path(settings.keys_file)
        take_keys = partial(_take_keys, context.guard)
        files.append(Watched("keys", (path,), partial(_read_keys, settings, context.guard), take_keys))
    listener = ListenerTls(listener_context(settings)) if settings.tls_certificate else None
    if listener is not None:
        read = partial(listener_context, settings)
        files.append(Watched("listener_tls", listener_files(settings), read, listener.renew))
    context.upstreams.tls = targets = TargetsTls(settings)
    if targets_files(settings):
        files.append(Watched("targets_tls", targets_files(settings), partial(targets_context, settings), targets.renew))
    for file in files:
        file.read_first()
    return files, listener


def _read_keys(settings: GatewaySettings, guard: Guard) -> tuple[Key, ...] | None:
    """None where there never was a file. Raises KeysError."""
    try:
        keys = keys_file.read(Path(settings.keys_file))
    except FileNotFoundError:
        if guard.has_keys:
            # A file lost by accident must not open the gateway to everybody.
            remedy = "put it back, or restart the gateway without it"
            raise KeysError(Problem("the file of keys is gone", remedy, file=settings.keys_file)) from None
        return None
    has_prices = settings.price_in_per_million or settings.price_out_per_million
    priceless = [key.name for key in keys if key.spend_a_day and not has_prices]
    if priceless:
        what = f"{', '.join(priceless)} may spend an amount a day, and the gateway knows no price"
        remedy = "set price_in_per_million and price_out_per_million in its settings"
        raise KeysError(Problem(what, remedy, "spend_a_day", settings.keys_file))
    return keys


def _take_keys(guard: Guard, keys: tuple[Key, ...] | None) -> None:
    if keys is not None:
        guard.set_keys(keys)
