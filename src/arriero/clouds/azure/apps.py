"""Container apps, as targets of a site with GPUs: from their JSON to the plan's words, what each is (Resource) and how
it is (TargetFacts); and the environment that they are in.

One listing has the apps whole; how an app's replica fares its newest revision alone tells, so each is asked for by
itself. Words of states: https://learn.microsoft.com/azure/container-apps/revisions and the API's own
`ContainerAppReplicaRunningState`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from arriero.clouds.azure import identities
from arriero.clouds.azure.connection import Arm
from arriero.clouds.azure.groups import CRASHES, OUR_TAGS, release_of
from arriero.clouds.azure.network import last
from arriero.plan.model import SERVICE_TAG, SITE_TAG, Resource, SiteRef, TargetFacts, TargetState, Value
from arriero.plan.wanted.azure_apps import APP_KIND, ENVIRONMENT_KIND

Found = Mapping[str, Any]

VERSION = "2025-01-01"
TYPE, ENVIRONMENTS = "Microsoft.App/containerApps", "Microsoft.App/managedEnvironments"
FAILED = ("Failed", "Canceled")


@dataclass(frozen=True, slots=True)
class Apps:
    """The site's environment, if it is there, and its apps by name, each with its `replicas`."""

    environment: Found | None
    items: tuple[Found, ...]

    def resources(self) -> tuple[Resource, ...]:
        around = (environment_resource(self.environment),) if self.environment else ()
        return (*around, *map(as_resource, self.items))

    def targets(self, ref: SiteRef) -> tuple[TargetFacts, ...]:
        address = str((self.environment or {}).get("properties", {}).get("staticIp") or "")
        return tuple(as_target(item, ref, address) for item in self.items)

    @property
    def count(self) -> int:
        return live_count(self.items)


def read(arm: Arm, ref: SiteRef, pool: ThreadPoolExecutor) -> Apps:
    """Two requests side by side, and one more for each app. Raises as azure-core does."""
    name = f"{ref.service}-{ref.site}"
    environment = pool.submit(arm.get, f"/resourceGroups/{name}/providers/{ENVIRONMENTS}/{name}", VERSION)
    listed = [item for item in arm.list(path(ref, ""), VERSION) if is_ours(item, ref)]
    if not listed and environment.result() is None:
        # Resource Manager knows of a missing resource group while the region is down: the region itself is asked.
        arm.get(f"/providers/Microsoft.App/locations/{ref.region}/usages", VERSION)
    items = sorted(listed, key=lambda item: str(item["name"]))
    replicas = pool.map(lambda item: _replicas(arm, ref, item), items)
    return Apps(environment.result(), tuple({**i, "replicas": found} for i, found in zip(items, replicas, strict=True)))


def path(ref: SiteRef, name: str) -> str:
    """Of one app, or of all without a name."""
    whole = f"/resourceGroups/{ref.service}-{ref.site}/providers/{TYPE}"
    return f"{whole}/{name}" if name else whole


def is_ours(item: Found, ref: SiteRef) -> bool:
    """By its tags, or by its name where a hand took the tags away: such an app has drifted, it is no stranger."""
    tags = item.get("tags") or {}
    tagged = tags.get(SERVICE_TAG) == ref.service and tags.get(SITE_TAG) == ref.site
    return tagged or bool(re.fullmatch(rf"{re.escape(f'{ref.service}-{ref.site}')}-r\d+-\d+", item["name"]))


def as_resource(item: Found) -> Resource:
    properties, ingress = item["properties"], _ingress(item)
    tags = {key: str(value) for key, value in (item.get("tags") or {}).items()}
    template = properties.get("template") or {}
    scale = template.get("scale") or {}
    values: Mapping[str, Value] = {
        "location": str(item.get("location", "")).replace(" ", "").lower(),
        "environment": last(str(properties.get("environmentId") or properties.get("managedEnvironmentId") or "")),
        "profile": properties.get("workloadProfileName"),
        "ingress": {
            "external": bool(ingress.get("external")),
            "transport": str(ingress.get("transport", "")).lower(),
            "port": ingress.get("targetPort"),
        },
        "replicas": (scale.get("minReplicas") or 0, scale.get("maxReplicas") or 0),
        "revisions": str((properties.get("configuration") or {}).get("activeRevisionsMode", "")).lower(),
        "stop_seconds": template.get("terminationGracePeriodSeconds"),
        "containers": {each["name"]: _container(each) for each in template.get("containers") or ()},
        **identities.told(item, (properties.get("configuration") or {}).get("registries")),
        "tags": {key: tags[key] for key in OUR_TAGS if key in tags},
    }
    details: Mapping[str, Value] = {
        "provisioning": _provisioning(item),
        "failure": failure(item),
        "is_at_rest": is_at_rest(item),
        "port": exposed_port(item),
    }
    return Resource(APP_KIND, item["name"], values, item["id"], tags, details)


