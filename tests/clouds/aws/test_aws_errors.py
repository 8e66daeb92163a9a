"""What each refusal of AWS becomes in our words."""

from __future__ import annotations

import pytest
from botocore import exceptions as sdk

from arriero.clouds.aws.errors import door, explain
from arriero.errors import CloudError


def refusal(code: str, message: str = "", operation: str = "DescribeServices") -> sdk.ClientError:
    return sdk.ClientError({"Error": {"Code": code, "Message": message}}, operation)


DENIED = (
    "User: arn:aws:iam::1:user/eve is not authorized to perform: ecs:CreateService on resource: arn:aws:ecs:x "
    "because no identity-based policy allows it"
)


@pytest.mark.parametrize(
    ("error", "what", "remedy"),
    [
        (sdk.NoCredentialsError(), "there are no AWS credentials", "run `aws configure`"),
        (sdk.ProfileNotFound(profile="acme"), "The config profile (acme) could not be found", "set AWS_PROFILE"),
        (refusal("ExpiredToken"), "the AWS session has expired in us-east-1 (ExpiredToken)", "run `aws sso login`"),
        (refusal("ExpiredTokenException"), "the AWS session has expired", "run `aws sso login`"),
        (refusal("UnrecognizedClientException"), "AWS does not know this access key", "correct AWS_ACCESS_KEY_ID"),
        (refusal("AuthFailure"), "AWS does not know this access key", "correct AWS_ACCESS_KEY_ID"),
        (refusal("SignatureDoesNotMatch"), "AWS refused the request's signature", "correct AWS_SECRET_ACCESS_KEY"),
        (
            refusal("AccessDeniedException", DENIED),
            "arn:aws:iam::1:user/eve may not do ecs:CreateService on arn:aws:ecs:x (AccessDeniedException)",
            "let an administrator allow ecs:CreateService",
        ),
        (
            refusal("UnauthorizedOperation", "You are not authorized", "CreateVpc"),
            "this login may not do CreateVpc",
            "let an administrator allow CreateVpc",
        ),
        (
            refusal("ThrottlingException", "Rate exceeded"),
            "AWS throttles our requests in us-east-1 (DescribeServices: ThrottlingException)",
            "wait a minute",
        ),
        (refusal("OptInRequired"), "the region is not switched on for this account", "enable it"),
        (refusal("ClusterNotFoundException"), "the site's ECS cluster is not there", "run `arriero up`"),
        (
            sdk.EndpointConnectionError(endpoint_url="https://ecs.us-east-9.amazonaws.com/"),
            "AWS can't be reached in us-east-1: Could not connect",
            "check the network",
        ),
        (
            refusal("VpcLimitExceeded", "The maximum number of VPCs has been reached.", "CreateVpc"),
            "AWS refused CreateVpc in us-east-1: VpcLimitExceeded: The maximum number of VPCs has been reached.",
            "correct what it names",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_every_refusal_says_what_and_what_to_do(error: Exception, what: str, remedy: str) -> None:
    problem = explain(error, "us-east-1")
    assert problem.what.startswith(what)
    assert problem.remedy.startswith(remedy)


def test_errors_that_are_not_the_sdks_pass_the_door_unchanged() -> None:
    with pytest.raises(ZeroDivisionError), door("aws-east"):
        raise ZeroDivisionError


def test_the_door_names_the_site() -> None:
    with pytest.raises(CloudError) as caught, door("aws-east", "us-east-1"):
        raise refusal("AuthFailure")
    assert caught.value.site == "aws-east"
