"""Secrets of Key Vault for container groups in Terraform: who reads them, and where they go.

An ephemeral resource reads a version's value whenever Terraform runs, and `sensitive_body` of azapi, which is
write-only, hands it over: no file, plan or state has it. There stands the whole list of containers again, for azapi's
documentation has the two bodies merge-patched, which replaces a list, and its code merges two lists of equal length by
place: a whole list comes out the same by either. In `body` they stand without values, as Azure tells them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from arriero.clouds.azure import vaults
from arriero.pipeline.terraform.hcl import Body, Raw
from arriero.pipeline.terraform.piece import Piece, Site
from arriero.plan.model import Resource
from arriero.plan.wanted import azure_secrets as wish

READER = "azapi_data_plane_resource"
TYPE = f"Microsoft.KeyVault/vaults/secrets@{vaults.VERSION}"
NOTE = "Read when Terraform runs, and kept nowhere."
OLLAMA = "ollama"


def readers(site: Site, group: Resource) -> Iterator[Piece]:
    """What reads the secrets of a group, each by itself."""
    login = cast("Mapping[str, str]", group.properties.get("login", {}))
    places = {_label(site, variable): place for variable, place in _variables(group).items()}
    if login:
        places[_label(site, "")] = login["secret"]
    for label, place in places.items():
        vault, name, version = wish.parts(place)
        body: Body = {
            "type": TYPE,
            "parent_id": vaults.ADDRESS.format(vault=vault).removeprefix("https://"),
            "name": f"{name}/{version}",
            "response_export_values": {"value": "value"},
        }
        yield Piece(READER, label, body, comment=NOTE, kind="ephemeral")


def named(group: Resource, told: Mapping[str, Any]) -> dict[str, Any]:
    """The properties of a group as Azure tells them afterwards: variables by name, and whom a login is for."""
    variables = [{"name": variable} for variable in _variables(group)]
    return _with(group, told, variables, {})


def filled(site: Site, group: Resource, told: Mapping[str, Any]) -> dict[str, Any]:
    """What of them is sent in place of that; nothing where there is no secret."""
    variables = [{"name": variable, "secureValue": _value(_label(site, variable))} for variable in _variables(group)]
    text = f"jsondecode({_value(_label(site, '')).text})"
    login = {each: Raw(f"{text}.{each}") for each in ("username", "password")}
    whole = _with(group, told, variables, login)
    members = (
        *(["containers"] if variables else []),
        *(["imageRegistryCredentials"] if "login" in group.properties else []),
    )
    return {member: whole[member] for member in members}


def _with(
    group: Resource, told: Mapping[str, Any], variables: list[dict[str, Any]], login: Mapping[str, Raw]
) -> dict[str, Any]:
    containers = [_container(each, variables if each["name"] == OLLAMA else []) for each in told["containers"]]
    of_login = cast("Mapping[str, str]", group.properties.get("login", {}))
    servers = [{"server": of_login["server"], **login}] if of_login else []
    return {**told, "containers": containers, **({"imageRegistryCredentials": servers} if servers else {})}


def _container(told: Mapping[str, Any], variables: list[dict[str, Any]]) -> dict[str, Any]:
    properties = told["properties"]
    return {
        **told,
        "properties": {**properties, "environmentVariables": properties["environmentVariables"] + variables},
    }


def _variables(group: Resource) -> Mapping[str, str]:
    """By name, where each is: vault, name and version."""
    containers = cast("Mapping[str, Mapping[str, Any]]", group.properties["containers"])
    return cast("Mapping[str, str]", containers[OLLAMA].get("secrets", {}))


def _label(site: Site, variable: str) -> str:
    return f"{site.label}_secret_{variable}" if variable else f"{site.label}_registry_login"


def _value(label: str) -> Raw:
    return Raw(f"ephemeral.{READER}.{label}.output.value")
