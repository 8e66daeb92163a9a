"""Answers in which AWS refuses a call, each in the form of the service's protocol; pure.

Codes and statuses: "Common errors" of each API reference. EC2 and S3 have words of their own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from xml.sax.saxutils import escape

from arriero.rehearse.aws.calls import Call
from arriero.rehearse.permissions import Need


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Error:
    """One refusal by protocol family: (code, status)."""

    json: tuple[str, int]
    query: tuple[str, int]
    ec2: tuple[str, int]
    s3: tuple[str, int]
    message: str
    ec2_message: str = ""
    s3_message: str = ""


_DEPLOYER = "arn:aws:iam::123456789012:user/deployer"
_UNSIGNED = _Error(
    json=("MissingAuthenticationTokenException", 400),
    query=("MissingAuthenticationToken", 403),
    ec2=("MissingAuthenticationToken", 403),
    s3=("AccessDenied", 403),
    message="Request is missing Authentication Token",
)
_STRANGER = _Error(
    json=("UnrecognizedClientException", 400),
    query=("InvalidClientTokenId", 403),
    ec2=("AuthFailure", 401),
    s3=("InvalidAccessKeyId", 403),
    message="The security token included in the request is invalid.",
    ec2_message="AWS was not able to validate the provided access credentials",
    s3_message="The AWS Access Key Id you provided does not exist in our records.",
)
_THROTTLED = _Error(
    json=("ThrottlingException", 400),
    query=("Throttling", 400),
    ec2=("RequestLimitExceeded", 503),
    s3=("SlowDown", 503),
    message="Rate exceeded",
    ec2_message="Request limit exceeded.",
    s3_message="Please reduce your request rate.",
)
# AWS takes signatures of the last five minutes, S3 of the last fifteen.
_SKEWED = _Error(
    json=("InvalidSignatureException", 400),
    query=("SignatureDoesNotMatch", 403),
    ec2=("RequestExpired", 400),
    s3=("RequestTimeTooSkewed", 403),
    message="Signature expired: it is now earlier than 5 min. ago.",
    ec2_message="Request has expired.",
    s3_message="The difference between the request time and the current time is too large.",
)
_UNAVAILABLE = _Error(
    json=("ServiceUnavailableException", 503),
    query=("ServiceUnavailable", 503),
    ec2=("Unavailable", 503),
    s3=("ServiceUnavailable", 503),
    message="Service is unavailable. Please try again later.",
)


def unsigned(call: Call) -> Answer:
    return _answer(call, _UNSIGNED)


def stranger(call: Call) -> Answer:
    """The access key id is not one that the stage gave out."""
    return _answer(call, _STRANGER)


def throttled(call: Call) -> Answer:
    return _answer(call, _THROTTLED)


def skewed(call: Call) -> Answer:
    """The clock by which it was signed is too far off."""
    return _answer(call, _SKEWED)


def unavailable(call: Call) -> Answer:
    return _answer(call, _UNAVAILABLE)


def denied(call: Call, need: Need) -> Answer:
    """No policy allows it. Words: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html"""
    words = (
        f"User: {_DEPLOYER} is not authorized to perform: {need.action} on resource: {need.resource}"
        f" because no identity-based policy allows the {need.action} action"
    )
    error = _Error(
        json=("AccessDeniedException", 400),
        query=("AccessDenied", 403),
        ec2=("UnauthorizedOperation", 403),
        s3=("AccessDenied", 403),
        message=words,
        ec2_message=f"You are not authorized to perform this operation. {words}",
    )
    return _answer(call, error)


def not_emulated(call: Call, why: str) -> Answer:
    """What neither moto nor the stage can do; AWS could, so this is said in the stage's own words."""
    words = f"The stage does not emulate {call.label} ({why})"
    code = ("NotEmulated", 501)
    return _answer(call, _Error(json=code, query=code, ec2=code, s3=code, message=words))


def _answer(call: Call, error: _Error) -> Answer:
    if call.service == "s3":
        code, status = error.s3
        body = f"<Error><Code>{code}</Code><Message>{escape(error.s3_message or error.message)}</Message></Error>"
        return _xml(status, body)
    if call.protocol == "ec2":
        code, status = error.ec2
        inner = f"<Error><Code>{code}</Code><Message>{escape(error.ec2_message or error.message)}</Message></Error>"
        return _xml(status, f"<Response><Errors>{inner}</Errors><RequestID>stage</RequestID></Response>")
    if call.protocol in ("query", "rest-xml"):
        code, status = error.query
        inner = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(error.message)}</Message></Error>"
        return _xml(status, f"<ErrorResponse>{inner}<RequestId>stage</RequestId></ErrorResponse>")
    return _json(error, is_rest=call.protocol == "rest-json")


def _json(error: _Error, *, is_rest: bool) -> Answer:
    code, status = error.json
    if is_rest and error in (_STRANGER, _UNSIGNED):
        status = 403
    body = json.dumps({"__type": code, "message": error.message}).encode()
    return Answer(status, "application/x-amz-json-1.1", body, (("x-amzn-errortype", code),))


def _xml(status: int, body: str) -> Answer:
    return Answer(status, "text/xml", b'<?xml version="1.0" encoding="UTF-8"?>\n' + body.encode())
