"""Reads a site's storage of models out of a Terraform module, in the plan's words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from terraform_blocks import Module, Read, Values, done, many


def aws_files(module: Module) -> Read:
    points: dict[str, Values] = {}
    for _, point in module.of("aws_efs_access_point"):
        points[point.pop("file_system_id")] = _access_point(point)
        assert point.pop("tags")["Name"]
        done(point)
    targets: dict[str, list[str]] = {}
    for _, target in module.of("aws_efs_mount_target"):
        targets.setdefault(target.pop("file_system_id"), []).append(target.pop("subnet_id"))
        [group] = target.pop("security_groups")
        assert group.endswith("_files")
        done(target)
    models = dict(_models(module))
    for address, system in module.of("aws_efs_file_system"):
        name, tags = system.pop("creation_token"), system.pop("tags")
        assert tags.pop("Name") == name
        properties = {
            "encrypted": system.pop("encrypted"),
            "throughput": system.pop("throughput_mode"),
            "provisioned_mibps": system.pop("provisioned_throughput_in_mibps", None),
            "access_point": points.get(address, {"root": None, "user": None}),
            "subnets": targets.get(address, []),
        }
        yield "aws.file_system", name, properties, tags
        done(system)
        if address in models:
            yield "aws.stored_models", name, {"models": models[address]}, {}
    for _ in module.of("output"):  # the job: `jobs`
        pass


def _access_point(point: Values) -> Values:
    [user], [root] = many(point, "posix_user"), many(point, "root_directory")
    assert root["creation_info"]["owner_uid"] == root["creation_info"]["owner_gid"] == user["uid"] == user["gid"]
    assert root["creation_info"]["permissions"] == "0755"
    return {"root": root["path"], "user": user["uid"]}


def _models(module: Module) -> list[tuple[str, str]]:
    """What the tag of each file system is held against, once what says it is made."""
    asked = {address: each.pop("input") for address, each in module.of("terraform_data")}
    found = []
    for address, data in module.of("data.aws_efs_file_system"):
        assert data.pop("depends_on")
        found.append((data.pop("file_system_id"), asked[f"terraform_data.{address.rpartition('.')[2]}_models"]))
        done(data)
    assert len(found) == len(asked)
    return found


def volume(block: Values) -> Values:
    """One of a task definition's, as ECS takes it; the ids are the site's own."""
    for efs in many(block, "efs_volume_configuration"):
        [access] = many(efs, "authorization_config")
        assert efs.pop("file_system_id").startswith("aws_efs_file_system.")
        assert access.pop("access_point_id").startswith("aws_efs_access_point.")
        block["efsVolumeConfiguration"] = {
            "transitEncryption": efs.pop("transit_encryption"),
            "authorizationConfig": {"iam": access.pop("iam")},
        }
        done({**efs, **access})
    return block


def jobs(module: Module, label: str) -> Mapping[str, Any]:
    """The requests that fill a storage, by the end of their output's name."""
    found = {address.removeprefix(f"output.{label}_"): each for address, each in module.of("output")}
    return {name: json.loads(each["value"]) for name, each in found.items()}
