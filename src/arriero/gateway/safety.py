"""Which settings of a gateway would be unsafe, or can't be meant. All problems at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from arriero.control.settings import GatewaySettings
from arriero.errors import Problem
from arriero.gateway.access.sources import Sources, is_loopback
from arriero.gateway.wire.address import split_address
from arriero.gateway.wire.dns import question

_STORES = ("valkey", "valkeys", "redis", "rediss")
_PAIRS = (
    ("tls_certificate", "tls_key"), ("tls_key", "tls_certificate"), ("tls_client_ca", "tls_certificate"),
    ("targets_certificate", "targets_key"), ("targets_key", "targets_certificate"),
    ("limits_store", "keys_file"), ("limits_store_password_file", "limits_store"),
    ("targets_site", "targets_dns"), ("targets_resolver", "targets_dns"),
)  # fmt: skip


def unsafe(settings: GatewaySettings, file: str) -> list[Problem]:
    found = (_listeners, _ranges, _choices, _names, _pairs)
    return [problem for problems in found for problem in problems(settings, file)]


def _listeners(settings: GatewaySettings, file: str) -> Iterator[Problem]:
    for key, address in (("listen", settings.listen), ("control", settings.control)):
        try:
            host, _ = split_address(address)
        except ValueError as error:
            yield Problem(str(error), "write it like 127.0.0.1:11434", key, file)
            continue
        if is_loopback(host) or host == "localhost":
            continue
        what = f"{address} can be reached from other machines"
        if key == "control":
            yield Problem(f"{what}, and who gives orders is on this one", "take orders on 127.0.0.1", key, file)
        elif not settings.keys_file:
            yield Problem(f"{what}, and there are no keys", "set keys_file, or listen on 127.0.0.1", key, file)
        elif not Path(settings.keys_file).exists():
            what = f"{what}, and {settings.keys_file} is not there"
            yield Problem(what, f"make a key with: arriero keys add NAME --keys {settings.keys_file}", key, file)


def _ranges(settings: GatewaySettings, file: str) -> Iterator[Problem]:
    for key in ("metrics_sources", "trusted_proxies"):
        for text in getattr(settings, key):
            try:
                Sources([text])
            except ValueError as error:
                yield Problem(str(error), "write it like 10.0.0.0/8", key, file)


def _choices(settings: GatewaySettings, file: str) -> Iterator[Problem]:
    if settings.limits_when_away not in ("allow", "refuse"):
        yield Problem(
            f"{settings.limits_when_away!r} is neither allow nor refuse", "correct it", "limits_when_away", file
        )
    if not settings.limits_store:
        return
    parts = urlsplit(settings.limits_store)
    if parts.scheme not in _STORES or not parts.hostname:
        yield Problem("not the address of a store", "write it like valkey://127.0.0.1:6379/0", "limits_store", file)
    elif parts.password:
        yield Problem(
            "a password in the settings can be read", "put it into limits_store_password_file", "limits_store", file
        )


def _names(settings: GatewaySettings, file: str) -> Iterator[Problem]:
    if settings.targets_dns:
        try:
            question(split_address(settings.targets_dns)[0], 0)
        except ValueError as error:
            yield Problem(str(error), "write it like targets.llm.internal:11434", "targets_dns", file)
    if settings.targets_dns and settings.targets_file:
        what = "targets are told in one way, and targets_dns is another"
        yield Problem(what, "keep one of them", "targets_file", file)
    if settings.targets_resolver:
        try:
            split_address(settings.targets_resolver)
        except ValueError as error:
            yield Problem(str(error), "write it like 10.0.0.2:53", "targets_resolver", file)


def _pairs(settings: GatewaySettings, file: str) -> Iterator[Problem]:
    for key, needed in _PAIRS:
        if getattr(settings, key) and not getattr(settings, needed):
            yield Problem(f"useless without {needed}", f"set {needed} as well", key, file)
