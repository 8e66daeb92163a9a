"""The spec's section `budget`: what the service may cost in a month, and from which share of it on a plan warns."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from arriero.spec import values
from arriero.spec.section import Section
from arriero.spec.units import Dollars, Percent


class Budget(Section):
    """What the service may cost in a month, by list prices, all its sites together."""

    monthly: Annotated[Dollars, values.above_zero] | None = Field(
        default=None, description="Before tax and discounts, like 500 USD; unset: no budget."
    )
    warn: Percent = Field(default=Percent(0.8), description="From this share of it on, `plan` and `cost` warn.")
