"""What the role `patient_step` needs, by cloud: how its throttling reads, and what to do about a failure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from arriero.events import Json

SECONDS = 300  # with a cloud that throttles, in all


@dataclass(frozen=True, slots=True)
class Patience:
    """`throttled` is a regular expression; `remedies` go by a word of the cloud's message. `names_its_task`: the
    cloud's words alone do not tell what was done.
    """

    cloud: str
    throttled: str
    names_its_task: bool
    remedies: Mapping[str, str]

    def variables(self, ready_seconds: int = SECONDS) -> dict[str, Json]:
        """A site that is to be ready sooner than patience ends is given up then."""
        return {
            "patient_step_cloud": self.cloud,
            "patient_step_throttled": self.throttled,
            "patient_step_names_its_task": self.names_its_task,
            "patient_step_remedies": [{"sign": sign, "remedy": remedy} for sign, remedy in self.remedies.items()],
            "patient_step_seconds": min(SECONDS, ready_seconds),
        }
