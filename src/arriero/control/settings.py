"""The gateway's settings file: deploying writes it, serving reads it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may ask of the gateway, and how long each wait lasts; sizes in bytes, times in seconds.

    `connections_an_address` counts a load balancer as one address. `send_seconds`: a client that reads nothing of its
    answer for so long is let go.
    """

    header_bytes: int = 65_536
    body_bytes: int = 67_108_864
    connections: int = 4096
    connections_an_address: int = 4096
    attempts: int = 2
    queue_length: int = 256
    header_seconds: float = 10.0
    body_seconds: float = 60.0
    idle_seconds: float = 120.0
    send_seconds: float = 300.0
    queue_seconds: float = 300.0
    warming_seconds: float = 3.0
    connect_seconds: float = 2.0
    first_byte_seconds: float = 900.0
    stall_seconds: float = 5.0
    quiet_seconds: float = 60.0
    drain_seconds: float = 300.0
    probe_every_seconds: float = 1.0
    probe_within_seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """One gateway: where it listens (`host:port`), where it takes orders (loopback), and its limits.

    `admin_token_file` holds the token of the control port (mode 0600). `targets_file`, if given, keeps the list of
    targets over a restart. `access_log` is a file, `-` for stdout, or empty for none. `origins` are web origins allowed
    besides the ones of this machine.

    `keys_file` holds the API keys (mode 0600); where it exists, a key is needed. `hosts` are public names in the Host
    header. Ranges of addresses: `metrics_sources` may read /metrics without a key, `trusted_proxies` tell the client's
    address in X-Forwarded-For. `front_door_id` is what X-Azure-FDID must say. `limits_store` (`valkey://host:port/0`)
    counts the keys' limits for several gateways; when it is away each one counts for itself (`allow`), or keys with
    limits get 503 (`refuse`). Prices are for a million tokens. `tls_*` is the listener's side, `targets_*` the side of
    targets at `https://host:port`; `targets_name` is the name in their certificates, if it is not the host. With
    several `workers` so many processes serve. `otlp_endpoint` (`http://host:4318`) gets a span for each request.

    With `targets_dns` (`name:port`) nobody has to tell the targets: they are what the name's A records say, asked anew
    every few seconds of `targets_resolver` (`address:port`), or of the DNS servers in /etc/resolv.conf; `targets_site`
    is the site that they are of.
    """

    service: str
    listen: str
    control: str
    admin_token_file: str
    targets_file: str = ""
    access_log: str = "-"
    origins: tuple[str, ...] = ()
    limits: Limits = field(default=Limits())
    keys_file: str = ""
    hosts: tuple[str, ...] = ()
    metrics_sources: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    front_door_id: str = ""
    limits_store: str = ""
    limits_store_password_file: str = ""
    limits_when_away: str = "allow"
    price_in_per_million: float = 0.0
    price_out_per_million: float = 0.0
    tls_certificate: str = ""
    tls_key: str = ""
    tls_client_ca: str = ""
    targets_ca: str = ""
    targets_certificate: str = ""
    targets_key: str = ""
    targets_name: str = ""
    workers: int = 1
    otlp_endpoint: str = ""
    targets_dns: str = ""
    targets_site: str = ""
    targets_resolver: str = ""

    def as_json(self) -> dict[str, Any]:
        return {"schema": 1, **asdict(self)}

    def write(self, path: Path) -> None:
        """Writes the file that `arriero gateway run --config` takes."""
        path.write_text(json.dumps(self.as_json(), indent=2) + "\n", encoding="utf-8")
