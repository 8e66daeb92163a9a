"""Container apps behind HTTPS ingress: each revision has replicas, and a new one takes the former one's place once they
are ready.

A replica is kept as a resource below its app, in the words of a container group, and is run as one (`reconciler.py`).
Only apps with so many replicas always, in single-revision mode, are emulated. Secrets come from Key Vault by reference;
whether the identity that reads them has the right to is not judged, only that it is there and the app's own.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Iterator
from typing import Any

from arriero.rehearse.azure import app_rules, identities, operations
from arriero.rehearse.azure.answers import Answer, ArmError, Document, Request
from arriero.rehearse.azure.ids import ResourceId, type_of
from arriero.rehearse.azure.runs import ContainerRun, GroupRun
from arriero.rehearse.azure.types import CONTAINER_APPS
from arriero.rehearse.azure.world import World

KIND = "Microsoft.App/containerApps/revisions/replicas"
_VAULTS, _VAULT_SUFFIX = "microsoft.keyvault/vaults", ".vault.azure.net"
_GIB = 2**30 / 10**9


def are_of(app: Document) -> bool:
    """Whether the app has ingress that knows HTTP, behind which replicas are alike."""
    ingress = (app["properties"].get("configuration") or {}).get("ingress")
    return ingress is not None and str(ingress.get("transport") or "auto").lower() != "tcp"


def put(world: World, request: Request, app: ResourceId, body: Document, old: Document | None) -> Answer:
    """Another template is another revision, whose replicas begin at once."""
    app_rules.check_app(world, app, body)
    values = dict(_secrets(world, app, body))
    count = _fill_in(world, app, body)
    is_same = old is not None and old["properties"]["template"] == body["properties"]["template"]
    before = (old or {"properties": {}})["properties"]
    about = body["properties"]
    about["latestRevisionName"] = before["latestRevisionName"] if is_same else f"{app.name}--{uuid.uuid4().hex[:7]}"
    about["latestReadyRevisionName"] = before.get("latestReadyRevisionName", "")
    about["provisioningState"], about["runningStatus"] = "Succeeded", "Running"
    world.state.resources[app.key] = body
    seconds = world.latency.seconds("aci.group_create")
    for _ in range(0 if is_same else count):
        _begin(world, app, body, values, seconds)
    headers = operations.begin(world, request, app.key, "put", seconds)
    world.state.changed()
    return Answer(200 if old else 201, view(world, app.key), headers)


def delete(world: World, request: Request, app: ResourceId) -> Answer:
    """The app is gone at once; its servers end in their own time."""
    for key in world.state.under(app.key):
        if key != app.key:
            leave(world, key)
    del world.state.resources[app.key]
    headers = operations.begin(world, request, app.key, "gone", world.latency.seconds("arm.call"), location=True)
    world.state.changed()
    return Answer(202, None, headers)


def view(world: World, key: str) -> Document:
    shown: Document = copy.deepcopy(world.state.resources[key])
    return shown


def told(world: World, app: ResourceId, revision: str) -> Answer:
    """The replicas of a revision."""
    running = [world.state.resources[key] for key in of(world, app.key, revision)]
    value = [{name: each[name] for name in ("id", "name", "type")} for each in running]
    return Answer(200, {"value": value})


def apps(world: World) -> Iterator[tuple[str, Document]]:
    """Those that have replicas, by their keys."""
    for key, resource in world.state.resources.items():
        if type_of(key) == CONTAINER_APPS and are_of(resource):
            yield key, resource


def of(world: World, app: str, revision: str = "") -> list[str]:
    """The keys of an app's replicas; with `revision` of that one's alone."""
    below = f"{app}/revisions/{revision.lower()}/replicas/" if revision else f"{app}/revisions/"
    return [key for key in world.state.runs if key.startswith(below)]


def leave(world: World, key: str) -> None:
    """A replica goes: its servers are asked to end."""
    world.state.leaving.append(world.state.runs.pop(key).target)
    del world.state.resources[key]
    world.state.changed()


def _begin(world: World, app: ResourceId, body: Document, values: dict[str, str], seconds: float) -> None:
    revision = body["properties"]["latestRevisionName"]
    name = f"{revision}-{uuid.uuid4().hex[:10]}"
    path = f"{app.path}/revisions/{revision}/replicas/{name}"
    template = body["properties"]["template"]
    port = int(body["properties"]["configuration"]["ingress"]["targetPort"])
    world.state.resources[path.lower()] = {
        "id": path,
        "name": name,
        "type": KIND,
        "location": body["location"],
        "tags": dict(body["tags"]),
        "properties": {
            "restartPolicy": "Always",
            "provisioningState": "Pending",
            "ipAddress": {"type": "Private"},
            "graceSeconds": template.get("terminationGracePeriodSeconds"),
            "containers": [_container(each, port, values) for each in template["containers"]],
        },
    }
    containers = [ContainerRun(each["name"]) for each in template["containers"]]
    world.state.runs[path.lower()] = GroupRun(name, world.now + seconds, containers=containers)


def _container(container: Document, port: int, values: dict[str, str]) -> Document:
    resources = container["resources"]
    given = [
        {"name": each["name"], "secureValue": values[each["secretRef"]]} if "secretRef" in each else dict(each)
        for each in container.get("env") or ()
    ]
    properties: dict[str, Any] = {
        "image": container["image"],
        "command": [*(container.get("command") or ()), *(container.get("args") or ())],
        "environmentVariables": given,
        "ports": [{"port": port}],
        "resources": {
            "requests": {
                "cpu": float(resources["cpu"]),
                "memoryInGB": float(str(resources["memory"]).removesuffix("Gi")) * _GIB,
            }
        },
    }
    return {"name": container["name"], "properties": properties}


def _secrets(world: World, app: ResourceId, body: Document) -> Iterator[tuple[str, str]]:
    """Each by its name in the app. Raises what the service answers to one that it can't have."""
    own = identities.of(body)
    for secret in (body["properties"].get("configuration") or {}).get("secrets") or ():
        identity = str(secret.get("identity") or "").lower()
        if not secret.get("keyVaultUrl"):
            yield secret["name"], str(secret.get("value") or "")
            continue
        if identity not in own:
            message = f"The secret '{secret['name']}' names an identity that '{app.name}' has not: '{identity}'."
            raise ArmError(400, "ContainerAppSecretInvalid", message)
        yield secret["name"], _from_vault(world, secret)
    _check_references(body)


