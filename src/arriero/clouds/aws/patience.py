"""What the role `patient_step` needs for steps at AWS."""

from __future__ import annotations

from arriero.clouds.aws.errors import AGAIN, CODES, DENIED, THROTTLED
from arriero.clouds.patience import Patience

# The same remedies that reading gives, looked up by AWS's code in what a module says.
REMEDIES = {
    **{code: remedy for code, (_, remedy) in CODES.items()},
    **dict.fromkeys(sorted(THROTTLED), AGAIN),
    **dict.fromkeys(sorted(DENIED), "let an administrator allow that in the login's IAM policy"),
}

PATIENCE = Patience("AWS", "Throttling|RequestLimitExceeded|TooManyRequests|SlowDown|Rate exceeded", True, REMEDIES)
