"""Ollamas of this machine that somebody else runs: looked at, and otherwise left alone."""

from __future__ import annotations

from collections.abc import Callable

from arriero.plan.model import SiteRef, TargetFacts, TargetState

NOBODY = "nothing answers there; it is for its owner to start"


def targets(ref: SiteRef, look: Callable[[str], TargetState]) -> tuple[TargetFacts, ...]:
    """The servers that the spec adopts at this site, whether they answer or not; `look` asks one for its state."""
    return tuple(_target(ref, number, address, look(address)) for number, address in enumerate(ref.adopt, 1))


def _target(ref: SiteRef, number: int, address: str, state: TargetState) -> TargetFacts:
    return TargetFacts(
        id=f"{ref.service}-{ref.site}-adopted-{number}",
        site=ref.site,
        state=state,
        address=address,
        reason="" if state == "ready" else NOBODY,
        is_adopted=True,
    )
