"""References to secrets that a cloud keeps: what they look like, and what their parts are.

At AWS `arn:aws:secretsmanager:us-east-1:123456789012:secret:llm/hf-AbCdEf`, with `:KEY::` behind it for one value of a
JSON object; `arn:aws:ssm:us-east-1:123456789012:parameter/llm/hf`
(https://docs.aws.amazon.com/AmazonECS/latest/developerguide/specifying-sensitive-data.html). At Azure
`https://llm-vault.vault.azure.net/secrets/hf`, with `/VERSION` behind it for one that stays
(https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates).
"""

from __future__ import annotations

import re

_ARN = (
    r"arn:aws(-cn|-us-gov)?:(secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@-]{1,512}(:[A-Za-z0-9_.-]+::)?"
    r"|ssm:[a-z0-9-]+:\d{12}:parameter/[A-Za-z0-9/_.-]{1,1011})"
)
_ADDRESS = r"https://[a-z][a-z0-9-]{1,22}[a-z0-9]\.vault\.azure\.net/secrets/[0-9A-Za-z-]{1,127}(/[0-9a-f]{32})?"
PATTERN, ADDRESS_PATTERN = f"^({_ARN}|{_ADDRESS})$", f"^{_ADDRESS}$"
SECRETS_MANAGER, PARAMETERS = "secretsmanager", "ssm"
ARN_EXAMPLE = "arn:aws:ssm:us-east-1:123456789012:parameter/llm/hf"
ADDRESS_EXAMPLE = "https://llm-vault.vault.azure.net/secrets/hf"


def reference(value: object) -> str:
    """Never repeats what was written: it may be the secret itself."""
    if not isinstance(value, str) or not re.fullmatch(PATTERN, value):
        raise ValueError(
            "is no reference to a secret; write the ARN of one in Secrets Manager or of a parameter of SSM, like "
            f"{ARN_EXAMPLE}, or the address of one in Key Vault, like {ADDRESS_EXAMPLE}"
        )
    return value


def login(value: object) -> str:
    """One that holds a registry's login: of Secrets Manager, whole, or of Key Vault."""
    found = reference(value)
    if not is_in_key_vault(found) and (service_of(found) != SECRETS_MANAGER or found.endswith("::")):
        raise ValueError("is no whole secret of Secrets Manager, and ECS takes logins from there only; write its ARN")
    return found


def is_in_key_vault(found: str) -> bool:
    return found.startswith("https://")


def vault_of(address: str) -> str:
    """The vault's name, which is one of a kind in all of Azure."""
    return address.removeprefix("https://").partition(".")[0]


def name_of(address: str) -> str:
    return address.split("/")[4]


def version_of(address: str) -> str:
    """Empty where the newest one is meant."""
    return "".join(address.split("/")[5:])


def service_of(arn: str) -> str:
    return arn.split(":")[2]


def region_of(arn: str) -> str:
    return arn.split(":")[3]


def whole(arn: str) -> str:
    """Without the key of the one value that is meant."""
    return ":".join(arn.split(":")[:7]) if service_of(arn) == SECRETS_MANAGER else arn
