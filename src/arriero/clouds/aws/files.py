"""The file system of a site's models, read into Resources: what it is, and which models it holds by its own tag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from arriero.plan.model import SERVICE_TAG, SITE_TAG, Resource, SiteRef, Value
from arriero.plan.wanted.aws_files import KIND, MODELS_KIND
from arriero.plan.wanted.storage import MARK_TAG

Found = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Storage:
    """The site's file system as EFS tells of it; `targets` are where it can be mounted."""

    system: Found
    points: tuple[Found, ...]
    targets: tuple[Found, ...]


def read(efs: Any, ref: SiteRef) -> Storage | None:
    """The file system with the site's tags, or None."""
    pages = efs.get_paginator("describe_file_systems").paginate()
    mine = [system for page in pages for system in page["FileSystems"] if _is_ours(system, ref)]
    if not mine:
        return None
    name = mine[0]["FileSystemId"]
    points = efs.describe_access_points(FileSystemId=name)["AccessPoints"]
    return Storage(mine[0], tuple(points), tuple(efs.describe_mount_targets(FileSystemId=name)["MountTargets"]))


def resources(found: Storage, ref: SiteRef, names: Mapping[str, str]) -> tuple[Resource, ...]:
    """The file system and its content; `names` tell the site's own subnets by id."""
    base, tags = f"{ref.service}-{ref.site}", _tags(found.system)
    point = found.points[0] if found.points else {}
    properties: dict[str, Value] = {
        "encrypted": bool(found.system.get("Encrypted")),
        "throughput": found.system.get("ThroughputMode"),
        "provisioned_mibps": _provisioned(found.system),
        "access_point": {
            "root": (point.get("RootDirectory") or {}).get("Path"),
            "user": (point.get("PosixUser") or {}).get("Uid"),
        },
        "subnets": tuple(sorted(names.get(each["SubnetId"], each["SubnetId"]) for each in found.targets)),
    }
    details: dict[str, Value] = {
        "access_point_id": point.get("AccessPointId", ""),
        "mount_targets": {
            names.get(each["SubnetId"], each["SubnetId"]): each["MountTargetId"] for each in found.targets
        },
    }
    system = Resource(KIND, base, properties, found.system["FileSystemId"], tags, details)
    mark = tags.get(MARK_TAG)
    return (system, *([Resource(MODELS_KIND, base, {"models": mark})] if mark else []))


def _provisioned(system: Found) -> int | None:
    """A former amount that EFS may still tell says nothing in another mode."""
    amount = system.get("ProvisionedThroughputInMibps") if system.get("ThroughputMode") == "provisioned" else None
    return None if amount is None else round(amount)


def _is_ours(system: Found, ref: SiteRef) -> bool:
    tags = _tags(system)
    return tags.get(SERVICE_TAG) == ref.service and tags.get(SITE_TAG) == ref.site


def _tags(system: Found) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in system.get("Tags", ())}
