"""Entra ID for one application: discovery, tokens for its secret, and the check of those tokens.

The secret is made at random for each stage, so that no real one is ever asked for or accepted.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from arriero.clock import Clock
from arriero.rehearse.azure.answers import Answer, ArmError, Request

HOST = "login.microsoftonline.com"
CLIENT = "11111111-1111-1111-1111-111111111111"
TENANT = "22222222-2222-2222-2222-222222222222"
MANAGEMENT = "https://management.azure.com"
_LIFE_SECONDS = 3599
_JWT_HEAD = {"alg": "HS256", "typ": "JWT"}


@dataclass(frozen=True)
class Identity:
    """`key` is the application's secret; tokens are signed with it."""

    key: str
    clock: Clock

    @classmethod
    def kept_in(cls, folder: Path, clock: Clock) -> Identity:
        file = folder / "client.secret"
        if not file.exists():
            file.touch(0o600)
            file.write_text(secrets.token_urlsafe(24))
        return cls(file.read_text(), clock)

    def answer(self, request: Request) -> Answer:
        """What login.microsoftonline.com says."""
        tenant, _, rest = request.path.strip("/").partition("/")
        rest = rest.lower()
        if rest.endswith(".well-known/openid-configuration"):
            return Answer(200, _configuration(request.base, tenant))
        if rest == "discovery/instance":
            place = f"{request.base}/{TENANT}/v2.0/.well-known/openid-configuration"
            return Answer(200, {"tenant_discovery_endpoint": place, "api-version": "1.1", "metadata": [_metadata()]})
        if request.method == "POST" and rest in ("oauth2/v2.0/token", "oauth2/token"):
            return self._token(tenant, dict(parse_qsl(request.raw.decode(errors="replace"))))
        return Answer(404, {"error": "invalid_request", "error_description": "AADSTS90014: no such endpoint."})

    def check(self, request: Request, audience: str = MANAGEMENT) -> None:
        """Raises what Resource Manager answers to a missing, foreign or old token, or one for somebody else."""
        claims = self.claims(request)
        if not claims and not request.headers.get("authorization", "").lower().startswith("bearer "):
            message = "Authentication failed. The 'Authorization' header is missing."
            raise ArmError(401, "AuthenticationFailed", message, {"WWW-Authenticate": "Bearer"})
        if not claims or claims["aud"].rstrip("/") != audience:
            raise ArmError(401, "InvalidAuthenticationToken", "The access token is invalid.")
        if claims["exp"] < self.clock.now().timestamp():
            raise ArmError(401, "ExpiredAuthenticationToken", "The access token expiry has passed.")

    def claims(self, request: Request) -> dict[str, Any]:
        """What the request's token says; nothing where it has none of ours."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return (self._claims(token) if scheme.lower() == "bearer" and token else None) or {}

    def _token(self, tenant: str, form: dict[str, str]) -> Answer:
        if tenant.lower() not in (TENANT, "organizations"):
            return _denied(
                400,
                "invalid_request",
                90002,
                f"Tenant '{tenant}' not found. Check to make sure you have the"
                " correct tenant ID and are signing into the correct cloud.",
            )
        if form.get("client_id", "").lower() != CLIENT:
            return _denied(
                400,
                "unauthorized_client",
                700016,
                f"Application with identifier '{form.get('client_id')}' was not found in the directory '{tenant}'.",
            )
        if not hmac.compare_digest(form.get("client_secret", ""), self.key):
            return _denied(
                401,
                "invalid_client",
                7000215,
                "Invalid client secret provided. Ensure the secret being sent"
                " in the request is the client secret value, not the client secret ID, for a secret added to"
                f" app '{CLIENT}'.",
            )
        now = int(self.clock.now().timestamp())
        # Version 2 asks for a scope, `<audience>/.default`, version 1 for the audience itself.
        scopes = form.get("scope", "").split()
        audience = next(
            (one.removesuffix("/.default") for one in scopes if "/.default" in one), form.get("resource", "")
        )
        claims = {"aud": audience or MANAGEMENT, "exp": now + _LIFE_SECONDS, "iat": now, "tid": TENANT}
        lives = {"expires_in": _LIFE_SECONDS, "ext_expires_in": _LIFE_SECONDS}
        return Answer(200, {"token_type": "Bearer", **lives, "access_token": self._signed({**claims, "appid": CLIENT})})

    def _signed(self, claims: dict[str, Any]) -> str:
        head = ".".join(_encoded(json.dumps(part).encode()) for part in (_JWT_HEAD, claims))
        return f"{head}.{_encoded(self._signature(head))}"

    def _claims(self, token: str) -> dict[str, Any] | None:
        head, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature, _encoded(self._signature(head))):
            return None
        part = head.partition(".")[2]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return claims

    def _signature(self, head: str) -> bytes:
        return hmac.new(self.key.encode(), head.encode(), hashlib.sha256).digest()


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _denied(status: int, error: str, number: int, description: str) -> Answer:
    text = f"AADSTS{number}: {description}"
    return Answer(status, {"error": error, "error_description": text, "error_codes": [number]})


def _metadata() -> dict[str, Any]:
    names = {"preferred_network": HOST, "preferred_cache": "login.windows.net"}
    return {**names, "aliases": [HOST, "login.windows.net", "login.microsoft.com", "sts.windows.net"]}


def _configuration(base: str, tenant: str) -> dict[str, Any]:
    return {
        "issuer": f"{base}/{tenant}/v2.0",
        "authorization_endpoint": f"{base}/{tenant}/oauth2/v2.0/authorize",
        "token_endpoint": f"{base}/{tenant}/oauth2/v2.0/token",
        "device_authorization_endpoint": f"{base}/{tenant}/oauth2/v2.0/devicecode",
        "jwks_uri": f"{base}/{tenant}/discovery/v2.0/keys",
        "response_types_supported": ["code"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }
