"""References to secrets that AWS keeps: what they look like, and what their parts are.

`arn:aws:secretsmanager:us-east-1:123456789012:secret:llm/hf-AbCdEf`, with `:KEY::` behind it for one value of a JSON
object; `arn:aws:ssm:us-east-1:123456789012:parameter/llm/hf`
(https://docs.aws.amazon.com/AmazonECS/latest/developerguide/specifying-sensitive-data.html).
"""

from __future__ import annotations

import re

PATTERN = (
    r"^arn:aws(-cn|-us-gov)?:(secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@-]{1,512}(:[A-Za-z0-9_.-]+::)?"
    r"|ssm:[a-z0-9-]+:\d{12}:parameter/[A-Za-z0-9/_.-]{1,1011})$"
)
SECRETS_MANAGER, PARAMETERS = "secretsmanager", "ssm"


def reference(value: object) -> str:
    """Never repeats what was written: it may be the secret itself."""
    if not isinstance(value, str) or not re.fullmatch(PATTERN, value):
        raise ValueError(
            "is no reference to a secret; write the ARN of one in Secrets Manager or of a parameter of SSM, like "
            "arn:aws:ssm:us-east-1:123456789012:parameter/llm/hf"
        )
    return value


def secret_arn(value: object) -> str:
    """One that Secrets Manager keeps, whole."""
    found = reference(value)
    if service_of(found) != SECRETS_MANAGER or found.endswith("::"):
        raise ValueError("is no whole secret of Secrets Manager, and ECS takes logins from there only; write its ARN")
    return found


def service_of(arn: str) -> str:
    return arn.split(":")[2]


def region_of(arn: str) -> str:
    return arn.split(":")[3]


def whole(arn: str) -> str:
    """Without the key of the one value that is meant."""
    return ":".join(arn.split(":")[:7]) if service_of(arn) == SECRETS_MANAGER else arn
