"""Container apps and their environment in Resource Manager's own words: Ansible has no module for either."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from arriero.clouds.azure import bodies, identities
from arriero.events import Json
from arriero.plan.model import Resource


def environment(wanted: Resource, subnet_id: str) -> dict[str, Json]:
    """A profile is called by its type: an environment has each once."""
    properties = cast("Mapping[str, Any]", wanted.properties)
    profiles: list[Json] = [{"name": each, "workloadProfileType": each} for each in properties["profiles"]]
    return {
        "location": properties["location"],
        "tags": dict(wanted.tags),
        "properties": {
            "vnetConfiguration": {"infrastructureSubnetId": subnet_id, "internal": properties["is_internal"]},
            "workloadProfiles": profiles,
            "zoneRedundant": False,
        },
    }


def app(wanted: Resource, environment_id: str, exposed_port: int) -> dict[str, Json]:
    """`exposed_port` is the app's own, at the address of the environment."""
    properties = cast("Mapping[str, Any]", wanted.properties)
    least, most = properties["replicas"]
    pulling = identities.registries(properties)
    return {
        "location": properties["location"],
        "tags": dict(wanted.tags),
        **identities.given(properties),
        "properties": {
            "environmentId": environment_id,
            "workloadProfileName": properties["profile"],
            "configuration": {
                "activeRevisionsMode": str(properties["revisions"]).capitalize(),
                "ingress": {
                    "external": properties["ingress"]["external"],
                    "transport": properties["ingress"]["transport"],
                    "targetPort": properties["ingress"]["port"],
                    "exposedPort": exposed_port,
                },
                **({"registries": pulling} if pulling else {}),
            },
            "template": {
                "terminationGracePeriodSeconds": properties["stop_seconds"],
                "containers": [_container(name, each) for name, each in properties["containers"].items()],
                "scale": {"minReplicas": least, "maxReplicas": most},
            },
        },
    }


def _container(name: str, wanted: Mapping[str, Any]) -> Json:
    return {
        "name": name,
        "image": wanted["image"],
        "command": list(wanted["command"]),
        "env": bodies.variables(wanted["environment"]),
        "resources": {"cpu": wanted["cpu"], "memory": f"{wanted['memory_gib']:g}Gi"},
    }
