"""The spec's section `network`: how a site's targets are reached, and how they reach out.

`network: private` is short for `network: {mode: private}`. What `mode` is where nobody says so, and what else depends
on the rest of the spec, is in `check_network.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from arriero.spec import values
from arriero.spec.section import Section

Mode = Literal["private", "public"]

Cidr = Annotated[str, BeforeValidator(values.network_range), values.schema(values.CIDR_PATTERN)]
Source = Annotated[str, BeforeValidator(values.source_range), values.schema(values.CIDR_PATTERN)]
VpcId = Annotated[str, BeforeValidator(values.vpc_id), values.schema(values.VPC_PATTERN)]
SubnetId = Annotated[str, BeforeValidator(values.subnet_id), values.schema(values.SUBNET_PATTERN)]


def _private_endpoint(value: object) -> object:
    """Says of what else could be meant why it is not asked for here."""
    if value == "storage":
        raise ValueError("needs no word: a private site has one wherever models come from storage; remove storage")
    return value


PrivateEndpoint = Annotated[Literal["vault", "registry"], BeforeValidator(_private_endpoint)]


class Network(Section):
    """The site's own address range, who may reach port 11434, and how targets reach out."""

    mode: Mode | None = Field(
        default=None,
        description="`private`: no target has a public address; `public`: at AWS each has one. By default private in "
        "production (policy.production), else public.",
    )
    cidr: Cidr = Field(
        default="10.64.0.0/16", description="The private IPv4 range that the site's network is made with."
    )
    allow_from: tuple[Source, ...] = Field(
        default=(), description="IPv4 ranges that may reach the targets, besides the gateway or the site's own network."
    )
    way_out: Literal["cheapest", "nat", "endpoints"] = Field(
        default="cheapest",
        description="How private targets at AWS reach what they need: a NAT gateway, or endpoints of AWS's services.",
    )
    private_endpoints: tuple[PrivateEndpoint, ...] = Field(
        default=(),
        description="What a private site at Azure reaches through private endpoints besides its stored models: `vault` "
        "is the Key Vaults of its secrets, for who deploys or scales from the site's network; `registry` is what its "
        "image is pulled from with `registry_identity`.",
    )
    vpc: VpcId | None = Field(default=None, description="Your own VPC at AWS; `cidr` is its range then.")
    subnets: tuple[SubnetId, ...] = Field(
        default=(), description="Your own subnets in it, for the targets; arriero makes and removes none there."
    )

    @model_validator(mode="before")
    @classmethod
    def _accept_a_bare_mode(cls, data: Any) -> Any:
        return data if isinstance(data, Mapping | Network) or data is None else {"mode": data}

    @property
    def is_private(self) -> bool:
        return self.mode == "private"
