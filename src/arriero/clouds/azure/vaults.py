"""Secrets in Key Vault: which version is the newest, told by metadata alone, and one version's value.

A plan asks for versions and never for a value. Values are read by the step that makes a group (the collection's module
`container_group`), and here by the controller, which makes copies of one. Sources:
https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret-versions/get-secret-versions and
https://learn.microsoft.com/azure/key-vault/general/rbac-guide for the permissions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from arriero.clouds.azure.connection import ByLogin, Found, Login, pipeline
from arriero.clouds.azure.errors import explain
from arriero.errors import CloudError, Problem
from arriero.secret import Secret
from arriero.spec import secret_values

ADDRESS = "https://{vault}.vault.azure.net"
SCOPE = "https://vault.azure.net/.default"
VERSION = "7.4"
READ, LIST = "getSecret", "readMetadata"


class Vaults:
    """Speaks to all vaults as one login. Safe for several threads: they share its token and its connections."""

    def __init__(self, login: Login) -> None:
        self._client = pipeline(login, "https://vault.azure.net", SCOPE)

    def newest(self, reference: str) -> str | Problem:
        """The version that the reference leads to now: its own, or the one made last of those that are enabled; or why
        nobody can tell.
        """
        if version := secret_values.version_of(reference):
            return version
        vault, name = secret_values.vault_of(reference), secret_values.name_of(reference)
        url: str | None = f"{ADDRESS.format(vault=vault)}/secrets/{name}/versions?api-version={VERSION}"
        found: list[Found] = []
        try:
            while url:
                page = self._get(url, vault, name, LIST)
                found.extend(page.get("value") or ())
                url = page.get("nextLink")
        except CloudError as error:
            return error.problems[0]
        enabled = [each for each in found if each["attributes"].get("enabled")]
        if not enabled:
            what = f"{vault} has no secret {name}" if not found else f"all versions of {name} in {vault} are disabled"
            return Problem(what, f"az keyvault secret set --vault-name {vault} --name {name} --file FILE")
        return _version(max(enabled, key=lambda each: (int(each["attributes"]["created"]), _version(each))))

    def value(self, vault: str, name: str, version: str) -> Secret:
        """Raises CloudError."""
        url = f"{ADDRESS.format(vault=vault)}/secrets/{name}/{version}?api-version={VERSION}"
        return Secret(str(self._get(url, vault, name, READ)["value"]))

    def _get(self, url: str, vault: str, name: str, action: str) -> Found:
        from azure.core.exceptions import AzureError
        from azure.core.rest import HttpRequest

        try:
            response = self._client.send_request(HttpRequest("GET", url))
            if problem := _problem(response, vault, name, action):
                raise CloudError("", problem)
            response.raise_for_status()
        except AzureError as error:
            raise CloudError("", explain(error)) from error
        found: Found = response.json()
        return found


_vaults = ByLogin(Vaults)


def connect() -> Vaults:
    """The client for this process's environment. Raises CloudError."""
    return _vaults.of_environment()


def _problem(response: Any, vault: str, name: str, action: str) -> Problem | None:
    """What Key Vault refuses, by its own codes; None for anything that is not its own."""
    if response.status_code == 404:
        return Problem(f"{vault} has no secret {name}", "put it there, or correct the reference")
    if response.status_code != 403:
        return None
    inner = _inner_code(response)
    if inner == "SecretDisabled":
        return Problem(f"the secret {name} in {vault} is disabled", "enable it, or make a new version")
    if inner == "ForbiddenByFirewall":
        return Problem(f"the firewall of {vault} does not let this machine in", "add its address there")
    if inner == "ForbiddenByConnection":
        what = f"{vault} is closed to public networks"
        return Problem(what, "run arriero where its private endpoint is reached, or open it to some addresses")
    action = f"Microsoft.KeyVault/vaults/secrets/{action}/action"
    what = f"this login may not read {name} in {vault}: {action}"
    return Problem(what, "give it the role Key Vault Secrets User at that secret")


def _inner_code(response: Any) -> str:
    try:
        error: Mapping[str, Any] = response.json()["error"]
        return str((error.get("innererror") or {}).get("code", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""


def _version(item: Found) -> str:
    return str(item["id"]).rpartition("/")[2]
