"""The key `deploy.strategy`: how a new release takes the place of the running one."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_serializer, model_validator

from arriero.spec import validation_values, values
from arriero.spec.section import Section
from arriero.spec.units import Duration, Percent

ROLLING = "rolling"


def _steps(shares: tuple[Percent, ...]) -> tuple[Percent, ...]:
    """Each step gives more than the one before, and the last one everything."""
    if any(later <= earlier for earlier, later in zip((Percent(0.0), *shares), shares, strict=False)):
        raise ValueError(f"is {_told(shares)}; each step must be more than the one before, like [5%, 25%, 100%]")
    if shares and shares[-1] != 1.0:
        raise ValueError(f"ends at {shares[-1]}; the last step must be 100%")
    return shares


def _told(shares: tuple[Percent, ...]) -> str:
    return f"[{', '.join(map(str, shares))}]"


class Strategy(Section):
    """How a new release takes the place of the running one: `rolling`, or like {canary: [5%, 25%, 100%], hold: 2m}."""

    canary: Annotated[tuple[Annotated[Percent, validation_values.up_to_whole], ...], AfterValidator(_steps)] = Field(
        default=(), description="Shares of the requests that the new release gets, one after the other."
    )
    hold: Annotated[Duration, values.above_zero] = Field(
        default=Duration(120),
        description="How long each step is judged at least; up to three times with little traffic.",
    )

    @model_validator(mode="before")
    @classmethod
    def _accept_a_word(cls, data: Any) -> Any:
        if data == ROLLING:
            return {}
        if isinstance(data, str):
            raise ValueError(f"{values.shown(data)} is not known; write rolling, or {{canary: [5%, 25%, 100%]}}")
        if isinstance(data, dict) and data and "canary" not in data:
            raise ValueError("has no steps; add them, like canary: [5%, 25%, 100%]")
        return data

    @model_serializer(mode="wrap")
    def _as_a_word(self, whole: Any) -> Any:
        return whole(self) if self.canary else ROLLING

    @property
    def percents(self) -> tuple[float, ...]:
        return tuple(round(100 * share, 4) for share in self.canary)
