#!/usr/bin/python
# Copyright the Arriero authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes a container group with secrets that it reads from Key Vault itself."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: container_group
short_description: Make a container group with secrets out of Key Vault
version_added: 0.1.0
description:
  - Reads the values from Key Vault and hands them to Container Instances within one process, so that no variable, file,
    task argument, result or log of Ansible ever holds one.
  - A group that is there is left as it is. Groups are never changed; another version of a secret is another group.
options:
  resource_group:
    description: The resource group that it stands in.
    type: str
    required: true
  name:
    description: The group's name.
    type: str
    required: true
  body:
    description: The group in the words of Resource Manager at 2025-09-01, without what is secret.
    type: dict
    required: true
  secrets:
    description: Secure variables of its containers.
    type: list
    elements: dict
    default: []
    suboptions:
      container:
        description: The container's name.
        type: str
        required: true
      variable:
        description: The variable's name.
        type: str
        required: true
      vault:
        description: The vault's name.
        type: str
        required: true
      name:
        description: The secret's name.
        type: str
        required: true
      version:
        description: The secret's version.
        type: str
        required: true
  login:
    description: The login to the registry of the group's images; the secret is JSON with C(username) and C(password).
    type: dict
    suboptions:
      server:
        description: The registry.
        type: str
        required: true
      vault:
        description: The vault's name.
        type: str
        required: true
      name:
        description: The secret's name.
        type: str
        required: true
      version:
        description: The secret's version.
        type: str
        required: true
extends_documentation_fragment:
  - azure.azcollection.azure
author:
  - The Arriero authors (@arriero)
"""

EXAMPLES = r"""
- name: Start a container group with a token
  arriero.fleet.container_group:
    resource_group: llm-east
    name: llm-east-r1-1
    body:
      location: eastus
      properties: "{{ properties }}"
    secrets:
      - container: ollama
        variable: HF_TOKEN
        vault: llm-vault
        name: hf
        version: 0123456789abcdef0123456789abcdef
"""

RETURN = r"""
id:
  description: The group's id.
  returned: success
  type: str
  sample: /subscriptions/ID/resourceGroups/llm-east/providers/Microsoft.ContainerInstance/containerGroups/llm-east-r1-1
"""

import copy  # noqa: E402
import json  # noqa: E402

from ansible_collections.azure.azcollection.plugins.module_utils.azure_rm_common import AzureRMModuleBase  # noqa: E402
from ansible_collections.azure.azcollection.plugins.module_utils.azure_rm_common_rest import (  # noqa: E402
    GenericRestClient,
    SendRequestException,
)

try:
    from azure.core.exceptions import AzureError
except ImportError:  # azure_rm_common says so
    AzureError = OSError

GROUPS_VERSION = "2025-09-01"
SECRETS_VERSION = "7.4"
VAULT_SCOPE = "https://vault.azure.net/.default"
PLACE = {
    "vault": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
    "version": {"type": "str", "required": True},
}


class Refused(Exception):
    """What Azure refuses, in words that hold no secret."""


class ContainerGroup(AzureRMModuleBase):
    """One group, and the values that went into it."""

    def __init__(self):
        arguments = {
            "resource_group": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "body": {"type": "dict", "required": True},
            "secrets": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "container": {"type": "str", "required": True},
                    "variable": {"type": "str", "required": True},
                    **PLACE,
                },
            },
            "login": {"type": "dict", "options": {"server": {"type": "str", "required": True}, **PLACE}},
        }
        self.read, self.vaults = {}, {}
        super().__init__(arguments, supports_tags=False)

    def exec_module(self, **asked):
        arm = self.get_mgmt_svc_client(GenericRestClient)
        url = (
            f"/subscriptions/{self.azure_auth.subscription_id}/resourceGroups/{asked['resource_group']}"
            f"/providers/Microsoft.ContainerInstance/containerGroups/{asked['name']}"
        )
        try:
            there = self.send(arm, url, "GET", None, [200, 404])
            if there.status_code == 200:
                return {"changed": False, "id": json.loads(there.text())["id"]}
            made = self.send(arm, url, "PUT", filled(asked, self.value), [200, 201, 202])
            return {"changed": True, "id": json.loads(made.text())["id"]}
        except (Refused, AzureError) as error:
            self.fail(self.without_values(str(error)))

    def value(self, place):
        """The secret's value; each version is read once."""
        vault, name, version = place["vault"], place["name"], place["version"]
        if (vault, name, version) not in self.read:
            url = f"/secrets/{name}/{version}"
            told = self.send(self.vault(vault), url, "GET", None, [200], SECRETS_VERSION)
            self.read[vault, name, version] = json.loads(told.text())["value"]
        return self.read[vault, name, version]

    def vault(self, name):
        if name not in self.vaults:
            self.vaults[name] = GenericRestClient(
                self.azure_auth.azure_credential_track2,
                self.azure_auth.subscription_id,
                base_url=f"https://{name}.vault.azure.net",
                credential_scopes=[VAULT_SCOPE],
            )
        return self.vaults[name]

    def send(self, client, url, method, body, expected, version=GROUPS_VERSION):
        headers = {"Content-Type": "application/json; charset=utf-8"} if body else None
        try:
            return client.query(url, method, {"api-version": version}, headers, body, expected, 0, 0)
        except SendRequestException as error:
            raise Refused(told(error)) from None

    def without_values(self, text):
        return without(self.read.values(), text)


def without(values, text):
    """The text with none of the values, nor the password of one that is a login: as they are, and as JSON has them."""
    for value in [*values, *filter(None, map(password, values))]:
        if value:
            text = text.replace(value, "(a secret)").replace(json.dumps(value)[1:-1], "(a secret)")
    return text


def password(value):
    """Empty in what is no login."""
    try:
        return str(json.loads(value)["password"])
    except (ValueError, TypeError, KeyError):
        return ""


def filled(asked, value):
    """The group's body with what is secret; `value` reads that by vault, name and version."""
    body = copy.deepcopy(asked["body"])
    properties = body["properties"]
    for secret in asked["secrets"]:
        container = next(each for each in properties["containers"] if each["name"] == secret["container"])
        variables = container["properties"].setdefault("environmentVariables", [])
        variables.append({"name": secret["variable"], "secureValue": value(secret)})
    if login := asked["login"]:
        properties["imageRegistryCredentials"] = [{"server": login["server"], **credentials(login, value(login))}]
    return body


def credentials(login, text):
    try:
        said = json.loads(text)
        return {"username": str(said["username"]), "password": str(said["password"])}
    except (ValueError, TypeError, KeyError):
        raise Refused(
            f"the secret {login['name']} in {login['vault']} is no login: not JSON with username and password | "
            'make a version of it like {"username": "…", "password": "…"}, and run arriero up again'
        ) from None


def told(error):
    """`(code) message`, as Azure words it; Key Vault's own code says more than its Forbidden."""
    try:
        found = json.loads(error.response)["error"]
        code = (found.get("innererror") or {}).get("code") or found["code"]
        return f"({code}) {found['message']}"
    except (ValueError, TypeError, KeyError, AttributeError):
        return f"Azure answers {error.status_code}"


def main():
    ContainerGroup()


if __name__ == "__main__":
    main()
