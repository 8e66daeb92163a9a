"""From a container group's JSON to the plan's words: what it is (Resource) and how it is (TargetFacts)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

from arriero.clouds.azure import identities
from arriero.clouds.azure.files import volume_of
from arriero.clouds.azure.network import last
from arriero.clouds.azure.workspaces import id_in
from arriero.plan.model import RELEASE_TAG, SERVICE_TAG, SITE_TAG, Resource, SiteRef, TargetFacts, TargetState, Value
from arriero.plan.wanted import azure_secrets
from arriero.plan.wanted.azure import DEFINITION_TAG, GROUP_KIND, PORT
from arriero.plan.wanted.azure_logs import MEMBER

Found = Mapping[str, Any]

VERSION = "2025-09-01"
TYPE = "Microsoft.ContainerInstance/containerGroups"
OUR_TAGS = (SERVICE_TAG, SITE_TAG, RELEASE_TAG, DEFINITION_TAG)
FAILED = ("Failed", "Canceled", "Unhealthy")
STOPPED = ("Stopped", "Failed", "Terminated")
CRASHES = 3  # so many restarts without being up: the container will not come up by itself


def is_ours(item: Found, ref: SiteRef) -> bool:
    """By its tags, or by its name where a hand took the tags away: such a group has drifted, it is no stranger."""
    tags = item.get("tags") or {}
    tagged = tags.get(SERVICE_TAG) == ref.service and tags.get(SITE_TAG) == ref.site
    if item["name"].endswith("-seed"):
        return False  # a job, and no target
    if item["properties"].get("isCreatedFromStandbyPool"):
        tagged = False  # a spare may carry our tags; only who takes it gives it a name of ours
    return tagged or bool(re.fullmatch(rf"{re.escape(f'{ref.service}-{ref.site}')}-r\d+-\d+", item["name"]))


def release_of(item: Found) -> int:
    """Of a group or an app; 0 where its tags say none."""
    text = str((item.get("tags") or {}).get(RELEASE_TAG, ""))
    return int(text) if text.isdecimal() else 0


def as_resource(item: Found, workspaces: Mapping[str, str] | None = None) -> Resource:
    """`workspaces` are the names of those that are known, by their ids; another is told by its id."""
    properties = item["properties"]
    tags = {key: str(value) for key, value in (item.get("tags") or {}).items()}
    address = properties.get("ipAddress") or {}
    values: Mapping[str, Value] = {
        "location": str(item.get("location", "")).lower(),
        "os_type": properties.get("osType"),
        "restart_policy": properties.get("restartPolicy"),
        "address": str(address.get("type", "none")).lower(),
        "ports": _ports(address.get("ports")),
        "subnet": subnet(properties.get("subnetIds")),
        "containers": {
            each["name"]: _container(each["properties"], tags) for each in properties.get("containers") or ()
        },
        **_around(properties),
        **_login(properties, tags),
        **_logs(properties, workspaces or {}),
        **identities.told(item, properties.get("imageRegistryCredentials")),
        "tags": {key: tags[key] for key in OUR_TAGS if key in tags},
    }
    details: Mapping[str, Value] = {
        "provisioning": _provisioning(item),
        "failure": failure(item),
        "is_at_rest": is_at_rest(item),
    }
    return Resource(GROUP_KIND, item["name"], values, item["id"], tags, details)


def as_target(item: Found, ref: SiteRef) -> TargetFacts:
    state, reason = _state(item)
    ip = (item["properties"].get("ipAddress") or {}).get("ip", "")
    return TargetFacts(
        id=item["name"],
        site=ref.site,
        state=state,
        address=f"{ip}:{PORT}" if ip else "",
        release=release_of(item) or None,
        resource=item["name"],
        reason=reason,
    )


def live_count(items: Iterable[Found]) -> int:
    """How many groups were asked for: of the release that has most of them, so that a deployment cut off half-way,
    with groups of two releases side by side, does not double the number. Failed and leaving ones don't count.
    """
    counts: dict[str, int] = {}
    for item in items:
        if _provisioning(item) != "Deleting" and not failure(item):
            release = str((item.get("tags") or {}).get(RELEASE_TAG, ""))
            counts[release] = counts.get(release, 0) + 1
    return max(counts.values(), default=0)


def failure(item: Found) -> str:
    """Why the group serves nobody and will not by itself; empty while it serves or may still come up."""
    state = str((item["properties"].get("instanceView") or {}).get("state", ""))
    if _provisioning(item) in FAILED or state in STOPPED:
        return _last_warning(item) or f"the group is {state or _provisioning(item)}"
    every = [*_views(item), *_views(item, "initContainers")]
    return next((text for each in every if (text := _crash(*each))), "")


def is_at_rest(item: Found) -> bool:
    """It was stopped, which takes its containers and its price away, and can be started as it is."""
    state = str((item["properties"].get("instanceView") or {}).get("state", ""))
    return state == "Stopped" and _provisioning(item) not in (*FAILED, "Deleting")


def _state(item: Found) -> tuple[TargetState, str]:
    provisioning, reason = _provisioning(item), failure(item)
    if provisioning == "Deleting":
        return "draining", "it is being deleted"
    if reason:
        return "stopped", reason
    states = [str((view.get("currentState") or {}).get("state", "")) for _, view in _views(item)]
    if "Terminated" in states:
        return "stopped", next(_exit(name, view["currentState"]) for name, view in _views(item) if _is_over(view))
    if provisioning == "Succeeded" and states and all(state == "Running" for state in states):
        return "ready", ""
    return "starting", ""


def _provisioning(item: Found) -> str:
    return str(item["properties"].get("provisioningState", ""))


def _views(item: Found, which: str = "containers") -> list[tuple[str, Found]]:
    """Each container's name and instanceView. A listing has none (azure-rest-api-specs#21280): ask for the group."""
    containers = item["properties"].get(which) or ()
    return [(each["name"], each["properties"].get("instanceView") or {}) for each in containers]


def _crash(name: str, view: Found) -> str:
    """A container that Azure keeps back from another start, or that has come and gone too often."""
    now, restarts = view.get("currentState") or {}, int(view.get("restartCount") or 0)
    is_kept_back = "CrashLoopBackOff" in str(now.get("detailStatus", ""))
    if now.get("state") == "Running" or not (is_kept_back or restarts >= CRASHES):
        return ""
    return f"{_exit(name, view.get('previousState') or now)}, again and again"


def _is_over(view: Found) -> bool:
    return (view.get("currentState") or {}).get("state") == "Terminated"


def _exit(name: str, state: Found) -> str:
    detail = f" ({state['detailStatus']})" if state.get("detailStatus") else ""
    return f"container {name} exited with code {state.get('exitCode')}{detail}"


def _last_warning(item: Found) -> str:
    """What the newest warning says: the group's own events and its containers'."""
    views = [item["properties"].get("instanceView") or {}, *(view for _, view in _views(item))]
    events = [event for view in views for event in view.get("events") or () if event.get("type") == "Warning"]
    newest = max(events, key=lambda event: str(event.get("lastTimestamp", "")), default=None)
    return f"{newest['name']}: {newest['message']}" if newest else ""


def _container(properties: Found, tags: Mapping[str, str]) -> Mapping[str, Value]:
    """Variables without a value are secure ones, of which Azure tells the names only; tags say where they are from."""
    requests = (properties.get("resources") or {}).get("requests") or {}
    variables = {each["name"]: each.get("value") for each in properties.get("environmentVariables") or ()}
    secure = {f"{azure_secrets.VARIABLE_TAG}{name}" for name, value in variables.items() if value is None}
    told = azure_secrets.of_ollama({tag: place for tag, place in tags.items() if tag in secure})
    known = cast("Mapping[str, Value]", told.get("secrets", {}))
    return {
        "image": properties.get("image"),
        "cpu": float(requests.get("cpu", 0)),
        "memory_gb": round(float(requests.get("memoryInGB", 0)), 1),
        "ports": _ports(properties.get("ports")),
        "command": tuple(properties.get("command") or ()),
        "environment": {name: value for name, value in variables.items() if name not in known},
        **told,
        "liveness": _probe(properties.get("livenessProbe")),
        **({"mounts": found} if (found := _mounts(properties)) else {}),
    }


def _around(properties: Found) -> Mapping[str, Value]:
    """Init containers and volumes, where there are any."""
    init = {each["name"]: _init(each["properties"]) for each in properties.get("initContainers") or ()}
    volumes = {each["name"]: volume_of(each) for each in properties.get("volumes") or ()}
    return {name: values for name, values in (("init", init), ("volumes", volumes)) if values}


def _login(properties: Found, tags: Mapping[str, str]) -> Mapping[str, Value]:
    """To the image's registry, whose password Azure never tells."""
    servers = ",".join(str(each.get("server")) for each in properties.get("imageRegistryCredentials") or ())
    return azure_secrets.of_group(tags, servers)


def _logs(properties: Found, workspaces: Mapping[str, str]) -> Mapping[str, Value]:
    found = id_in(properties)
    return {MEMBER: workspaces.get(found, found)} if found else {}


def _init(properties: Found) -> Mapping[str, Value]:
    return {
        "image": properties.get("image"),
        "command": tuple(properties.get("command") or ()),
        "environment": {each["name"]: each.get("value") for each in properties.get("environmentVariables") or ()},
        "mounts": _mounts(properties),
        "user": (properties.get("securityContext") or {}).get("runAsUser"),
    }


def _mounts(properties: Found) -> Mapping[str, Value]:
    return {each["name"]: each["mountPath"] for each in properties.get("volumeMounts") or ()}


def _probe(probe: Found | None) -> str | None:
    """In the words of `plan/wanted/azure.py`; a probe of another kind is shown as it is, and differs."""
    if not probe:
        return None
    http, command = probe.get("httpGet"), (probe.get("exec") or {}).get("command")
    if (not http and not command) or "periodSeconds" not in probe:
        return str(dict(probe))
    where = f"GET :{http.get('port')}{http.get('path', '/')}" if http else f"`{' '.join(command or ())}`"
    return f"{where} every {probe.get('periodSeconds')}s, restart after {probe.get('failureThreshold')} failures"


def _ports(ports: Iterable[Found] | None) -> tuple[int, ...]:
    return tuple(sorted(int(each["port"]) for each in ports or ()))


def subnet(references: Iterable[Found] | None) -> str | None:
    """`<network>/<subnet>` of the only subnet that a group can have."""
    first = next(iter(references or ()), None)
    if first is None:
        return None
    parts = str(first["id"]).split("/")
    return f"{parts[-3]}/{last(str(first['id']))}"
