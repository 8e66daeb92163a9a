"""What the role `patient_step` needs for steps at Azure."""

from __future__ import annotations

from arriero.clouds.azure.errors import CODES, ENTRA
from arriero.clouds.patience import Patience

# The same remedies that reading gives, looked up by Azure's code in what a module says.
REMEDIES = {
    **{code: remedy for code, (_, remedy) in {**CODES, **ENTRA}.items()},
    "AuthorizationFailed": "give the login a role that holds this action, such as Contributor",
    "TooManyRequests": "Azure throttles: wait a minute and run arriero up again",
    "429": "Azure throttles: wait a minute and run arriero up again",
    "ServiceUnavailable": "the region is down or full: run arriero up again later, or choose another region",
    "ForbiddenByRbac": "give the login the role Key Vault Secrets User at that secret",
    "ForbiddenByFirewall": "add this machine's address to the vault's firewall",
    "ForbiddenByConnection": "run arriero where the vault's private endpoint is reached, or open it to some addresses",
    "SecretNotFound": "put the secret into the vault, or correct the reference",
    "SecretDisabled": "enable that version, or make a new one",
    "does not run": "see its output with arriero logs, mend the image or the settings, and run arriero up again",
    "InaccessibleImage": "see that the image exists and that the subnet's way out reaches its registry",
}

PATIENCE = Patience("Azure", "TooManyRequests|RequestsThrottled|429", False, REMEDIES)
