"""The section `ledger` of the spec: where what was shipped is recorded, and how long a deployer may be silent."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from arriero.spec import values
from arriero.spec.section import Section
from arriero.spec.units import Duration


class Ledger(Section):
    """Where releases are recorded, and how long a deployer that falls silent keeps the right to deploy."""

    authority: Literal["aws", "azure"] | None = Field(
        default=None, description="The cloud whose store decides; by default the first active site's."
    )
    lease: Annotated[Duration, values.above_zero] = Field(
        default=Duration(30), description="A deployer that gave no sign for so long has lost its right to deploy."
    )
