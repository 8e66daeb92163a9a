"""What Azure says, and what we say: the exact words."""

from __future__ import annotations

import json

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.core.rest import HttpRequest
from azure.identity import CredentialUnavailableError

from arriero.clouds.azure import errors
from arriero.errors import CloudError


class Answer:
    """As much of a response as the SDK's exceptions look at."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status_code, self.reason, self.headers = status, "", {}
        self.request = HttpRequest("GET", "https://management.azure.com/")
        self._text = json.dumps({"error": {"code": code, "message": message}})

    def text(self, encoding: str | None = None) -> str:
        return self._text


def refusal(status: int, code: str, message: str = "") -> HttpResponseError:
    return HttpResponseError(response=Answer(status, code, message))


def cut_off() -> ClientAuthenticationError:
    error = ClientAuthenticationError(message="Authentication failed: unable to connect to proxy")
    error.__cause__ = ConnectionRefusedError()
    return error


DENIED = (
    "The client 'a' with object id 'b' does not have authorization to perform action "
    "'Microsoft.ContainerInstance/containerGroups/read' over scope '/subscriptions/0/resourceGroups/x' or the scope "
    "is invalid."
)
LOGIN = errors.LOGIN
CASES = [
    (CredentialUnavailableError(message="Please run 'az login'"), f"there is no Azure login; {LOGIN}"),
    (
        ClientAuthenticationError(message="Authentication failed: AADSTS7000215: Invalid client secret provided."),
        "Azure refused the login: the client secret is wrong (AADSTS7000215); "
        "set AZURE_CLIENT_SECRET to the secret's value, not to its id",
    ),
    (
        ClientAuthenticationError(message="AADSTS70000: The grant is bad."),
        f"Azure refused the login: AADSTS70000: The grant is bad.; {LOGIN}",
    ),
    (
        cut_off(),
        "Azure can't be reached: Authentication failed: unable to connect to proxy; "
        "check the network, the proxy (HTTPS_PROXY) and its certificates (REQUESTS_CA_BUNDLE)",
    ),
    (
        refusal(401, "ExpiredAuthenticationToken"),
        f"Azure does not accept this login (ExpiredAuthenticationToken); {LOGIN}",
    ),
    (
        refusal(403, "AuthorizationFailed", DENIED),
        "this login may not do Microsoft.ContainerInstance/containerGroups/read on /subscriptions/0/resourceGroups/x "
        "(AuthorizationFailed); give it a role that holds this action, such as Contributor",
    ),
    (
        refusal(403, "RequestDisallowedByPolicy", "A policy forbids it."),
        "this login may not do that (RequestDisallowedByPolicy): A policy forbids it.; ask for the permission",
    ),
    (
        refusal(404, "SubscriptionNotFound"),
        "Azure knows no such subscription in eastus (SubscriptionNotFound); "
        "correct AZURE_SUBSCRIPTION_ID, or run `az account set`",
    ),
    (
        refusal(409, "ContainerGroupQuotaReached"),
        "the region's quota of container groups is used up in eastus (ContainerGroupQuotaReached); "
        "remove what is not needed there, lower scale.min, choose another region, or ask Azure for a higher quota",
    ),
    (
        refusal(429, "TooManyRequests"),
        "Azure throttles our requests in eastus (429); wait a minute and run the same again",
    ),
    (
        refusal(503, "InternalError"),
        "Azure answers 503 in eastus; look at https://azure.status.microsoft; the other sites go on, and running the "
        "same again converges",
    ),
    (
        refusal(400, "NoRegisteredProviderFound", "No such version.\nMore."),
        "Azure refused in eastus: NoRegisteredProviderFound: No such version.; correct what it names",
    ),
    (
        ServiceRequestError("Name or service not known"),
        "Azure can't be reached: Name or service not known; "
        "check the network, the proxy (HTTPS_PROXY) and its certificates (REQUESTS_CA_BUNDLE)",
    ),
    (
        ServiceResponseError("Read timed out"),
        "Azure can't be reached: Read timed out; "
        "check the network, the proxy (HTTPS_PROXY) and its certificates (REQUESTS_CA_BUNDLE)",
    ),
]


@pytest.mark.parametrize(("error", "said"), CASES, ids=lambda value: type(value).__name__)
def test_azures_error_becomes_ours_with_what_to_do(error: Exception, said: str) -> None:
    assert str(errors.explain(error, "eastus")) == said


def test_the_door_names_the_site_and_keeps_other_errors_as_they_are() -> None:
    with pytest.raises(CloudError) as caught, errors.door("azure-east"):
        raise refusal(429, "TooManyRequests")
    assert caught.value.site == "azure-east"
    with pytest.raises(CloudError) as caught, errors.door("azure-east"):
        raise errors.no_subscription()
    assert caught.value.site == "azure-east"
    with pytest.raises(KeyError), errors.door("azure-east"):
        raise KeyError("a slip of ours is not Azure's fault")
