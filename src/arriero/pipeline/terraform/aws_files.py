"""A site's storage of models in the words of the provider hashicorp/aws, and what keeps the roles' order there.

Terraform can make a file system and not fill it. So the service has a precondition: that the file system's own tag
names the models, which whoever has filled it writes, as `arriero up` does. The tag is read anew whenever the models
change. The job that fills the storage is an output; the module's README.md says how to run it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

from arriero.pipeline.terraform import aws_network
from arriero.pipeline.terraform.aws_network import group_id, ours, tags
from arriero.pipeline.terraform.hcl import Blocks, Body, Call, Expression, Raw
from arriero.pipeline.terraform.piece import Maker, Piece, Site
from arriero.plan.model import Resource
from arriero.plan.wanted import aws_files, aws_task, storage
from arriero.plan.wanted.aws import base_name, has_public_tasks, log_group_name

KEPT_NOTE = "Models are kept: README.md says how they go. Who fills it writes the tag arriero-models."
TASK, RUN, MARK = "seed_task", "seed_run", "seed_mark"


def volume(site: Site, asked: Mapping[str, Any]) -> Body:
    """One of a task definition's; ids are references."""
    efs = asked.get("efsVolumeConfiguration")
    if efs is None:
        return {"name": asked["name"]}
    access: Body = {
        "access_point_id": _point_id(site),
        "iam": efs["authorizationConfig"]["iam"],
    }
    how: Body = {
        "file_system_id": _system_id(site),
        "transit_encryption": efs["transitEncryption"],
        "authorization_config": Blocks((access,)),
    }
    return {"name": asked["name"], "efs_volume_configuration": Blocks((how,))}


def gate(site: Site) -> dict[str, Blocks]:
    """What of the service's lifecycle keeps it from models that are not there yet."""
    if not storage.is_used(site.spec):
        return {}
    tag = f'lookup(data.aws_efs_file_system.{site.label}.tags, "{storage.MARK_TAG}", "")'
    said = f"The storage of {site.spec.name} does not have {_names(site)} yet: README.md says how it is filled."
    asked: Body = {"condition": Raw(f"{tag} == terraform_data.{site.label}_models.input"), "error_message": said}
    return {"precondition": Blocks((asked,))}


def guide(site: Site) -> str:
    """What the module's README says of it; empty without models from storage."""
    if not storage.is_used(site.spec):
        return ""
    label, region, base = site.label, site.spec.region, base_name(site.spec)
    return f"""
## Models in the storage of {site.spec.name}

Terraform makes the file system, and can't fill it. Until it has {_names(site)}, `terraform apply` makes all but the
service, whose precondition says so. Then run the job:

    aws ecs register-task-definition --region {region} --cli-input-json "$(terraform output -raw {label}_{TASK})"
    aws ecs run-task --region {region} --cli-input-json "$(terraform output -raw {label}_{RUN})"
    aws ecs describe-tasks --region {region} --cluster {base} --tasks TASK_ARN_THAT_RUN_TASK_TOLD

Its container `{storage.SEEDING}` pulls them; its log is in `{log_group_name(site.spec)}`. Only when the task is
STOPPED, and `{storage.SEEDING}` with exit code 0, write down what the storage has, and go on:

    aws efs tag-resource --region {region} --cli-input-json "$(terraform output -raw {label}_{MARK})"
    terraform apply

So it is again whenever the models in storage change; what serves goes on meanwhile.

`terraform destroy` is refused while the file system is in the module: `arriero down` keeps models, too. To keep them:
`terraform state rm aws_efs_access_point.{label} aws_efs_file_system.{label}`, then destroy the rest. To lose them:
take `prevent_destroy` away.
"""


