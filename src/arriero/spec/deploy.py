"""The spec's section `deploy`: how a new release comes in."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from arriero.spec import values
from arriero.spec.section import Section
from arriero.spec.strategy import Strategy
from arriero.spec.units import Duration

Wait = Annotated[Duration, values.above_zero]


class Deploy(Section):
    """How a new release comes in: its way and order, how long to wait for its targets, and the grace of old ones."""

    ready_within: Wait = Field(
        default=Duration(900), description="A site whose targets don't answer in time has failed."
    )
    stop_within: Wait = Field(default=Duration(30), description="From SIGTERM to SIGKILL; Fargate allows 2s to 120s.")
    strategy: Strategy = Field(
        default=Strategy(),
        description="`rolling`: targets are replaced; `{canary: [5%, 25%, 100%]}`: shares of the traffic, judged.",
    )
    order: Literal["together", "active-first", "one-cloud"] | None = Field(
        default=None,
        description="Which sites go first; the next wait for them. By default together, with a canary active-first.",
    )
    hung_after: Wait | None = Field(
        default=None, description="ACI restarts a server that gave no answer for so long; unset: only one that exits."
    )

    @property
    def is_canary(self) -> bool:
        return bool(self.strategy.canary)