def _from_vault(world: World, secret: Document) -> str:
    host, _, path = str(secret["keyVaultUrl"]).removeprefix("https://").partition("/secrets/")
    name, _, version = path.partition("/")
    vault = next((key for key in world.state.resources if _is_vault(key, host.removesuffix(_VAULT_SUFFIX))), "")
    kept = world.state.secrets.get(f"{vault}/secrets/{name.lower()}", [])
    found = next((one for one in reversed(kept) if version in ("", one["version"])), None)
    if found is None or not found["enabled"]:
        message = f"Unable to get value using Managed identity for secret '{secret['name']}': {secret['keyVaultUrl']}."
        raise ArmError(400, "ContainerAppSecretKeyVaultUrlInvalid", message)
    return str(found["secureValue"])


def _is_vault(key: str, name: str) -> bool:
    return type_of(key) == _VAULTS and key.rpartition("/")[2] == name.lower()


def _check_references(body: Document) -> None:
    known = {each["name"] for each in (body["properties"].get("configuration") or {}).get("secrets") or ()}
    for container in body["properties"]["template"]["containers"]:
        for each in container.get("env") or ():
            if "secretRef" in each and each["secretRef"] not in known:
                message = f"The environment variable '{each['name']}' refers to no secret: '{each['secretRef']}'."
                raise ArmError(400, "ContainerAppSecretRefNotFound", message)


def _fill_in(world: World, app: ResourceId, body: Document) -> int:
    """Returns how many replicas there are to be."""
    about = body["properties"]
    configuration, scale = about["configuration"], about["template"].get("scale") or {}
    least, most = scale.get("minReplicas") or 0, scale.get("maxReplicas") or 10
    if least != most or str(configuration.get("activeRevisionsMode", "Single")).lower() != "single":
        message = "Only container apps with so many replicas always, and a single revision, are emulated."
        raise ArmError(501, "NotImplemented", message)
    configuration["activeRevisionsMode"] = "Single"
    about["environmentId"] = about.get("environmentId") or about["managedEnvironmentId"]
    about["managedEnvironmentId"] = about["environmentId"]
    environment = world.find(app_rules.environment_key(body)) or {"properties": {}}
    ingress = configuration["ingress"]
    ingress["transport"] = str(ingress.get("transport") or "Auto").capitalize()
    ingress.setdefault("allowInsecure", False)
    ingress["traffic"] = [{"weight": 100, "latestRevision": True}]
    ingress["fqdn"] = f"{app.name}.{environment['properties'].get('defaultDomain', '')}"
    for container in about["template"]["containers"]:
        container["resources"]["ephemeralStorage"] = "2Gi"
    return int(least)