def environment_resource(item: Found) -> Resource:
    properties = item["properties"]
    network = properties.get("vnetConfiguration") or {}
    parts = str(network.get("infrastructureSubnetId") or "").split("/")
    profiles = (str(each.get("workloadProfileType")) for each in properties.get("workloadProfiles") or ())
    values: Mapping[str, Value] = {
        "location": str(item.get("location", "")).replace(" ", "").lower(),
        "state": _provisioning(item).lower(),
        "subnet": f"{parts[-3]}/{parts[-1]}" if len(parts) > 3 else None,
        "is_internal": bool(network.get("internal")),
        "profiles": tuple(sorted(profiles)),
    }
    tags = {key: str(value) for key, value in (item.get("tags") or {}).items()}
    return Resource(ENVIRONMENT_KIND, item["name"], values, item["id"], tags, {"address": properties.get("staticIp")})


def as_target(item: Found, ref: SiteRef, address: str) -> TargetFacts:
    """`address` is that of the environment, at which the app has a port of its own."""
    state, reason = _state(item)
    port = exposed_port(item)
    return TargetFacts(
        id=item["name"],
        site=ref.site,
        state=state,
        address=f"{address}:{port}" if address and port else "",
        release=release_of(item) or None,
        resource=item["name"],
        reason=reason,
    )


def live_count(items: Iterable[Found]) -> int:
    """How many apps were asked for: of the release that has most of them, so that a deployment cut off half-way does
    not double the number. Failed, leaving and stopped ones don't count.
    """
    live = (item for item in items if _provisioning(item) != "Deleting" and not failure(item) and not is_at_rest(item))
    return max(Counter(map(release_of, live)).values(), default=0)


def exposed_port(item: Found) -> int:
    """At the environment's address; 0 where it has none."""
    return int(_ingress(item).get("exposedPort") or 0)


def failure(item: Found) -> str:
    """Why the app serves nobody and will not by itself; empty while it serves or may still come up."""
    if _provisioning(item) in FAILED:
        return _details(item) or f"the app is {_provisioning(item)}"
    return next((text for each in _containers(item) if (text := _crash(each))), "")


def is_at_rest(item: Found) -> bool:
    """It was stopped, which takes its replica and its price away, and can be started as it is."""
    stopped = str(item["properties"].get("runningStatus", "")) == "Stopped"
    return stopped and _provisioning(item) not in (*FAILED, "Deleting")


def _replicas(arm: Arm, ref: SiteRef, item: Found) -> Sequence[Found]:
    """Those of its newest revision; none before it has one."""
    revision = item["properties"].get("latestRevisionName")
    if not revision:
        return ()
    return arm.list(f"{path(ref, item['name'])}/revisions/{revision}/replicas", VERSION)


def _state(item: Found) -> tuple[TargetState, str]:
    if _provisioning(item) == "Deleting":
        return "draining", "it is being deleted"
    if is_at_rest(item):
        return "stopped", "it was stopped"
    if reason := failure(item):
        return "stopped", reason
    containers = _containers(item)
    if _provisioning(item) == "Succeeded" and containers and all(each.get("ready") for each in containers):
        return "ready", ""
    return "starting", ""


def _provisioning(item: Found) -> str:
    return str(item["properties"].get("provisioningState", ""))


def _containers(item: Found) -> list[Found]:
    """How those of its replicas fare."""
    return [each for replica in item.get("replicas", ()) for each in replica["properties"].get("containers") or ()]


def _crash(container: Found) -> str:
    """A container that has come and gone too often, and is not up."""
    if container.get("runningState") == "Running" or int(container.get("restartCount") or 0) < CRASHES:
        return ""
    detail = container.get("runningStateDetails") or container.get("runningState")
    return f"container {container['name']} ends again and again ({detail})"


def _details(item: Found) -> str:
    """What is said of the replicas that could not be started."""
    told = (str(replica["properties"].get("runningStateDetails") or "") for replica in item.get("replicas", ()))
    return next(filter(None, told), "")


def _ingress(item: Found) -> Found:
    found: Found = (item["properties"].get("configuration") or {}).get("ingress") or {}
    return found


def _container(container: Found) -> Mapping[str, Value]:
    resources = container.get("resources") or {}
    return {
        "image": container.get("image"),
        "cpu": float(resources.get("cpu") or 0),
        "memory_gib": float(str(resources.get("memory") or "0").removesuffix("Gi")),
        "command": tuple(container.get("command") or ()),
        "environment": {each["name"]: each.get("value") for each in container.get("env") or ()},
    }
