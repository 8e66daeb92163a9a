"""The spec's section `ingress`: what stands between clients and the gateways. So far that is nginx, as exported files.

Paths start at the folder of the spec. What values alone can get wrong is refused here, the rest in `check_ingress.py`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from arriero.spec import values
from arriero.spec.gateway import Address, File, Range, Tls
from arriero.spec.section import Section

Server = Annotated[str, BeforeValidator(values.server), values.schema(values.SERVER_PATTERN)]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]


class NginxLimits(Section):
    """What one client may ask; beyond it nginx answers 429."""

    by: Literal["address", "key"] = Field(
        default="address", description="Who one client is: an address, or a key and without one the address."
    )
    requests_a_minute: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] = Field(
        default=600, description="Requests in a minute, evenly spread."
    )
    burst: Annotated[int, Field(strict=True, ge=0, le=100_000)] = Field(
        default=60, description="Requests that may come at once besides."
    )
    connections: Annotated[int, Field(strict=True, ge=1, le=65_535)] = Field(
        default=64, description="Requests that may be open at a time."
    )


class Nginx(Section):
    """An nginx before the gateways: `arriero export nginx` writes its configuration."""

    address: Address = Field(default="127.0.0.1", description="Where it listens.")
    port: Port = Field(default=8080, description="Its TCP port: of https where `tls` is set, else of http.")
    redirect_from: Port | None = Field(
        default=None, description="A port of http whose clients are sent to https with 308."
    )
    gateways: tuple[Server, ...] = Field(
        default=(), description="The gateways behind it, like 10.0.1.5:11434; by default this spec's own."
    )
    gateways_ca: File | None = Field(
        default=None, description="Who signed the gateways' certificates, where `gateway.tls` is set."
    )
    tls: Tls | None = Field(default=None, description="Serves https in place of http.")
    trusted_proxies: tuple[Range, ...] = Field(
        default=(), description="Ranges of proxies before it whose X-Forwarded-For is believed."
    )
    without_keys: bool = Field(
        default=False, strict=True, description="Whether the gateways ask for no API keys; on loopback only."
    )
    limits: NginxLimits = Field(default=NginxLimits(), description="What one client may ask.")


class Ingress(Section):
    """What stands between clients and the gateways."""

    nginx: Nginx | None = Field(default=None, description="An nginx, as `arriero export nginx` writes it.")
