"""The door to Azure Resource Manager: who we are, and a client that reads JSON.

The plain pipeline of azure-core is used instead of the management SDKs: reading needs six GET requests and no models.
A first reading takes 0.3 s of processor time and 70 MB in all, most of it the login.
Where Azure is, and as whom we speak, comes from the environment only (HTTPS_PROXY, REQUESTS_CA_BUNDLE included).
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from arriero.clouds.azure.errors import no_subscription
from arriero.secret import Secret

ADDRESS = "https://management.azure.com"
SCOPE = f"{ADDRESS}/.default"
CONNECT_SECONDS, READ_SECONDS = 5, 30
RETRIES = 3

Found = Mapping[str, Any]
Client = TypeVar("Client")


@dataclass(frozen=True, slots=True)
class Login:
    """What the environment says about who we are; without a secret azure-identity looks further."""

    subscription: str
    tenant: str = ""
    client: str = ""
    secret: Secret | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Login:
        """Reads azure-identity's names and Ansible's (AZURE_SECRET, AZURE_TENANT), so that both find the same login.

        Raises CloudError where neither the environment nor the Azure CLI names a subscription.
        """
        secret = environment.get("AZURE_CLIENT_SECRET") or environment.get("AZURE_SECRET")
        subscription = environment.get("AZURE_SUBSCRIPTION_ID") or _cli_subscription(environment)
        if not subscription:
            raise no_subscription()
        return cls(
            subscription=subscription,
            tenant=environment.get("AZURE_TENANT_ID") or environment.get("AZURE_TENANT") or "",
            client=environment.get("AZURE_CLIENT_ID", ""),
            secret=Secret(secret) if secret else None,
        )


class Arm:
    """Speaks to one subscription. Safe for several threads: they share its token and its connections."""

    def __init__(self, login: Login) -> None:
        self.subscription = login.subscription
        self._client = pipeline(login, ADDRESS, SCOPE)

    def get(self, path: str, version: str, **query: str) -> Found | None:
        """The JSON at `path` (from `/subscriptions/<id>` on, which is filled in); None where nothing is there."""
        return self._read(f"{ADDRESS}/subscriptions/{self.subscription}{path}", {"api-version": version, **query})

    def post(self, path: str, version: str, body: Found | None = None) -> Found:
        """What an action at `path` answers that changes nothing, such as listing keys."""
        url = f"{ADDRESS}/subscriptions/{self.subscription}{path}?api-version={version}"
        return self.post_at(url, body)

    def post_at(self, url: str, body: Found | None = None) -> Found:
        """The same at a whole URL, such as the next page of an answer."""
        from azure.core.rest import HttpRequest

        response = self._client.send_request(HttpRequest("POST", url, json=body))
        response.raise_for_status()
        found: Found = response.json()
        return found

    def act(self, path: str, version: str) -> None:
        """Has the action at `path` done; Azure goes on with it by itself. Sent once."""
        self._write("POST", path, version)

    def put(self, path: str, version: str, body: Found) -> None:
        """Asks for what `body` says; Azure goes on with it by itself. Sent once: who asks knows when to ask again."""
        self._write("PUT", path, version, body)

    def delete(self, path: str, version: str) -> None:
        """Has it go; what is not there is gone. Azure goes on with it by itself. Sent once."""
        self._write("DELETE", path, version)

    def list(self, path: str, version: str, **query: str) -> list[Found]:
        """All pages of a collection; empty where its resource group is not there."""
        page = self.get(path, version, **query)
        items: list[Found] = []
        while page:
            items.extend(page.get("value", ()))
            page = self._read(page["nextLink"], {}) if page.get("nextLink") else None
        return items

    def _write(self, method: str, path: str, version: str, body: Found | None = None) -> None:
        from azure.core.rest import HttpRequest

        url = f"{ADDRESS}/subscriptions/{self.subscription}{path}?api-version={version}"
        response = self._client.send_request(HttpRequest(method, url, json=body), retry_total=0)
        if not (method == "DELETE" and response.status_code == 404 and _names_something_gone(response)):
            response.raise_for_status()

    def _read(self, url: str, query: Mapping[str, str]) -> Found | None:
        from azure.core.rest import HttpRequest

        response = self._client.send_request(HttpRequest("GET", url, params=dict(query)))
        if response.status_code == 404 and _names_something_gone(response):
            return None
        response.raise_for_status()
        found: Found = response.json()
        return found


def pipeline(login: Login, address: str, scope: str) -> Any:
    """A client of azure-core that speaks to `address` as that login, with tokens for `scope`."""
    from azure.core import PipelineClient
    from azure.core.pipeline import policies
    from azure.core.pipeline.transport import RequestsTransport

    # Without a handler, Python prints the SDK's warnings to stderr; what is wrong is told by our own errors.
    logging.getLogger("azure").addHandler(logging.NullHandler())
    return PipelineClient(
        address,
        transport=RequestsTransport(connection_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS),
        policies=[
            policies.UserAgentPolicy(base_user_agent="arriero"),
            policies.RetryPolicy(retry_total=RETRIES, retry_backoff_factor=0.2, retry_backoff_max=5),
            policies.BearerTokenCredentialPolicy(_credential(login), scope),
        ],
    )


class ByLogin(Generic[Client]):
    """One client for each login: facts are read every two seconds, and a new token each time is three requests more."""

    def __init__(self, make: Callable[[Login], Client]) -> None:
        self._make = make
        self._open: dict[Login, Client] = {}
        self._lock = threading.Lock()

    def of_environment(self) -> Client:
        """For this process's environment as it is now; a login that changes has another. Raises CloudError."""
        login = Login.from_environment(os.environ)
        with self._lock:
            if login not in self._open:
                self._open[login] = self._make(login)
            return self._open[login]


