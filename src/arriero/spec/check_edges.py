"""The rules of `ingress.alb.edges`: what a gateway in a cloud can't have of what the spec says of gateways."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from arriero.errors import Problem
from arriero.spec import secret_values
from arriero.spec.ingress import Edges

if TYPE_CHECKING:
    from arriero.spec.model import Spec

AT = "ingress.alb.edges"


def edge_problems(spec: Spec, edges: Edges) -> Iterator[Problem]:
    for index, arn in enumerate(edges.keys):
        if secret_values.is_in_key_vault(arn):
            what = "is kept in Key Vault, and ECS reads from AWS only"
            remedy = f"keep a copy there, and write an ARN like {secret_values.ARN_EXAMPLE}"
            yield Problem(what, remedy, f"{AT}.keys[{index}]")
    if not spec.sidecar:
        what = "edges run from the targets' image, in which there is no arriero: sidecar is false"
        yield Problem(what, "take an image that has it and remove sidecar, or remove edges", AT)
    for key, needed in (("shared_limits", spec.gateway.shared_limits), ("otlp_endpoint", spec.gateway.otlp_endpoint)):
        if needed:
            what = "the image that edges run from lacks the packages for it"
            yield Problem(what, "remove it, or remove ingress.alb.edges", f"gateway.{key}")
    for name, site in spec.sites.items():
        if site.cloud == "aws" and (network := spec.site(name).network).vpc:
            what = f"{network.vpc} is yours, and whether it gives private names, by which edges find targets, is unread"
            yield Problem(
                what, "remove ingress.alb.edges, or let arriero make the network", f"sites.{name}.network.vpc"
            )
