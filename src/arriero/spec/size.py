"""The spec's section `size`: processors, memory and disk of one target."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from arriero.spec import values
from arriero.spec.section import Section
from arriero.spec.units import Bytes, VCpu

Cpu = Annotated[VCpu, values.above_zero]
Amount = Annotated[Bytes, values.above_zero]


class Size(Section):
    """What one target gets."""

    cpu: Cpu = Field(default=VCpu(4), description="Processors, like `4 vCPU`.")
    memory: Amount = Field(default=Bytes.gib(16), description="Memory, like `16GiB`; models must fit into it.")
    storage: Amount = Field(
        default=Bytes.gib(20), description="Disk for image and models; the clouds' least and most differ."
    )
