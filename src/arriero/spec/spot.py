"""The spec's section `spot`: how many targets of a site on AWS run on capacity that the cloud may take back."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from arriero.spec.section import Section
from arriero.spec.units import Percent

# From the warning to the end: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-capacity-providers.html
WARNING_SECONDS = 120


def _whole_share(value: Percent) -> Percent:
    if not 0 <= value <= 1 or round(value * 100, 6) % 1:
        raise ValueError(f"is {value}; it must be a whole number of percent, 0% to 100%")
    return value


def spot_of(count: int, base: int, share: float) -> int:
    """How many of so many targets are Spot, while there is any."""
    return int(max(0, count - base) * share + 0.5)


class Spot(Section):
    """A base on demand, and a share of Spot of what is above it. Spot may go at any time, after a short warning."""

    base: Annotated[int, Field(strict=True, ge=0, le=1000)] = Field(
        default=1, description="So many targets of a site run on demand, whatever happens to Spot."
    )
    share: Annotated[Percent, AfterValidator(_whole_share)] = Field(
        default=Percent(0.7), description="So many of those above the base are Spot; `0%`: none."
    )
    production: bool = Field(
        default=False, strict=True, description="Whether it may be Spot although `policy.production` is true."
    )

    def of(self, count: int) -> int:
        """How many of so many targets are Spot."""
        return spot_of(count, self.base, self.share)
