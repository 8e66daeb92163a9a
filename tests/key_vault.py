"""A hand at Key Vault and at Resource Manager, with nothing but HTTP and the stage's login."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

MANAGEMENT, VAULTS = "https://management.azure.com", "https://vault.azure.net"
VAULT = "https://llm-vault.vault.azure.net"
GROUP = "/resourceGroups/keys"


@dataclass
class Hand:
    """`environment` leads to a stage's Azure."""

    environment: Mapping[str, str]

    def make_vault(self) -> None:
        """`llm-vault`, in a resource group of its own."""
        properties = {"tenantId": self.environment["AZURE_TENANT_ID"], "sku": {"family": "A", "name": "standard"}}
        whole = {"location": "eastus", "properties": {**properties, "enableRbacAuthorization": True}}
        for path, version, body in (
            (GROUP, "2022-09-01", {"location": "eastus"}),
            (f"{GROUP}/providers/Microsoft.KeyVault/vaults/llm-vault", "2023-07-01", whole),
        ):
            made = self.ask("PUT", self.managed(path), body, version, MANAGEMENT)
            assert made.status_code < 300, made.text

    def keep(self, name: str, value: str) -> str:
        """A new version of the secret; returns which."""
        made = self.ask("PUT", f"{VAULT}/secrets/{name}", {"value": value})
        assert made.status_code == 200, made.text
        return str(made.json()["id"]).rpartition("/")[2]

    def managed(self, path: str) -> str:
        return f"{MANAGEMENT}/subscriptions/{self.environment['AZURE_SUBSCRIPTION_ID']}{path}"

    def ask(
        self, method: str, url: str, body: Any = None, version: str = "7.4", audience: str = VAULTS
    ) -> requests.Response:
        """Any answer; without a token where the audience is empty."""
        headers = {"Authorization": f"Bearer {self._token(audience)}"} if audience else {}
        query = {} if "api-version=" in url else {"api-version": version}
        return requests.request(method, url, params=query, json=body, headers=headers, timeout=30, **self._way)

    def _token(self, audience: str) -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.environment["AZURE_CLIENT_ID"],
            "client_secret": self.environment["AZURE_CLIENT_SECRET"],
            "scope": f"{audience}/.default",
        }
        url = f"https://login.microsoftonline.com/{self.environment['AZURE_TENANT_ID']}/oauth2/v2.0/token"
        return str(requests.post(url, data=form, timeout=30, **self._way).json()["access_token"])

    @property
    def _way(self) -> dict[str, Any]:
        proxies, verify = {"https": self.environment["HTTPS_PROXY"]}, self.environment["REQUESTS_CA_BUNDLE"]
        return {"proxies": proxies, "verify": verify}
