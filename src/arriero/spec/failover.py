"""The spec's section `failover`: which sites stand in for each other, what was promised, and when roles change.

What values alone can get wrong is refused here, the rest in `check_failover.py`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from arriero.spec import values
from arriero.spec.section import Section
from arriero.spec.units import Duration

SiteName = Annotated[str, BeforeValidator(values.site_name), values.schema(values.NAME_PATTERN, max_length=24)]
Wait = Annotated[Duration, values.above_zero]


class Pair(Section):
    """Two sites that stand in for each other: one active and one standby, or both active."""

    sites: tuple[SiteName, ...] = Field(description="Two sites of this spec, like [aws-east, azure-east].")
    rto: Wait = Field(
        default=Duration(5), description="Promised: from the loss of one to answers of the other (recovery time)."
    )
    rpo: Duration | None = Field(
        default=None, description="Promised: how much of what was recorded may be lost with a site; `0s`: nothing."
    )


class Failover(Section):
    """Which sites stand in for each other. Requests go to a site that answers in any case; this is about roles."""

    pairs: tuple[Pair, ...] = Field(default=(), description="Each site is in one pair at most.")
    automatic: bool = Field(
        default=True, strict=True, description="Whether the controller changes roles when an active site is lost."
    )
    after: Wait = Field(
        default=Duration(30), description="A site none of whose targets answered for so long is lost; its role goes."
    )
    back_after: Wait | None = Field(
        default=None, description="A site that came back and answered for so long gets its role again; unset: by hand."
    )
    quiet: Wait = Field(
        default=Duration(900), description="After a change of roles the controller makes none for so long."
    )