def _system(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    [system] = resources
    wish, standing = cast("Mapping[str, Any]", system.properties), site.standing(system)
    body = ours(
        site,
        creation_token=system.name,
        encrypted=wish["encrypted"],
        throughput_mode=wish["throughput"],
        **_provisioned(wish["provisioned_mibps"]),
        tags=tags(site, Name=system.name),
        lifecycle=Blocks(
            ({"prevent_destroy": True, "ignore_changes": [Raw(f"tags[{json.dumps(storage.MARK_TAG)}]")]},)
        ),
    )
    yield Piece("aws_efs_file_system", site.label, body, site.imported(system), KEPT_NOTE)
    details = cast("Mapping[str, Any]", standing.details) if standing else {}
    yield from _access_point(site, system.name, wish["access_point"], str(details.get("access_point_id", "")))
    targets = cast("Mapping[str, str]", details.get("mount_targets", {}))
    for number, subnet in enumerate(wish["subnets"], 1):
        target = ours(
            site,
            file_system_id=_system_id(site),
            subnet_id=aws_network.subnet_id(site, subnet),
            security_groups=[group_id(site, aws_files.group_name(system.name))],
        )
        there = {"": targets[subnet]} if subnet in targets else {}
        yield Piece("aws_efs_mount_target", f"{site.label}_{number}", target, there)


def _provisioned(amount: int | None) -> dict[str, Expression]:
    return {} if amount is None else {"provisioned_throughput_in_mibps": amount}


def _access_point(site: Site, name: str, point: Mapping[str, Any], identity: str) -> Iterator[Piece]:
    """None where a storage that nobody asks for any more has lost its own."""
    if point["root"] is None:
        return
    user = point["user"]
    owner = {"owner_uid": user, "owner_gid": user, "permissions": "0755"}
    body = ours(
        site,
        file_system_id=_system_id(site),
        tags=tags(site, Name=name),
        posix_user=Blocks(({"uid": user, "gid": user},)),
        root_directory=Blocks(({"path": point["root"], "creation_info": Blocks((owner,))},)),
    )
    yield Piece("aws_efs_access_point", site.label, body, {"": identity} if identity else {})


def _models(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    """What the file system shall have, what it has, and the job. Of a storage that is only kept, nothing is asked.

    While the models change, Terraform waits with reading the tag until the rest is made: so a first `apply` gets as far
    as the job, and one that comes too early says so.
    """
    if not storage.is_used(site.spec):
        return
    [models] = resources
    label, system = f"{site.label}_models", _system_id(site)
    yield Piece("terraform_data", label, {"input": cast(str, models.properties["models"])})
    body = ours(site, file_system_id=system, depends_on=[Raw(f"terraform_data.{label}")])
    yield Piece("aws_efs_file_system", site.label, body, kind="data")
    mark: Expression = {"Key": storage.MARK_TAG, "Value": Raw(f"terraform_data.{label}.input")}
    jobs: dict[str, Expression] = {TASK: _task(site), RUN: _run(site), MARK: {"ResourceId": system, "Tags": [mark]}}
    for name, job in jobs.items():
        yield Piece("", f"{site.label}_{name}", {"value": Call("jsonencode", job)}, kind="output")


def _task(site: Site) -> Expression:
    """What RegisterTaskDefinition takes."""
    document = aws_task.seeding(site.spec)
    roles = {
        key: Raw(f"aws_iam_role.{aws_network.label_of(site, document[key].rpartition('/')[2])}.arn")
        for key in ("executionRoleArn", "taskRoleArn")
    }
    return {**document, **roles, "volumes": [_seed_volume(site, each) for each in document["volumes"]]}


def _seed_volume(site: Site, asked: Mapping[str, Any]) -> Expression:
    efs = asked.get("efsVolumeConfiguration")
    if efs is None:
        return dict(asked)
    access = {**efs["authorizationConfig"], "accessPointId": _point_id(site)}
    return {**asked, "efsVolumeConfiguration": {**efs, "fileSystemId": _system_id(site), "authorizationConfig": access}}


def _run(site: Site) -> Expression:
    """What RunTask takes."""
    [system] = site.wanted(aws_files.KIND)
    subnets = cast("tuple[str, ...]", system.properties["subnets"])
    network: Expression = {
        "subnets": [aws_network.subnet_id(site, name) for name in subnets],
        "securityGroups": [group_id(site, base_name(site.spec))],
        "assignPublicIp": "ENABLED" if has_public_tasks(site.spec) else "DISABLED",
    }
    return {
        "cluster": Raw(f"aws_ecs_cluster.{site.label}.name"),
        "taskDefinition": f"{base_name(site.spec)}-seed",
        "launchType": "FARGATE",
        "networkConfiguration": {"awsvpcConfiguration": network},
        "tags": [{"key": key, "value": value} for key, value in tags(site).items()],
    }


def _system_id(site: Site) -> Raw:
    return Raw(f"aws_efs_file_system.{site.label}.id")


def _point_id(site: Site) -> Raw:
    return Raw(f"aws_efs_access_point.{site.label}.id")


def _names(site: Site) -> str:
    return ", ".join(model.name for model in storage.stored(site.spec))


MAKERS: Mapping[str, Maker] = {aws_files.KIND: _system, aws_files.MODELS_KIND: _models}
