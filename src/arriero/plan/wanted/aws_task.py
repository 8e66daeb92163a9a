"""The ECS task definition of one target: as AWS takes it, and in the normal form in which wish and world compare.

Both sides go through `normal_form`: the document that the role registers, and what DescribeTaskDefinition answers.
So everything that AWS keeps is compared, and a setting that somebody added by hand (a command, a secret) is seen too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from arriero.plan.model import RELEASE_TAG, SERVICE_TAG, SITE_TAG, Value
from arriero.plan.wanted import aws_gpu, sidecar, storage
from arriero.spec.model import ResolvedSite

CONTAINER = "ollama"
PORT = 11434
DEFINITION_TAG = "arriero-definition"
# Stand for ids that only AWS knows, and only once the file system is there; roles put the ids in.
FILE_SYSTEM, ACCESS_POINT = "@FILE_SYSTEM@", "@ACCESS_POINT@"
INCLUDED_STORAGE_GIB = 20  # what a Fargate task has when nothing is said; 21 to 200 can be asked for

# What of a described task definition is compared; the rest is AWS's own (ARN, revision, dates, derived attributes).
COMPARED = (
    "family",
    "status",
    "cpu",
    "memory",
    "networkMode",
    "requiresCompatibilities",
    "runtimePlatform",
    "ephemeralStorage",
    "placementConstraints",
    "executionRoleArn",
    "taskRoleArn",
    "volumes",
    "containerDefinitions",
    "pidMode",
    "ipcMode",
    "proxyConfiguration",
)
_IN_ORDER = ("command", "entryPoint")
_NAMED = ("containerDefinitions", "volumes", "secrets", "ulimits")
SCRATCH = {"sourceVolume": "scratch", "containerPath": "/tmp", "readOnly": False}
_STORAGE = {"sourceVolume": storage.STORAGE.strip("/"), "containerPath": storage.STORAGE}
PORT_MAPPINGS = [{"containerPort": PORT, "hostPort": PORT, "protocol": "tcp"}]


def document(site: ResolvedSite, labels: Mapping[str, str]) -> dict[str, Any]:
    """What RegisterTaskDefinition is given; `labels` tell which release it is, for no module here can tag it.

    The roles are named without account (`/arriero/llm/us-east-1/llm-east-exec`), for a plan must not depend on one.
    """
    base, path = f"{site.service}-{site.name}", role_path(site)
    return {
        **plain_document(site),
        "family": base,
        "cpu": str(int(site.size.cpu * 1024)),
        "memory": str(int(site.size.memory / 2**20)),
        **(aws_gpu.of_a_task(site) if site.gpu else _disk(site)),
        "taskRoleArn": f"{path}{base}-task",
        "volumes": [{"name": "scratch"}, *([_files()] if storage.is_used(site) else [])],
        "containerDefinitions": [*_first(site), *_containers(site, labels)],
    }


def plain_document(site: ResolvedSite) -> dict[str, Any]:
    """What all of a site's tasks on Fargate have in common."""
    return {
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "runtimePlatform": {"operatingSystemFamily": "LINUX", "cpuArchitecture": "X86_64"},
        "executionRoleArn": f"{role_path(site)}{site.service}-{site.name}-exec",
    }


def service(count: int, subnets: Iterable[str], group: str, is_public: bool) -> dict[str, Value]:
    """What all of a site's services have in common, as it is compared: a new task is there before an old one goes."""
    return {
        "status": "ACTIVE",
        "rollout": "ok",
        "desired_count": count,
        "deployment": {"minimum_healthy_percent": 100, "maximum_percent": 200, "breaker": True, "rollback": True},
        "network": {"subnets": tuple(sorted(subnets)), "security_groups": (group,), "public_ip": is_public},
    }


