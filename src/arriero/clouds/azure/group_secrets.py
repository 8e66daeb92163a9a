"""A copied group's secrets: what Azure kept to itself is read anew where the group's tags say that it came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from arriero.clouds.azure import vaults
from arriero.errors import CloudError, Problem
from arriero.plan.wanted import azure_secrets as wish

Body = Mapping[str, Any]


def filled(body: Body) -> Body:
    """The body of a group that is to be made, with the values; it goes into the request alone. Raises CloudError."""
    tags, properties = body.get("tags") or {}, body["properties"]
    if not any(tag.startswith(wish.VARIABLE_TAG) or tag == wish.LOGIN_TAG for tag in tags):
        return body
    more = {"containers": [_container(each, tags) for each in properties["containers"]]}
    if wish.LOGIN_TAG in tags:
        servers = properties.get("imageRegistryCredentials") or ()
        more["imageRegistryCredentials"] = [_login(str(each["server"]), tags[wish.LOGIN_TAG]) for each in servers]
    return {**body, "properties": {**properties, **more}}


def _container(container: Body, tags: Mapping[str, str]) -> Body:
    properties = container["properties"]
    variables = [_variable(each, tags) for each in properties.get("environmentVariables") or ()]
    return {**container, "properties": {**properties, "environmentVariables": variables}}


def _variable(variable: Body, tags: Mapping[str, str]) -> Body:
    place = tags.get(f"{wish.VARIABLE_TAG}{variable['name']}")
    if place is None or variable.get("value") is not None:
        return variable
    return {"name": variable["name"], "secureValue": _read(place)}


def _login(server: str, place: str) -> Body:
    try:
        told = json.loads(_read(place))
        return {"server": server, "username": str(told["username"]), "password": str(told["password"])}
    except (ValueError, TypeError, KeyError):
        what = f"{place} is no login: not JSON with username and password"
        raise CloudError("", Problem(what, "mend it in the vault, and run arriero up")) from None


def _read(place: str) -> str:
    try:
        where = wish.parts(place)
    except ValueError:
        what = f"the tag that says {place!r} names no version of a secret in Key Vault"
        raise CloudError("", Problem(what, "run arriero up, which makes new groups")) from None
    return vaults.connect().value(*where).reveal()
