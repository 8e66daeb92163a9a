"""Container groups in Resource Manager's own words, for who sends them as they are: the role where Ansible's module has
no argument for a part of them, and Terraform's azapi (`pipeline/terraform/azapi.py`).

No key is among them: where one goes stands what `plan/wanted` has in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from arriero.clouds.azure import files, identities
from arriero.events import Json
from arriero.plan.model import Resource
from arriero.plan.wanted import azure as wish
from arriero.plan.wanted import azure_logs, storage
from arriero.spec.model import ResolvedSite


def group(site: ResolvedSite, wanted: Resource, subnet_id: str, account: str) -> dict[str, Json]:
    """`account` is the name of the storage account of its models, if some come from storage."""
    containers = cast("Mapping[str, Mapping[str, Any]]", wanted.properties["containers"])
    ports: list[Json] = [{"port": wish.PORT, "protocol": "TCP"}]
    properties: dict[str, Json] = {
        "osType": "Linux",
        "sku": "Standard",
        "restartPolicy": "Always",
        "ipAddress": {"type": "Private", "ports": ports},
        "subnetIds": [{"id": subnet_id}],
        "containers": [container(site, name, each) for name, each in containers.items()],
    }
    if storage.is_used(site):
        first = cast("Mapping[str, Mapping[str, Any]]", wanted.properties["init"])
        properties["initContainers"] = [container(site, name, each) for name, each in first.items()]
        properties["volumes"] = files.volumes(account, is_read_only=True)
    if site.has_workspace:
        properties["diagnostics"] = {
            "logAnalytics": {
                "workspaceId": azure_logs.WORKSPACE_ID,
                "workspaceKey": azure_logs.WORKSPACE_KEY,
                "logType": azure_logs.LOG_TYPE,
            }
        }
    if pulling := identities.registries(wanted.properties):
        properties["imageRegistryCredentials"] = pulling
    given = identities.given(wanted.properties)
    return {"location": site.region, "tags": dict(wanted.tags), **given, "properties": properties}


def profile(site: ResolvedSite, wanted: Resource) -> dict[str, Json]:
    """What a standby pool makes groups from: a group without the subnet, which the pool says. It holds no key, for a
    site that has one keeps no spares.
    """
    body = group(site, wanted, subnet_id="", account="")
    properties = cast("dict[str, Json]", body["properties"])
    return {**body, "properties": {key: value for key, value in properties.items() if key != "subnetIds"}}


def container(site: ResolvedSite, name: str, wanted: Mapping[str, Any]) -> Json:
    """One that has no processors of its own is an init container."""
    properties: dict[str, Json] = {
        "image": wanted["image"],
        "command": list(wanted["command"]),
        "environmentVariables": variables(wanted["environment"]),
    }
    if "cpu" in wanted:
        properties["ports"] = [{"port": port, "protocol": "TCP"} for port in wanted["ports"]]
        properties["resources"] = {"requests": {"cpu": wanted["cpu"], "memoryInGB": wanted["memory_gb"]}}
    if mounts := wanted.get("mounts"):
        properties["volumeMounts"] = [{"name": volume, "mountPath": path} for volume, path in mounts.items()]
    if "user" in wanted:
        properties["securityContext"] = {"runAsUser": wanted["user"]}
    if wanted.get("liveness"):
        properties["livenessProbe"] = {
            **cast("Mapping[str, Json]", wish.probe(site)),
            "periodSeconds": wish.PROBE_PERIOD_SECONDS,
            "failureThreshold": wish.probe_failures(site),
        }
    return {"name": name, "properties": properties}


def variables(environment: Mapping[str, str]) -> list[Json]:
    return [{"name": name, "value": value} for name, value in environment.items()]
