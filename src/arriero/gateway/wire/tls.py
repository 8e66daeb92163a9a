"""TLS on both sides, with certificates that can be renewed while connections stand.

A new certificate counts for new connections: whoever is connected keeps what it has. The listener's own context never
changes; its handshakes are handed the newest one (`sni_callback` runs for clients without SNI, too).
"""

from __future__ import annotations

import ssl
from pathlib import Path

from arriero.control.settings import GatewaySettings
from arriero.errors import ArrieroError, Problem


class TlsError(ArrieroError):
    """A certificate, a key or an authority cannot be used."""


class ListenerTls:
    """What the listener is given; `renew` puts another context behind it."""

    def __init__(self, first: ssl.SSLContext) -> None:
        self._newest = first
        self.context = first
        first.sni_callback = self._hand_newest

    def renew(self, context: ssl.SSLContext) -> None:
        self._newest = context

    def _hand_newest(self, connection: ssl.SSLSocket | ssl.SSLObject, _: str | None, __: ssl.SSLContext) -> None:
        connection.context = self._newest


class TargetsTls:
    """How targets at `https://host:port` are spoken to; made when the first one is, since authorities take memory."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._context: ssl.SSLContext | None = None
        # To be expected in their certificates, in place of the host.
        self.name = settings.targets_name or None

    @property
    def context(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = targets_context(self._settings)
        return self._context

    def renew(self, context: ssl.SSLContext) -> None:
        self._context = context


def listener_files(settings: GatewaySettings) -> tuple[Path, ...]:
    names = (settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
    return tuple(Path(name) for name in names if name)


def targets_files(settings: GatewaySettings) -> tuple[Path, ...]:
    names = (settings.targets_ca, settings.targets_certificate, settings.targets_key)
    return tuple(Path(name) for name in names if name)


def listener_context(settings: GatewaySettings) -> ssl.SSLContext:
    """TLS 1.2 or newer; with `tls_client_ca` every client has to show a certificate. Raises TlsError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    _load_pair(context, settings.tls_certificate, settings.tls_key, "tls_certificate")
    if settings.tls_client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        _load_authority(context, settings.tls_client_ca, "tls_client_ca")
        # A resumed session shows no certificate, and would outlive a change of the authority.
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
    return context


def targets_context(settings: GatewaySettings) -> ssl.SSLContext:
    """Checks a target's certificate against `targets_ca`, or against the system's authorities. Raises TlsError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.targets_ca:
        _load_authority(context, settings.targets_ca, "targets_ca")
    else:
        context.load_default_certs()
    if settings.targets_certificate:
        _load_pair(context, settings.targets_certificate, settings.targets_key, "targets_certificate")
    return context


def _load_pair(context: ssl.SSLContext, certificate: str, key: str, setting: str) -> None:
    def refuse_password() -> str:
        # Else OpenSSL would ask on the terminal, and a gateway has none.
        raise ValueError("the key is encrypted")

    try:
        context.load_cert_chain(certificate, key, refuse_password)
    except (OSError, ValueError) as error:
        what = f"cannot use this certificate with {key}: {_reason(error)}"
        raise TlsError(Problem(what, "give a PEM chain and its unencrypted key", setting, certificate)) from None


def _load_authority(context: ssl.SSLContext, file: str, setting: str) -> None:
    try:
        context.load_verify_locations(file)
    except OSError as error:
        raise TlsError(Problem(f"cannot read it: {_reason(error)}", "give a PEM file", setting, file)) from None


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    return getattr(error, "strerror", None) or str(error)
