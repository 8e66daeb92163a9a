"""What a client has who asks through an emulated load balancer or Front Door: a key, and a connection over TLS."""

from __future__ import annotations

import http.client
import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path

from arriero.control import keys as keys_file
from arriero.control.keys import Key, make_lock

CREATED = datetime(2026, 1, 1, tzinfo=UTC)
# Without rights for the port itself the stage opens another.
PORTS = (443, 10443)


def key_and_hashes(folder: Path) -> tuple[str, str]:
    """The text of a new key, and of the file that holds its hash."""
    text, lock = make_lock()
    file = folder / "keys.json"
    keys_file.write(file, [Key("app", (lock,), CREATED)])
    return text.reveal(), file.read_text()


def connected(folder: Path, address: str) -> http.client.HTTPSConnection:
    """To what listens at `address`, by the authority that `folder` has of it."""
    context = ssl.create_default_context(cafile=str(folder / address / "ca.pem"))
    for port in PORTS:
        connection = http.client.HTTPSConnection(address, port, timeout=30, context=context)
        try:
            connection.connect()
        except ConnectionRefusedError:
            continue
        return connection
    raise AssertionError(f"nothing listens on {address}")


def connected_by_name(stage: Path, host: str, address: str) -> http.client.HTTPSConnection:
    """To what listens at `address` under a name that no DNS of this machine knows; `stage` has who signed for it."""
    return connected_as(stage / "environments" / host.partition(".")[2] / "ca.pem", host, address)


def connected_as(authority: Path, host: str, address: str) -> http.client.HTTPSConnection:
    """To what listens at `address` under that name, by the file of who signed for it."""
    context = ssl.create_default_context(cafile=str(authority))
    for port in PORTS:
        try:
            plain = socket.create_connection((address, port), timeout=30)
        except ConnectionRefusedError:
            continue
        connection = http.client.HTTPSConnection(host, timeout=30, context=context)
        connection.sock = context.wrap_socket(plain, server_hostname=host)
        return connection
    raise AssertionError(f"nothing listens on {address}")
