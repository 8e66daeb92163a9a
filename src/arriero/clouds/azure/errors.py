"""What Azure refuses, said in our words: every SDK error becomes a CloudError here, with what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from arriero.errors import CloudError, Problem

LOGIN = (
    "run `az login`, or set AZURE_CLIENT_ID, AZURE_CLIENT_SECRET, AZURE_TENANT_ID and AZURE_SUBSCRIPTION_ID; "
    "`arriero doctor` checks them"
)
QUOTA = "remove what is not needed there, lower scale.min, choose another region, or ask Azure for a higher quota"

# Entra ID's own numbers: https://learn.microsoft.com/entra/identity-platform/reference-error-codes
ENTRA = {
    "AADSTS7000215": ("the client secret is wrong", "set AZURE_CLIENT_SECRET to the secret's value, not to its id"),
    "AADSTS7000222": ("the client secret has expired", "make a new one for the service principal and set it"),
    "AADSTS700016": ("the tenant knows no such service principal", "correct AZURE_CLIENT_ID and AZURE_TENANT_ID"),
    "AADSTS90002": ("there is no such tenant", "correct AZURE_TENANT_ID"),
    "AADSTS900023": ("there is no such tenant", "correct AZURE_TENANT_ID"),
    "AADSTS700082": ("the Azure login is too old", "run `az login` again"),
    "AADSTS50173": ("the Azure login was revoked", "run `az login` again"),
    "AADSTS50076": ("Azure asks this login for a second factor", "run `az login` again, or use a service principal"),
}
# Resource Manager's codes, beside those that a status code tells well enough.
CODES = {
    "SubscriptionNotFound": (
        "Azure knows no such subscription",
        "correct AZURE_SUBSCRIPTION_ID, or run `az account set`",
    ),
    "InvalidSubscriptionId": ("the subscription id is not one", "set AZURE_SUBSCRIPTION_ID to the subscription's GUID"),
    "MissingSubscriptionRegistration": (
        "the subscription has not registered a resource provider",
        "run `az provider register --namespace Microsoft.ContainerInstance` (and Microsoft.Network; Microsoft.App)",
    ),
    "ContainerGroupQuotaReached": ("the region's quota of container groups is used up", QUOTA),
    "StandardCoresQuotaExceeded": ("the region's quota of container cores is used up", QUOTA),
    "QuotaExceeded": ("a quota of the subscription is used up", QUOTA),
    "LocationNotAvailableForResourceType": ("the region has no Container Instances", "choose another region"),
}


@contextmanager
def door(site: str, region: str = "") -> Iterator[None]:
    """Lets SDK errors through as CloudError of `site` only."""
    from azure.core.exceptions import AzureError

    try:
        yield
    except AzureError as error:
        raise CloudError(site, explain(error, region)) from error
    except CloudError as error:
        if type(error) is not CloudError:
            raise  # it says more, such as when to ask again, and names its site
        raise CloudError(site, error.problems) from error


def explain(error: Exception, region: str = "") -> Problem:
    """The problem in words. Tells the kinds apart by the SDK's exception, then Azure's code, then the HTTP status."""
    from azure.core import exceptions

    text, status = str(error), getattr(error, "status_code", None)
    for number, (what, remedy) in ENTRA.items():
        if re.search(rf"\b{number}\b", text):
            return Problem(f"Azure refused the login: {what} ({number})", remedy)
    if isinstance(error, (exceptions.ServiceRequestError, exceptions.ServiceResponseError)) or _is_cut_off(error):
        what = f"Azure can't be reached: {_first_line(text)}"
        return Problem(what, "check the network, the proxy (HTTPS_PROXY) and its certificates (REQUESTS_CA_BUNDLE)")
    if status is None and isinstance(error, exceptions.ClientAuthenticationError):
        return _no_login(error)
    return _explain_answer(error, status, region)


def no_subscription() -> CloudError:
    return CloudError(
        "", Problem("no Azure subscription is chosen", "set AZURE_SUBSCRIPTION_ID, or run `az account set`")
    )


def _is_cut_off(error: BaseException | None) -> bool:
    """azure-identity says "authentication failed" of a broken line too; only what it came from tells them apart."""
    while error is not None:
        if isinstance(error, OSError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _no_login(error: Exception) -> Problem:
    """azure-identity found no credential, or a token service refused it with a number that we have no word for."""
    match = re.search(r"AADSTS\d+[^\n]*", str(error))
    if match:
        return Problem(f"Azure refused the login: {match[0]}", LOGIN)
    return Problem("there is no Azure login", LOGIN)


def _explain_answer(error: Exception, status: int | None, region: str) -> Problem:
    code, message = _code_and_message(error)
    where = f" in {region}" if region else ""
    if code in CODES:
        what, remedy = CODES[code]
        return Problem(f"{what}{where} ({code})", remedy)
    if status == 401:
        return Problem(f"Azure does not accept this login ({code or 401})", LOGIN)
    if status == 403:
        return _forbidden(code, message)
    if status == 429:
        return Problem(f"Azure throttles our requests{where} (429)", "wait a minute and run the same again")
    if status is not None and status >= 500:
        remedy = "look at https://azure.status.microsoft; the other sites go on, and running the same again converges"
        return Problem(f"Azure answers {status}{where}", remedy)
    return Problem(f"Azure refused{where}: {code or status}: {_first_line(message)}", "correct what it names")


def _forbidden(code: str, message: str) -> Problem:
    """Azure names the action and the scope in its message; both are what an administrator needs."""
    match = re.search(r"action '([^']+)'(?: over scope '([^']+)')?", message)
    if not match:
        return Problem(f"this login may not do that ({code or 403}): {_first_line(message)}", "ask for the permission")
    scope = f" on {match[2]}" if match[2] else ""
    return Problem(
        f"this login may not do {match[1]}{scope} ({code})",
        "give it a role that holds this action, such as Contributor",
    )


def _code_and_message(error: Any) -> tuple[str, str]:
    odata = getattr(error, "error", None)
    return str(getattr(odata, "code", None) or ""), str(getattr(odata, "message", None) or error)


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0][:300] if text.strip() else "no reason given"
