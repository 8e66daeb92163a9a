"""The spec's section `ingress`: what stands between clients and the service: nginx as exported files
or on this machine, a load balancer before each AWS site, gateways at each Azure site, and one Front Door before those.

Paths start at the folder of the spec. What values alone can get wrong is refused here, the rest in `check_ingress.py`,
`check_alb.py`, `check_azure_edges.py` and `check_front_door.py`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from arriero.spec import ingress_values as of_ingress
from arriero.spec import secret_values, values
from arriero.spec.gateway import Address, File, PublicName, Range, Tls
from arriero.spec.section import Section
from arriero.spec.units import Duration

Server = Annotated[str, BeforeValidator(values.server), values.schema(values.SERVER_PATTERN)]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
Certificate = Annotated[str, BeforeValidator(of_ingress.certificate), values.schema(of_ingress.CERTIFICATE_PATTERN)]
WebAcl = Annotated[str, BeforeValidator(of_ingress.web_acl), values.schema(of_ingress.WEB_ACL_PATTERN)]
TlsPolicy = Annotated[str, BeforeValidator(of_ingress.tls_policy), values.schema(of_ingress.TLS_POLICY_PATTERN)]
Client = Annotated[str, BeforeValidator(of_ingress.client_range), values.schema(values.CIDR_PATTERN)]
InKeyVault = Annotated[str, BeforeValidator(of_ingress.key_vault_secret), values.schema(secret_values.ADDRESS_PATTERN)]
Identity = Annotated[str, BeforeValidator(of_ingress.identity), values.schema(of_ingress.IDENTITY_PATTERN)]
InAws = Annotated[str, BeforeValidator(of_ingress.aws_secret), values.schema(secret_values.PATTERN)]
DoorName = Annotated[str, BeforeValidator(of_ingress.door_name), values.schema(of_ingress.DOOR_NAME_PATTERN, 253)]
Firewall = Annotated[str, BeforeValidator(of_ingress.firewall), values.schema(of_ingress.FIREWALL_PATTERN)]
Wait = Annotated[Duration, values.above_zero]


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
    """An nginx before the gateways: `arriero export nginx` writes its configuration, or `arriero up` runs it here."""

    run: Literal["elsewhere", "here"] = Field(
        default="elsewhere",
        description="Who runs it: you, with exported files, or `arriero up` on this machine, before its own gateway.",
    )
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


class Edges(Section):
    """Gateways between the load balancer and the targets, an ECS service of their own at each AWS site."""

    count: Annotated[int, Field(strict=True, ge=2, le=20)] = Field(
        default=2, description="How many there are, so that one may be lost."
    )
    keys: tuple[InAws, ...] = Field(
        min_length=1,
        description="ARNs of secrets that hold the file of API keys, one for each region that has an AWS site.",
    )


class Alb(Section):
    """AWS's application load balancer, one for each AWS site, before its targets or its edges: https on 443, and 80
    leads there.
    """

    certificates: tuple[Certificate, ...] = Field(
        min_length=1, description="ARNs of certificates in ACM, one for each region that has an AWS site."
    )
    hosts: tuple[PublicName, ...] = Field(
        min_length=1, description="The names that clients use, like llm.example.com: those of the certificates."
    )
    scheme: Literal["internal", "internet-facing"] = Field(
        default="internal", description="Who may have its address: AWS's networks and what is joined to them, or all."
    )
    allow_from: tuple[Client, ...] = Field(
        default=(),
        description="IPv4 ranges that may reach it; by default the site's own network, where it is internal.",
    )
    redirect: bool = Field(
        default=True, strict=True, description="Whether port 80 is open, too, and sends clients to https."
    )
    idle_timeout: Wait = Field(
        default=Duration(of_ingress.MOST_IDLE_SECONDS), description="So long may a connection be silent: 300s to 4000s."
    )
    drain_within: Duration = Field(
        default=Duration(300), description="So long may open answers of a target that goes last; at most 1h."
    )
    tls_policy: TlsPolicy = Field(
        default="ELBSecurityPolicy-TLS13-1-2-2021-06", description="AWS's name for the TLS versions and ciphers."
    )
    web_acls: tuple[WebAcl, ...] = Field(
        default=(), description="ARNs of regional web ACLs (WAF) to put before it, at most one for each region."
    )
    edges: Edges | None = Field(
        default=None, description="Gateways behind it, which ask for keys; without them it leads to the targets."
    )


class AzureEdges(Section):
    """Gateways before the targets of each Azure site: one container app there, https for everybody who has a key."""

    count: Annotated[int, Field(strict=True, ge=2, le=20)] = Field(
        default=2, description="How many there are at each Azure site, so that one may be lost."
    )
    keys: InKeyVault = Field(description="The address of a secret in Key Vault that holds the file of API keys.")
    identity: Identity = Field(
        description="The id of a user-assigned managed identity of yours that may read that secret, and pull the image "
        "where that is in a registry of Azure."
    )
    allow_from: tuple[Client, ...] = Field(
        default=(), description="IPv4 ranges of clients that may reach them; by default everybody."
    )


class FrontDoor(Section):
    """Azure Front Door, one for the whole service, before the load balancers of AWS sites and the edges of Azure sites:
    https for everybody.
    """

    sku: Literal["standard", "premium"] = Field(
        default="standard", description="Azure's tier: what is made here needs no more than standard."
    )
    response_timeout: Wait = Field(
        default=Duration(of_ingress.MOST_RESPONSE_SECONDS),
        description="So long may an answer take to begin, and be silent later: 16s to 240s.",
    )
    hosts: tuple[DoorName, ...] = Field(
        default=(),
        description="Names of yours for clients, like llm.example.com, besides the one that Azure gives it. Each needs "
        "two records in your DNS, which `arriero status` tells.",
    )
    web_application_firewall: Firewall | None = Field(
        default=None, description="The id of a WAF policy of yours to put before it; its rules are yours."
    )
    region: str = Field(
        default="",
        description="Azure's region for its resource group; by default that of the first Azure site. "
        "It answers everywhere all the same.",
    )


class Ingress(Section):
    """What stands between clients and the gateways."""

    nginx: Nginx | None = Field(default=None, description="An nginx, exported as files or run by `up`.")
    alb: Alb | None = Field(default=None, description="An application load balancer before each AWS site.")
    edges: AzureEdges | None = Field(default=None, description="Gateways before the targets of each Azure site.")
    front_door: FrontDoor | None = Field(
        default=None, description="One Azure Front Door before the load balancers of AWS sites and the edges at Azure."
    )
