"""What the role `patient_step` needs for steps at AWS."""

from __future__ import annotations

from arriero.clouds.aws.errors import AGAIN, CODES, DENIED, THROTTLED
from arriero.events import Json

SECONDS = 300  # with an AWS that throttles, in all
# The same remedies that reading gives, looked up by AWS's code in what a module says.
REMEDIES = {
    **{code: remedy for code, (_, remedy) in CODES.items()},
    **dict.fromkeys(sorted(THROTTLED), AGAIN),
    **dict.fromkeys(sorted(DENIED), "let an administrator allow that in the login's IAM policy"),
}


def variables(ready_seconds: int = SECONDS) -> dict[str, Json]:
    """A site that is to be ready sooner than patience ends is given up then."""
    return {
        "patient_step_cloud": "AWS",
        "patient_step_throttled": "Throttling|RequestLimitExceeded|TooManyRequests|SlowDown|Rate exceeded",
        "patient_step_names_its_task": True,
        "patient_step_remedies": [{"sign": sign, "remedy": remedy} for sign, remedy in REMEDIES.items()],
        "patient_step_seconds": min(SECONDS, ready_seconds),
    }
