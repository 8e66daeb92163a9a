"""The key `gpu` of a site: which GPU each target has, and how many of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from arriero.spec.section import Section


class Gpu(Section):
    """The GPUs of one target; written `T4` or `{type: T4, count: 1}`. Which machines have them, arriero finds; at Azure
    a container app has one, or a virtual machine one to four.
    """

    type: Annotated[str, Field(strict=True, min_length=1, max_length=60)] = Field(
        description="As its maker names it: at AWS T4, A10G, L4 or L40S, at Azure T4 or A100."
    )
    count: Annotated[int, Field(strict=True, ge=1, le=8)] = Field(default=1, description="How many each target has.")
    allow_retired: Annotated[bool, Field(strict=True)] = Field(
        default=False,
        description="Whether `type` may name a machine of AWS that is sold no longer, as p3.2xlarge: EC2 still starts "
        "some, as long as it has them.",
    )
    machines: Literal["virtual", "managed"] | None = Field(
        default=None,
        description="`virtual`: at Azure each target is a virtual machine (NCasT4_v3) in place of a container app. "
        "`managed`: at AWS they are ECS Managed Instances, which AWS patches and replaces for a fee, in place of an "
        "autoscaling group.",
    )

    @model_validator(mode="before")
    @classmethod
    def _accept_a_bare_type(cls, data: Any) -> Any:
        return {"type": data} if isinstance(data, str) else data

    @property
    def how(self) -> str:
        """By which way machines with it are had, in the catalog's word; empty for the way a cloud has by itself."""
        return self.machines if self.machines == "virtual" else ""

    @property
    def is_managed(self) -> bool:
        """Whether its machines are ECS Managed Instances."""
        return self.machines == "managed"

    def __str__(self) -> str:
        return f"{self.count} x {self.type}"


def is_virtual(gpu: Gpu | None) -> bool:
    """Whether a site's targets are virtual machines."""
    return gpu is not None and gpu.machines == "virtual"
