"""A gateway's settings as the spec has them. Pure: the caller says where files and ports are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from arriero.control.settings import GatewaySettings, Limits
from arriero.spec.gateway import Gateway
from arriero.spec.model import Spec


@dataclass(frozen=True, slots=True)
class Places:
    """Where this gateway listens, and its files: `placed` gives a path that the spec names as the settings need it."""

    listen: str
    control: str
    token: str
    targets: str
    keys: str
    placed: Callable[[str], str]
    access_log: str = "-"
    drain_seconds: float = 300.0


def files_of(wanted: Gateway) -> dict[str, str]:
    """Each file that must be there before it can serve, by its key in the spec; paths as they are written."""
    tls, shared = wanted.tls, wanted.shared_limits
    named = {
        "gateway.keys": wanted.keys,
        "gateway.tls.certificate": tls.certificate if tls else None,
        "gateway.tls.key": tls.key if tls else None,
        "gateway.tls.client_ca": tls.client_ca if tls else None,
        "gateway.shared_limits.password_file": shared.password_file if shared else None,
    }
    return {key: name for key, name in named.items() if name}


def settings_of(spec: Spec, places: Places) -> GatewaySettings:
    """The file that `arriero gateway run` takes; `places.keys` counts where the spec names no file of keys."""
    wanted, placed = spec.gateway, places.placed
    tls, shared = wanted.tls, wanted.shared_limits
    return GatewaySettings(
        service=spec.name,
        listen=places.listen,
        control=places.control,
        admin_token_file=places.token,
        targets_file=places.targets,
        access_log=places.access_log,
        origins=wanted.origins,
        limits=_limits(wanted, places.drain_seconds),
        keys_file=placed(wanted.keys) if wanted.keys else places.keys,
        hosts=wanted.hosts,
        metrics_sources=wanted.metrics_from,
        trusted_proxies=wanted.trusted_proxies,
        front_door_id=wanted.front_door or "",
        limits_store=shared.store if shared else "",
        limits_store_password_file=placed(shared.password_file) if shared and shared.password_file else "",
        limits_when_away=shared.when_away if shared else "allow",
        price_in_per_million=wanted.prices.in_per_million,
        price_out_per_million=wanted.prices.out_per_million,
        tls_certificate=placed(tls.certificate) if tls else "",
        tls_key=placed(tls.key) if tls else "",
        tls_client_ca=placed(tls.client_ca) if tls and tls.client_ca else "",
        workers=wanted.workers,
        otlp_endpoint=wanted.otlp_endpoint or "",
    )


def _limits(wanted: Gateway, drain_seconds: float) -> Limits:
    limits = wanted.limits
    return Limits(
        body_bytes=int(limits.body),
        connections=limits.connections,
        connections_an_address=limits.connections,
        queue_length=limits.queue,
        queue_seconds=float(limits.queue_within),
        first_byte_seconds=float(limits.first_byte_within),
        drain_seconds=float(limits.drain_within or drain_seconds),
    )