_arms = ByLogin(Arm)


def connect() -> Arm:
    """The client for this process's environment. Raises CloudError."""
    return _arms.of_environment()


def _names_something_gone(response: Any) -> bool:
    """A 404 also says that the subscription or the provider is unknown, and that is an error."""
    code = str((_json(response).get("error") or {}).get("code", ""))
    return code in (
        "ResourceNotFound",
        "ResourceGroupNotFound",
        "NotFound",
        "ParentResourceNotFound",
        "ContainerLogNotAvailable",
    )


def _json(response: Any) -> Mapping[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _credential(login: Login) -> Any:
    """A service principal's secret where one is given; else what the environment holds (certificate, federated token,
    managed identity where the host offers one), and at last the Azure CLI's login. Never anything that asks a person.
    """
    if login.secret and login.tenant and login.client:
        from azure.identity import ClientSecretCredential

        return ClientSecretCredential(login.tenant, login.client, login.secret.reveal())
    from azure.identity import AzureCliCredential, ChainedTokenCredential

    return ChainedTokenCredential(*_offered_credentials(os.environ), AzureCliCredential())


def _offered_credentials(environment: Mapping[str, str]) -> list[Any]:
    """What the environment or the machine itself offers, asked for only where it says so: a probe takes seconds."""
    from azure.identity import EnvironmentCredential, ManagedIdentityCredential, WorkloadIdentityCredential

    found: list[Any] = []
    if environment.get("AZURE_CLIENT_CERTIFICATE_PATH"):
        found.append(EnvironmentCredential())
    if environment.get("AZURE_FEDERATED_TOKEN_FILE"):
        found.append(WorkloadIdentityCredential())
    if environment.get("IDENTITY_ENDPOINT") or environment.get("ANSIBLE_AZURE_AUTH_SOURCE") == "msi":
        found.append(ManagedIdentityCredential())
    return found


def _cli_subscription(environment: Mapping[str, str]) -> str:
    """The Azure CLI's default subscription, from its own file; empty where there is none."""
    home = environment.get("AZURE_CONFIG_DIR") or str(Path(environment.get("HOME", "")) / ".azure")
    try:
        profile = json.loads((Path(home) / "azureProfile.json").read_text("utf-8-sig"))
    except (OSError, ValueError):
        return ""
    known = profile.get("subscriptions", ()) if isinstance(profile, dict) else ()
    return next((str(s["id"]) for s in known if s.get("isDefault") and "id" in s), "")