def seeding(site: ResolvedSite) -> dict[str, Any]:
    """The task that puts models into the site's storage: an Ollama that writes there, and the job that tells it to."""
    whole, base = document(site, {}), f"{site.service}-{site.name}"
    server = {**sidecar.server_environment(site), "HOME": "/tmp", **storage.WRITING}
    ollama = container(site, CONTAINER, server)
    mounts = [SCRATCH, {**_STORAGE, "readOnly": False}]
    ollama |= {"entryPoint": list(sidecar.SERVER_COMMAND), "mountPoints": mounts}
    job = container(site, storage.SEEDING, storage.seed_environment(site, sidecar.OLLAMA_ADDRESS))
    job |= {
        "entryPoint": list(storage.SEED_COMMAND),
        "dependsOn": [{"containerName": CONTAINER, "condition": "START"}],
        "mountPoints": [SCRATCH],
    }
    del ollama["healthCheck"], job["healthCheck"]
    role = f"{role_path(site)}{base}-seed"
    return {**whole, "family": f"{base}-seed", "taskRoleArn": role, "containerDefinitions": [ollama, job]}


def cleaning(site: ResolvedSite, environment: Mapping[str, str]) -> dict[str, Any]:
    """The task that takes models out of the site's storage. Of the family of the one that fills it, so that never both
    are at work.
    """
    job = container(site, storage.CLEANING, environment)
    mounts = [SCRATCH, {**_STORAGE, "readOnly": False}]
    job |= {"entryPoint": list(storage.CLEAN_COMMAND), "mountPoints": mounts}
    del job["healthCheck"]
    return {**seeding(site), "containerDefinitions": [job]}


def _disk(site: ResolvedSite) -> dict[str, Any]:
    """What Fargate includes can't be asked for: RegisterTaskDefinition takes 21 GiB and more."""
    gib = int(site.size.storage.in_gib)
    return {} if gib == INCLUDED_STORAGE_GIB else {"ephemeralStorage": {"sizeInGiB": gib}}


def _files() -> dict[str, Any]:
    """The volume: encrypted on its way, and only for who the task's role is."""
    access = {"accessPointId": ACCESS_POINT, "iam": "ENABLED"}
    efs = {"fileSystemId": FILE_SYSTEM, "transitEncryption": "ENABLED", "authorizationConfig": access}
    return {"name": storage.STORAGE.strip("/"), "efsVolumeConfiguration": efs}


def _first(site: ResolvedSite) -> list[dict[str, Any]]:
    """The container that lays models out before Ollama starts, where some come from storage."""
    if not storage.is_used(site):
        return []
    laying = container(site, storage.LAYING, storage.lay_environment(site, copies=False))
    del laying["healthCheck"]
    mounts = [SCRATCH, {**_STORAGE, "readOnly": True}]
    return [{**laying, "essential": False, "entryPoint": list(storage.LAY_COMMAND), "mountPoints": mounts}]


def role_path(site: ResolvedSite) -> str:
    """IAM is global: the path tells the service, and the region in which to look for the rest of the site."""
    return f"/arriero/{site.service}/{site.region}/"


def labels(site: ResolvedSite, release: int, digest: str) -> dict[str, str]:
    return {SERVICE_TAG: site.service, SITE_TAG: site.name, RELEASE_TAG: str(release), DEFINITION_TAG: digest}


def normal_form(document: Mapping[str, Any]) -> dict[str, Value]:
    """The compared part of a task definition, without what means nothing: empty values, the order of lists."""
    chosen = {key: document[key] for key in COMPARED if key in document}
    disk = document.get("ephemeralStorage") or {"sizeInGiB": INCLUDED_STORAGE_GIB}
    roles = {key: _role_name(chosen.get(key, "")) for key in ("executionRoleArn", "taskRoleArn")}
    volumes = [_volume(each) for each in chosen.get("volumes", ())]
    normal = _normal({"status": "ACTIVE", **chosen, **roles, "ephemeralStorage": disk, "volumes": volumes})
    assert isinstance(normal, dict)
    return normal


