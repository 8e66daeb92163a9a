"""What the role `patient_step` needs for steps at Azure."""

from __future__ import annotations

from arriero.clouds.azure.errors import CODES, ENTRA
from arriero.events import Json

SECONDS = 300  # with an Azure that throttles, in all
# The same remedies that reading gives, looked up by Azure's code in what a module says.
REMEDIES = {
    **{code: remedy for code, (_, remedy) in {**CODES, **ENTRA}.items()},
    "AuthorizationFailed": "give the login a role that holds this action, such as Contributor",
    "TooManyRequests": "Azure throttles: wait a minute and run arriero up again",
    "429": "Azure throttles: wait a minute and run arriero up again",
    "ServiceUnavailable": "the region is down or full: run arriero up again later, or choose another region",
    "does not run": "see its output with arriero logs, mend the image or the settings, and run arriero up again",
    "InaccessibleImage": "see that the image exists and that the subnet's way out reaches its registry",
}


def variables(ready_seconds: int = SECONDS) -> dict[str, Json]:
    """A site that is to be ready sooner than patience ends is given up then."""
    return {
        "patient_step_cloud": "Azure",
        "patient_step_throttled": "TooManyRequests|RequestsThrottled|429",
        "patient_step_names_its_task": False,
        "patient_step_remedies": [{"sign": sign, "remedy": remedy} for sign, remedy in REMEDIES.items()],
        "patient_step_seconds": min(SECONDS, ready_seconds),
    }
