"""The spec's section `gateway`: where the edge answers, to whom, and within which limits.

Paths start at the folder of the spec. What values alone can get wrong is refused here, the rest in `check_gateway.py`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from arriero.spec import gateway_values as of_gateway
from arriero.spec import values
from arriero.spec.section import Section
from arriero.spec.units import Bytes, Duration

Address = Annotated[str, BeforeValidator(of_gateway.address), values.schema(values.ADDRESS_PATTERN)]
File = Annotated[str, BeforeValidator(values.file_name), WithJsonSchema({"type": "string", "minLength": 1})]
Origin = Annotated[str, BeforeValidator(of_gateway.origin), values.schema(of_gateway.ORIGIN_PATTERN)]
PublicName = Annotated[str, BeforeValidator(of_gateway.public_name), values.schema(of_gateway.NAME_PATTERN, 253)]
Range = Annotated[str, BeforeValidator(of_gateway.address_range), WithJsonSchema({"type": "string"})]
Store = Annotated[str, BeforeValidator(of_gateway.store), values.schema(of_gateway.STORE_PATTERN)]
Collector = Annotated[str, BeforeValidator(of_gateway.collector), values.schema(of_gateway.COLLECTOR_PATTERN)]
FrontDoor = Annotated[str, BeforeValidator(of_gateway.front_door), values.schema(values.UUID_PATTERN)]
Wait = Annotated[Duration, values.above_zero]
Amount = Annotated[Bytes, values.above_zero]
Price = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False), BeforeValidator(of_gateway.price)]


class Tls(Section):
    """The listener's side of TLS: PEM files, read anew while it serves."""

    certificate: File = Field(description="The certificate, with the chain below it.")
    key: File = Field(description="Its key, without a passphrase; only its owner may read it.")
    client_ca: File | None = Field(
        default=None, description="Who signs clients' certificates; from then on they need one."
    )


class GatewayLimits(Section):
    """What one client may ask, and how long each wait lasts."""

    queue: Annotated[int, Field(strict=True, ge=1, le=100_000)] = Field(
        default=256, description="Requests that may wait for each model; beyond them clients get 503."
    )
    queue_within: Wait = Field(default=Duration(300), description="So long may one wait for a free place.")
    first_byte_within: Wait = Field(default=Duration(900), description="So long may a target take to begin its answer.")
    drain_within: Wait | None = Field(
        default=None, description="So long may open answers go on when it is stopped; 30s after `up`, else 5m."
    )
    body: Amount = Field(default=Bytes(64 * 2**20), description="The largest request.")
    connections: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] = Field(
        default=4096, description="Open connections of all clients."
    )


class Prices(Section):
    """What a key's `spend_a_day` is counted by, in its currency."""

    in_per_million: Price = Field(default=0.0, description="For a million tokens of questions.")
    out_per_million: Price = Field(default=0.0, description="For a million tokens of answers.")


class SharedLimits(Section):
    """Where several gateways count what keys have used."""

    store: Store = Field(description="A Valkey or Redis, like valkey://10.0.0.5:6379/0.")
    password_file: File | None = Field(default=None, description="The file that holds its password.")
    when_away: Literal["allow", "refuse"] = Field(
        default="allow", description="While it is away: each gateway counts for itself, or keys with limits get 503."
    )


class Gateway(Section):
    """Where the edge answers, to whom, and within which limits."""

    address: Address = Field(
        default="127.0.0.1", description="Where it listens; off this machine it needs API keys (arriero keys add)."
    )
    port: Annotated[int, Field(strict=True, ge=1, le=65535)] = Field(default=11434, description="Its TCP port.")
    keys: File | None = Field(default=None, description="The file of API keys; by default one in the folder .arriero.")
    tls: Tls | None = Field(default=None, description="Serves https in place of http.")
    hosts: tuple[PublicName, ...] = Field(default=(), description="Its public names: others in Host are refused.")
    origins: tuple[Origin, ...] = Field(default=(), description="Web pages that may ask it, or `*` for all.")
    trusted_proxies: tuple[Range, ...] = Field(
        default=(), description="Ranges of proxies whose X-Forwarded-For is believed."
    )
    metrics_from: tuple[Range, ...] = Field(default=(), description="Ranges that may read /metrics without a key.")
    front_door: FrontDoor | None = Field(
        default=None, description="The one Front Door that requests must come through."
    )
    workers: Annotated[int, Field(strict=True, ge=1, le=64)] = Field(default=1, description="How many processes serve.")
    limits: GatewayLimits = Field(default=GatewayLimits(), description="What clients may ask, and how long they wait.")
    prices: Prices = Field(default=Prices(), description="What keys' spending is counted by.")
    shared_limits: SharedLimits | None = Field(
        default=None, description="Where several gateways count what keys have used."
    )
    otlp_endpoint: Collector | None = Field(default=None, description="Gets an OpenTelemetry span for each request.")