def _containers(site: ResolvedSite, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """Ollama, and before it its sidecar. Their roots are read-only, so Ollama must not prune its image's models."""
    environment = {"OLLAMA_NOPRUNE": "1", **sidecar.server_environment(site)}
    if site.sidecar:  # Ollama writes its key into its home, and /tmp is what can be written
        environment = {"HOME": "/tmp", **environment}
    ollama = container(site, CONTAINER, environment)
    if site.environment_from:  # ECS reads the values; no definition, plan or file holds them
        ollama["secrets"] = [{"name": name, "valueFrom": arn} for name, arn in sorted(site.environment_from.items())]
    ollama["mountPoints"] = [SCRATCH]
    if storage.is_used(site):
        ollama["mountPoints"].append({**_STORAGE, "readOnly": True})
        ollama["dependsOn"] = [{"containerName": storage.LAYING, "condition": "SUCCESS"}]
    ollama["dockerLabels"] = dict(labels)
    if site.gpu:
        ollama["resourceRequirements"] = aws_gpu.requirements(site)
    if not site.sidecar:
        return [{**ollama, "portMappings": PORT_MAPPINGS}]
    ollama["entryPoint"] = list(sidecar.SERVER_COMMAND)
    # A container is stopped before those that it depends on: streams end while Ollama still runs.
    beside = {
        "entryPoint": list(sidecar.COMMAND),
        "portMappings": PORT_MAPPINGS,
        "dependsOn": [{"containerName": CONTAINER, "condition": "START"}],
        "memory": sidecar.MEMORY_MIB,
    }
    return [ollama, {**container(site, sidecar.NAME, sidecar.environment(site)), **beside}]


def container(site: ResolvedSite, name: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """What both have in common; `ollama list` asks where OLLAMA_HOST says, which is the sidecar's port by default."""
    login = {"repositoryCredentials": {"credentialsParameter": site.registry_login}} if site.registry_login else {}
    return {
        "name": name,
        "image": site.image,
        **login,
        "essential": True,
        "environment": [{"name": key, "value": value} for key, value in sorted(environment.items())],
        "healthCheck": {
            "command": ["CMD", "ollama", "list"],
            "interval": 10,
            "timeout": 5,
            "retries": 3,
            "startPeriod": 120,
        },
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": f"/arriero/{site.service}/{site.name}",
                "awslogs-region": site.region,
                "awslogs-stream-prefix": name,
            },
        },
        "stopTimeout": int(site.deploy.stop_within),
        "readonlyRootFilesystem": True,
        "linuxParameters": {"capabilities": {"drop": ["ALL"]}},
    }


def _volume(volume: Mapping[str, Any]) -> dict[str, Any]:
    """Without ids, which the wish can't know: that a task mounts the site's own file system is not compared."""
    efs = dict(volume.get("efsVolumeConfiguration") or {})
    if not efs:
        return dict(volume)
    access = {"iam": (efs.get("authorizationConfig") or {}).get("iam")}
    kept = {key: efs[key] for key in ("transitEncryption",) if key in efs}
    return {"name": volume["name"], "efsVolumeConfiguration": {**kept, "authorizationConfig": access}}


def _role_name(arn: str) -> str:
    """`arn:aws:iam::123456789012:role/arriero/llm/us-east-1/x` -> `/arriero/llm/us-east-1/x`."""
    return arn.partition(":role")[2] if arn.startswith("arn:") else arn


def _normal(value: Any, key: str = "") -> Value:
    if isinstance(value, Mapping):
        parts = {name: _normal(value[name], name) for name in sorted(value)}
        return {name: part for name, part in parts.items() if part not in (None, "", (), {}, False, 0)}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return _normal_list(value, key)
    return value  # type: ignore[no-any-return]


def _normal_list(values: Sequence[Any], key: str) -> Value:
    """Lists of named things become mappings, so that a difference names the thing and not its place."""
    if key == "environment":
        return {each["name"]: each.get("value", "") for each in values}
    if key in _NAMED:
        unnamed = {each["name"]: {k: v for k, v in each.items() if k != "name"} for each in values}
        return {name: _normal(rest) or "present" for name, rest in unnamed.items()}
    parts = [_normal(value) for value in values]
    return tuple(parts if key in _IN_ORDER else sorted(parts, key=str))
