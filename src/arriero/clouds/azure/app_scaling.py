"""More container apps, as `scaling.py` has it of container groups: copies of one that stands, under the names that a
deployment would give and at ports of their own. How they go is one thing for both, and stands there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from arriero.clouds.azure import apps, groups, identities
from arriero.clouds.azure.asking import ask
from arriero.clouds.azure.connection import connect
from arriero.clouds.azure.errors import door
from arriero.clouds.scaling import Require, Standing
from arriero.errors import CloudError, Problem
from arriero.plan.model import SiteRef
from arriero.plan.wanted.azure import free_names
from arriero.plan.wanted.azure_apps import free_ports

Found = Mapping[str, Any]


def read(ref: SiteRef) -> Standing:
    """The apps of the release that has most of them, as a plan counts them; one at rest counts for none."""
    with door(ref.site, ref.region):
        found = _read(ref)
    alive = tuple(each for each in found.targets(ref) if each.state not in ("stopped", "draining"))
    obstacle = _obstacle(found.items)
    return Standing(ref.site, found.count, alive, obstacle=obstacle, creates=True, lingers=True)


def start(ref: SiteRef, more: int, require: Require) -> Sequence[str]:
    """Apps at rest first, if any are. Each is asked for by itself: what a quota refuses leaves those before it."""
    with door(ref.site, ref.region):
        items, arm = _read(ref).items, connect()
        patterns = _patterns(items)
        if not patterns:
            raise CloudError(ref.site, Problem("no app stands that another one could be made from", "run arriero up"))
        resting = [str(item["name"]) for item in patterns if apps.is_at_rest(item)][:more]
        for name in resting:
            require()
            ask(ref, partial(arm.act, f"{apps.path(ref, name)}/start", apps.VERSION))
        stem = re.sub(r"-\d+$", "", str(patterns[0]["name"]))
        names = free_names(stem, {str(item["name"]) for item in items}, more - len(resting))
        ports = free_ports({apps.exposed_port(item) for item in items}, len(names))
        for name, port in zip(names, ports, strict=True):
            require()
            ask(ref, partial(arm.put, apps.path(ref, name), apps.VERSION, copy(patterns[0], port)))
    return [*resting, *names]


def has_rest(ref: SiteRef) -> bool:
    """Whether an app stands that was stopped, and can be started again."""
    return any(map(apps.is_at_rest, _patterns(_read(ref).items)))


def copy(pattern: Found, exposed_port: int) -> dict[str, Any]:
    """What is asked for so that another app is as this one, but for its port: what Azure adds is left out."""
    properties = pattern["properties"]
    ingress = _only(properties["configuration"]["ingress"], ("external", "transport", "targetPort"))
    template = properties["template"]
    containers = [_only(each, ("name", "image", "command", "env", "resources")) for each in template["containers"]]
    pulling = [_only(each, ("server", "identity")) for each in properties["configuration"].get("registries") or ()]
    return {
        **_only(pattern, ("location", "tags")),
        **identities.copied(pattern),
        "properties": {
            **_only(properties, ("environmentId", "workloadProfileName")),
            "configuration": {
                "activeRevisionsMode": properties["configuration"]["activeRevisionsMode"],
                "ingress": {**ingress, "exposedPort": exposed_port},
                **({"registries": pulling} if pulling else {}),
            },
            "template": {
                **_only(template, ("terminationGracePeriodSeconds",)),
                "containers": [
                    {**each, "resources": _only(each["resources"], ("cpu", "memory"))} for each in containers
                ],
                "scale": _only(template["scale"], ("minReplicas", "maxReplicas")),
            },
        },
    }


def _read(ref: SiteRef) -> apps.Apps:
    with ThreadPoolExecutor(max_workers=8, thread_name_prefix="scaling") as pool:
        return apps.read(connect(), ref, pool)


def _patterns(items: Sequence[Found]) -> list[Found]:
    """What an app can be made from: those of the newest release that run or rest, by name."""
    right = [item for item in items if not apps.failure(item)]
    newest = max(map(groups.release_of, right), default=0)
    return [item for item in right if groups.release_of(item) == newest]


def _obstacle(items: Sequence[Found]) -> str:
    failed = next((item for item in items if apps.failure(item)), None)
    if failed is not None:
        return f"{failed['name']} failed ({apps.failure(failed)}); arriero up clears that"
    return "" if _patterns(items) else "no container app stands to make another one from; run arriero up"


def _only(found: Found, members: Sequence[str]) -> dict[str, Any]:
    return {name: found[name] for name in members if found.get(name) is not None}
