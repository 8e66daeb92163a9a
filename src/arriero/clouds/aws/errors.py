"""What AWS refuses, said in our words: every SDK error becomes a CloudError here, with what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore import exceptions as sdk

from arriero.errors import CloudError, Problem

LOGIN = (
    "run `aws configure` or `aws sso login`, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; "
    "`arriero doctor` checks them"
)
AGAIN = "wait a minute and run the same again; what is done stays done"
WRONG_KEY = ("AWS does not know this access key", "correct AWS_ACCESS_KEY_ID, or choose another AWS_PROFILE")
EXPIRED = ("the AWS session has expired", "run `aws sso login`, or fetch new temporary credentials")

# Codes of "Common errors" in the API references, EC2's own names among them.
CODES = {
    "UnrecognizedClientException": WRONG_KEY,
    "InvalidClientTokenId": WRONG_KEY,
    "AuthFailure": WRONG_KEY,
    "InvalidAccessKeyId": WRONG_KEY,
    "SignatureDoesNotMatch": (
        "AWS refused the request's signature",
        "correct AWS_SECRET_ACCESS_KEY, and see that this machine's clock is right",
    ),
    "RequestExpired": ("AWS finds the request too old", "set this machine's clock right"),
    "MissingAuthenticationToken": ("the request carried no credentials", LOGIN),
    "MissingAuthenticationTokenException": ("the request carried no credentials", LOGIN),
    "ExpiredToken": EXPIRED,
    "ExpiredTokenException": EXPIRED,
    "OptInRequired": (
        "the region is not switched on for this account",
        "enable it under Account > AWS Regions, or choose another region",
    ),
    "ClusterNotFoundException": ("the site's ECS cluster is not there", "run `arriero up`, which makes it"),
    "ServiceNotFoundException": ("the site's ECS service is not there", "run `arriero up`, which makes it"),
    "ServiceUnavailableException": (
        "AWS is not available",
        "look at https://health.aws.amazon.com; the other sites go on",
    ),
    "Unavailable": ("AWS is not available", "look at https://health.aws.amazon.com; the other sites go on"),
}
THROTTLED = {"ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequestsException", "SlowDown"}
DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "Client.UnauthorizedOperation"}
_NOT_ALLOWED = re.compile(r"(?:User: (\S+) )?is not authorized to perform: (\S+)(?: on resource: (\S+))?")


@contextmanager
def door(site: str, region: str = "") -> Iterator[None]:
    """Lets SDK errors through as CloudError of `site` only."""
    try:
        yield
    except (sdk.BotoCoreError, sdk.ClientError) as error:
        raise CloudError(site, explain(error, region)) from error


def explain(error: Exception, region: str = "") -> Problem:
    """The problem in words; tells the kinds apart by the SDK's exception, then by AWS's own code."""
    where = f" in {region}" if region else ""
    if isinstance(error, sdk.ClientError):
        return _explain_answer(error.response.get("Error", {}), error.operation_name, where)
    if isinstance(error, (sdk.NoCredentialsError, sdk.PartialCredentialsError, sdk.CredentialRetrievalError)):
        return Problem(f"there are no AWS credentials: {_one_line(error)}", LOGIN)
    if isinstance(error, sdk.ProfileNotFound):
        return Problem(_one_line(error), "set AWS_PROFILE to a profile of ~/.aws/config, or unset it")
    if isinstance(error, (sdk.TokenRetrievalError, sdk.UnauthorizedSSOTokenError, sdk.SSOError)):
        return Problem(f"{EXPIRED[0]}: {_one_line(error)}", EXPIRED[1])
    if isinstance(error, (sdk.HTTPClientError, sdk.ConnectionError)):
        remedy = "check the network, the proxy (HTTPS_PROXY), and that the region's name is right"
        return Problem(f"AWS can't be reached{where}: {_one_line(error)}", remedy)
    return Problem(f"the AWS SDK failed{where}: {_one_line(error)}", "`arriero doctor` checks the set-up")


def _explain_answer(error: dict[str, Any], operation: str, where: str) -> Problem:
    code, message = str(error.get("Code", "")), str(error.get("Message", ""))
    if code in CODES:
        what, remedy = CODES[code]
        return Problem(f"{what}{where} ({code})", remedy)
    if code in THROTTLED:
        return Problem(f"AWS throttles our requests{where} ({operation}: {code})", AGAIN)
    if code in DENIED:
        return _denied(code, operation, message)
    if code == "UnrecognizedClient" or "not subscribed" in message:
        return Problem(f"the account may not use this region yet{where} ({code})", "enable the region for the account")
    return Problem(f"AWS refused {operation}{where}: {code}: {_one_line(message)}", "correct what it names")


def _denied(code: str, operation: str, message: str) -> Problem:
    """AWS names who, what and on which thing in its message; what it does not name, the operation does."""
    match = _NOT_ALLOWED.search(message)
    who, action, thing = match.groups() if match else (None, operation, None)
    text = f"{who or 'this login'} may not do {action}{f' on {thing}' if thing else ''} ({code})"
    return Problem(text, f"let an administrator allow {action} in the login's IAM policy")


def _one_line(error: object) -> str:
    return " ".join(str(error).split())[:300]
