"""How long a registry of Azure (ACR) keeps a service's images, pure: every digest of the last N releases, and what was
ever stable, which no filter here names.

ACR has no rules by tag. Its retention policy takes what has no tag any more, and only in the Premium tier. What it has
in every tier is tasks: one of the service's own runs `acr purge` at night, as Microsoft advises
(https://learn.microsoft.com/azure/container-registry/container-registry-auto-purge). Tags go first, and a manifest only
with its last tag, so one that is a kept release's, or stable, outlives the others that it had. A tag that is locked
there stays.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from arriero.plan.model import Resource, Value
from arriero.spec.image import ACR, Variant, repository_of
from arriero.spec.model import Spec

KIND = "azure.purge_task"
COMMIT_DAYS = 30
# What an image's names begin with, by its variant.
PREFIXES: Mapping[Variant, str] = {"cpu": "", "cuda": "cuda-"}
SCHEDULE = "17 3 * * *"
_RUN_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Place:
    """A repository of ACR: the registry's login server, its path there, and what the task is named."""

    host: str
    path: str
    task: str


def place(spec: Spec) -> Place | None:
    """Where the sites at Azure pull from, if that is ACR."""
    if all(site.cloud != "azure" for site in spec.sites.values()):
        return None
    found = ACR.fullmatch(repository_of(spec.image.at("azure")))
    return Place(found["host"], found["path"], f"{spec.name}-purge") if found else None


def commands(path: str, keep: int) -> tuple[str, ...]:
    """Releases beyond the newest, then commits that were never released, with what has no name any more. A repository
    is a pattern there, so its dots are written as what they are.
    """
    where = path.replace(".", "[.]")
    releases = (f"--filter '{where}:^{head}r[0-9]+$' --ago 0d --keep {keep}" for head in PREFIXES.values())
    heads = "|".join(filter(None, PREFIXES.values()))
    commits = f"--filter '{where}:^({heads})?git-' --ago {COMMIT_DAYS}d --keep {keep} --untagged"
    return tuple(f"acr purge {options}" for options in (*releases, commits))


def text(path: str, keep: int) -> str:
    """The task in ACR's own YAML."""
    return "version: v1.1.0\nsteps:\n" + "".join(
        f"  - cmd: {line}\n    disableWorkingDirectoryOverride: true\n    timeout: {_RUN_SECONDS}\n"
        for line in commands(path, keep)
    )


def wish(spec: Spec, where: Place) -> Resource:
    properties: dict[str, Value] = {
        "runs": commands(where.path, spec.image.keep),
        "schedule": (SCHEDULE,),
        "status": "Enabled",
    }
    return Resource(KIND, where.task, properties)


def body(path: str, keep: int) -> Mapping[str, Any]:
    """What Resource Manager is told, without location and tags."""
    content = base64.b64encode(text(path, keep).encode()).decode()
    return {
        "status": "Enabled",
        "platform": {"os": "Linux", "architecture": "amd64"},
        "agentConfiguration": {"cpu": 2},
        "timeout": len(commands(path, keep)) * _RUN_SECONDS,
        "step": {"type": "EncodedTask", "encodedTaskContent": content},
        "trigger": {"timerTriggers": [{"name": "nightly", "schedule": SCHEDULE, "status": "Enabled"}]},
    }


def found(name: str, properties: Mapping[str, Any]) -> Resource:
    """A task as Resource Manager tells it; one that is of another kind runs nothing that we know."""
    timers = (properties.get("trigger") or {}).get("timerTriggers") or ()
    enabled = tuple(str(timer.get("schedule")) for timer in timers if timer.get("status") != "Disabled")
    step = properties.get("step") or {}
    runs = _commands(str(step.get("encodedTaskContent") or ""))
    return Resource(KIND, name, {"runs": runs, "schedule": enabled, "status": properties.get("status")})


def _commands(encoded: str) -> tuple[str, ...]:
    try:
        task = YAML(typ="safe").load(base64.b64decode(encoded, validate=True))
        return tuple(str(step["cmd"]) for step in task["steps"])
    except (binascii.Error, UnicodeError, YAMLError, TypeError, KeyError):
        return ()
