"""The credentials that the pipeline binds: their ids in Jenkins, their kinds, and the variables of either end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from arriero.pipeline.course import Stage, clouds
from arriero.spec.front_door import clouds_of
from arriero.spec.model import Cloud, Spec

Kind = Literal["usernamePassword", "string", "file", "zip"]


@dataclass(frozen=True, slots=True)
class Credential:
    """`variables` are what a stage finds in its environment, `sources` where Jenkins's own has the values at its start.

    A pair of each for a name with its password; one of each for the other kinds.
    """

    id: str
    kind: Kind
    variables: tuple[str, ...]
    sources: tuple[str, ...]
    description: str

    @property
    def binding(self) -> str:
        """The argument of `withCredentials`, a line a parameter."""
        names = ("usernameVariable", "passwordVariable") if self.kind == "usernamePassword" else ("variable",)
        given = {"credentialsId": self.id, **dict(zip(names, self.variables, strict=True))}
        listed = ",\n".join(f"    {name}: '{value}'" for name, value in given.items())
        return f"{self.kind}(\n{listed}\n)"


def needed(spec: Spec, stage: Stage) -> tuple[Credential, ...]:
    """Those that a stage binds, and no others."""
    by_cloud = _logins(spec)
    found = [credential for cloud in stage.login for credential in by_cloud.get(cloud, ())]
    if stage.registry and not _has_helper(spec):
        found.append(_docker(spec))
    if stage.login and spec.credentials.vault:
        found.append(_vault(spec))
    if stage.name == "Validate" and spec.gateway.keys:
        found.append(_key(spec))
    return tuple(found)


def everything(spec: Spec, stages: Sequence[Stage]) -> tuple[Credential, ...]:
    """All that any stage binds, each once."""
    return tuple(dict.fromkeys(credential for stage in stages for credential in needed(spec, stage)))


SLACK = Credential("slack-token", "string", ("SLACK_TOKEN",), ("SLACK_TOKEN",), "Token of the Slack app for Jenkins")


def webhook(spec: Spec) -> Credential:
    what = "What GitHub signs its webhooks with"
    return Credential(f"{spec.name}-webhook", "string", ("GITHUB_WEBHOOK_SECRET",), ("GITHUB_WEBHOOK_SECRET",), what)


def _logins(spec: Spec) -> Mapping[Cloud, tuple[Credential, ...]]:
    """None where the spec's vaults hold them: the vault's password opens those."""
    if spec.credentials.vault:
        return {}
    name = spec.name
    aws = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    principal = ("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")
    found: dict[Cloud, tuple[Credential, ...]] = {}
    if "aws" in clouds_of(spec):
        found["aws"] = (Credential(f"{name}-aws", "usernamePassword", aws, aws, "AWS access key of the deployer"),)
    if "azure" in clouds_of(spec):
        found["azure"] = (
            Credential(f"{name}-azure", "usernamePassword", principal, principal, "Azure service principal"),
            _text(f"{name}-azure-tenant", "AZURE_TENANT_ID", "Azure tenant"),
            _text(f"{name}-azure-subscription", "AZURE_SUBSCRIPTION_ID", "Azure subscription"),
        )
    return found


def _text(id_: str, variable: str, description: str) -> Credential:
    return Credential(id_, "string", (variable,), (variable,), description)


def _docker(spec: Spec) -> Credential:
    what = "Docker's folder of settings with the registry's login, as a zip in base64"
    return Credential(f"{spec.name}-docker", "zip", ("DOCKER_CONFIG",), ("DOCKER_CONFIG_ZIP_BASE64",), what)


def _vault(spec: Spec) -> Credential:
    what = "Password of the spec's vaults, in base64"
    return Credential(f"{spec.name}-vault", "file", ("ANSIBLE_VAULT_PASSWORD_FILE",), ("VAULT_PASSWORD_BASE64",), what)


def _key(spec: Spec) -> Credential:
    return _text(f"{spec.name}-gateway-key", "ARRIERO_KEY", "An API key of the gateway")


def _has_helper(spec: Spec) -> bool:
    """ECR and ACR have credential helpers that log in with the clouds' own variables, which are bound already."""
    hosts = {spec.image.at(cloud).partition("/")[0] for cloud in clouds(spec)}
    return all(h.endswith(".azurecr.io") or (".dkr.ecr." in h and h.endswith(".amazonaws.com")) for h in hosts)
