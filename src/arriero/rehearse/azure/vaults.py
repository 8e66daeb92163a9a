"""Key Vault's secrets: the calls of who reads them, and of who puts them there for a rehearsal.

Put a version, get one or the newest, list versions (their metadata), enable or disable one, delete all; each with a
token for Key Vault, which it asks for in its answer to a request without one. A vault is there if Resource Manager
knows it. Versions stand sealed on disk. Sources: https://learn.microsoft.com/rest/api/keyvault/secrets/operation-groups
and https://learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses; refusals are worded as
users quoted them.
"""

from __future__ import annotations

import uuid
from typing import Any

from arriero.rehearse.azure.answers import Answer, ArmError, Document, Request, refused
from arriero.rehearse.azure.identity import CLIENT, HOST, TENANT, Identity
from arriero.rehearse.azure.ids import ResourceId
from arriero.rehearse.azure.needs import secret_need
from arriero.rehearse.azure.world import World
from arriero.rehearse.permissions import Need, Permits

SUFFIX = ".vault.azure.net"
AUDIENCE = "https://vault.azure.net"
VERSIONS = ("7.0", "7.1", "7.2", "7.3", "7.4", "7.5", "7.6", "2025-07-01")
_TYPE = "microsoft.keyvault/vaults"
_PAGE = 25  # at most, as Key Vault has it


class Refused(ArmError):
    """With the inner code, which says what its Forbidden means."""

    def __init__(self, status: int, code: str, message: str, inner: str = "", **headers: str) -> None:
        super().__init__(status, code, message, {name.replace("_", "-"): value for name, value in headers.items()})
        self.inner = inner


class Vaults:
    """All vaults of the subscription."""

    def __init__(self, world: World, identity: Identity, permits: Permits) -> None:
        self._world, self._identity, self._permits = world, identity, permits

    def is_there(self, host: str) -> bool:
        """Whether such a vault has a name in DNS."""
        with self._world.state.lock:
            return self._find(host) is not None

    def region(self, request: Request) -> str:
        found = self._find(request.host)
        return str(self._world.state.resources[found.key]["location"]) if found else ""

    def needs(self, request: Request) -> tuple[Need, ...]:
        """What the request has to be allowed, over the secret itself."""
        vault = self._find(request.host)
        name = _parts(request)[1] if vault else ""
        return (secret_need(request, f"{vault.path}/secrets/{name}"),) if vault else ()

    def answer(self, request: Request) -> Answer:
        """To be called under the state's lock."""
        try:
            return self._answer(request)
        except Refused as error:
            said: Document = {"code": error.code, "message": error.message}
            more = {"innererror": {"code": error.inner}} if error.inner else {}
            return Answer(error.status, {"error": {**said, **more}}, error.headers)
        except ArmError as error:
            return refused(error)

    def _answer(self, request: Request) -> Answer:
        vault = self._find(request.host)
        if vault is None:
            raise Refused(404, "VaultNotFound", f"There is no vault at {request.host}.")
        self._check_token(request)
        if request.query.get("api-version") not in VERSIONS:
            raise Refused(400, "BadParameter", f"api-version must be one of {', '.join(VERSIONS)}")
        self._check_network(vault)
        self._check_permission(request, vault)
        kind, name, *rest = _parts(request)
        if kind != "secrets" or not name:
            raise Refused(404, "NotFound", f"There is nothing at '{request.path}' that is emulated.")
        return self._of_secret(request, f"{vault.key}/secrets/{name.lower()}", name, rest[0])

    def _of_secret(self, request: Request, key: str, name: str, version: str) -> Answer:
        kept, where = self._world.state.secrets, f"{request.base}/secrets/{name}"
        if request.method == "PUT" and not version:
            kept.setdefault(key, []).append(self._made(request.document()))
            self._world.state.changed()
            return Answer(200, _bundle(where, kept[key][-1], with_value=True))
        if request.method == "GET" and version == "versions":
            return _listed(request, where, kept.get(key, []))
        if key not in kept:
            raise _missing(name)
        if request.method == "DELETE" and not version:
            gone = kept.pop(key)[-1]
            self._world.state.changed()
            return Answer(200, {**_bundle(where, gone), "recoveryId": f"{request.base}/deletedsecrets/{name}"})
        found = next((one for one in reversed(kept[key]) if version in ("", one["version"])), None)
        if found is None:
            raise _missing(f"{name}/{version}")
        if request.method == "PATCH":
            found["enabled"] = bool(request.document().get("attributes", {}).get("enabled", found["enabled"]))
            self._world.state.changed()
            return Answer(200, _bundle(where, found))
        if request.method != "GET":
            raise Refused(405, "MethodNotAllowed", f"{request.method} of a secret is not emulated.")
        if not found["enabled"]:
            message = "Operation get is not allowed on a disabled secret."
            raise Refused(403, "Forbidden", message, "SecretDisabled")
        return Answer(200, _bundle(where, found, with_value=True))

    def _made(self, body: Document) -> Document:
        value = body.get("value")
        if not isinstance(value, str) or len(value.encode()) > 25 * 1024:
            raise Refused(400, "BadParameter", "A secret's value is text of at most 25 KB.")
        moment = int(self._world.now)
        enabled = bool((body.get("attributes") or {}).get("enabled", True))
        return {"version": uuid.uuid4().hex, "secureValue": value, "enabled": enabled, "created": moment}

    def _check_token(self, request: Request) -> None:
        claims = self._identity.claims(request)
        challenge = f'Bearer authorization="https://{HOST}/{TENANT}", resource="{AUDIENCE}"'
        if not claims:
            message = "AKV10000: Request is missing a Bearer or PoP token."
            raise Refused(401, "Unauthorized", message, WWW_Authenticate=challenge)
        if claims["aud"].rstrip("/") != AUDIENCE:
            message = f"AKV10022: Invalid audience. Expected {AUDIENCE}, found: {claims['aud']}."
            raise Refused(401, "Unauthorized", message, WWW_Authenticate=challenge)
        if claims["exp"] < self._world.now:
            message = "AKV10042: Error validating token: the token has expired."
            raise Refused(401, "Unauthorized", message, WWW_Authenticate=challenge)

    def _check_network(self, vault: ResourceId) -> None:
        """Nobody who asks the stage stands in one of its networks, so no private endpoint leads them there."""
        if self._world.state.resources[vault.key]["properties"].get("publicNetworkAccess", "").lower() == "disabled":
            message = (
                "Public network access is disabled and request is not from a trusted service nor via an approved"
                " private link."
            )
            raise Refused(403, "Forbidden", message, "ForbiddenByConnection")

    def _check_permission(self, request: Request, vault: ResourceId) -> None:
        role = self._permits.now().azure
        denied = next((need for need in self.needs(request) if role and not role.allows(need)), None)
        if denied:
            raise Refused(
                403,
                "Forbidden",
                "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or"
                " role definitions were changed recently, please observe propagation time.\r\n"
                f"Caller: appid={CLIENT};oid={CLIENT};iss=https://sts.windows.net/{TENANT}/\r\n"
                f"Action: '{denied.action}'\r\nResource: '{denied.resource.lower()}'\r\nAssignment: (not found)\r\n"
                "DenyAssignmentId: null\r\nDecisionReason: 'DeniedWithNoValidRBAC' \r\n"
                f"Vault: {vault.name};location={self.region(request)}\r\n",
                "ForbiddenByRbac",
            )

    def _find(self, host: str) -> ResourceId | None:
        wanted = host.removesuffix(SUFFIX)
        found = (ResourceId.parse(key) for key in self._world.state.resources)
        return next((one for one in found if one and one.type.lower() == _TYPE and one.name == wanted), None)


def _parts(request: Request) -> list[str]:
    """`secrets`, the name, and the version or `versions`; empty where there is less."""
    return [*request.path.strip("/").split("/"), "", "", ""][:3]


def _bundle(where: str, found: Document, *, with_value: bool = False) -> Document:
    attributes = {"enabled": found["enabled"], "created": found["created"], "updated": found["created"]}
    told: dict[str, Any] = {
        "id": f"{where}/{found['version']}",
        "attributes": {**attributes, "recoveryLevel": "Purgeable"},
    }
    return {"value": found["secureValue"], **told} if with_value else told


def _listed(request: Request, where: str, versions: list[Document]) -> Answer:
    """In pages; the marker is the number to go on with."""
    first = int(request.query.get("$skiptoken") or 0)
    page, rest = versions[first : first + _PAGE], versions[first + _PAGE :]
    more = f"{where}/versions?api-version={request.query['api-version']}&$skiptoken={first + _PAGE}" if rest else None
    return Answer(200, {"value": [_bundle(where, one) for one in page], "nextLink": more})


def _missing(name: str) -> Refused:
    return Refused(404, "SecretNotFound", f"A secret with (name/id) {name} was not found in this key vault.")
