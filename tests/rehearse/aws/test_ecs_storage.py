"""Tasks with a file system of EFS on the emulated ECS: what AWS asks for, and what it says where that is missing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from emulated_cloud import Cloud, until

from arriero.gateway.stored.folder import manifest_of
from arriero.plan.wanted import aws, aws_files, aws_task
from arriero.rehearse.engine.names import parse
from arriero.rehearse.engine.store import Store
from arriero.spec.model import Spec

BIG = "llama2:70b"
SITE = Spec.model_validate(
    {
        "name": "llm",
        "image": "acme/llm:1",
        "models": ["llama2", {"name": BIG, "from": "storage"}],
        "deploy": {"stop_within": "8s"},
        "sites": {"east": {"cloud": "aws", "region": "us-east-1"}},
    }
).site("east")


class World:
    """One file system, mounted at the cluster's subnet, and a service that asks for it; each part can be left out."""

    def __init__(self, cloud: Cloud, port: int = aws_files.NFS, may_read: bool = True, is_mounted: bool = True) -> None:
        self.cloud = cloud
        efs, ec2, subnet = (
            cloud.client("efs"),
            cloud.client("ec2"),
            cloud.network()["awsvpcConfiguration"]["subnets"][0],
        )
        tags = [{"Key": key, "Value": value} for key, value in aws.site_tags(SITE).items()]
        self.system = efs.create_file_system(CreationToken="llm", Encrypted=True, Tags=tags)["FileSystemId"]
        root = {"Path": aws_files.ROOT}
        self.point = efs.create_access_point(ClientToken="x", FileSystemId=self.system, RootDirectory=root)
        vpc = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["VpcId"]
        group = ec2.create_security_group(GroupName="files", Description="files", VpcId=vpc)["GroupId"]
        ec2.authorize_security_group_ingress(
            GroupId=group, IpProtocol="tcp", FromPort=port, ToPort=port, CidrIp="10.0.0.0/24"
        )
        if is_mounted:
            efs.create_mount_target(FileSystemId=self.system, SubnetId=subnet, SecurityGroups=[group])
        self._start(may_read)

    def _start(self, may_read: bool) -> None:
        iam, text = self.cloud.client("iam"), json.dumps(aws_task.document(SITE, {}))
        text = text.replace(aws_task.FILE_SYSTEM, self.system)
        document: dict[str, Any] = json.loads(text.replace(aws_task.ACCESS_POINT, self.point["AccessPointId"]))
        trust = json.dumps({"Version": "2012-10-17", "Statement": [aws.trust()]})
        for key in ("executionRoleArn", "taskRoleArn"):
            path, _, name = document[key].rpartition("/")
            made = iam.create_role(RoleName=name, Path=f"{path}/", AssumeRolePolicyDocument=trust)
            document[key] = made["Role"]["Arn"]
        for name, policy in aws_files.reading(SITE).items() if may_read else ():
            iam.put_role_policy(RoleName="llm-east-task", PolicyName=name, PolicyDocument=json.dumps(policy))
        self.cloud.client("logs").create_log_group(logGroupName="/arriero/llm/east")
        ecs = self.cloud.client("ecs")
        self.cloud.service("llm", ecs.register_task_definition(**document)["taskDefinition"]["taskDefinitionArn"], 1)

    def put_model(self) -> None:
        folder = self.cloud.processes.storage("efs", self.system, "models")
        Store(folder, {}).pull(parse(BIG))
        assert (folder / "manifests" / manifest_of(BIG)).exists()

    def why_stopped(self) -> str:
        ecs = self.cloud.client("ecs")

        def stopped() -> str:
            arns = ecs.list_tasks(cluster="llm", desiredStatus="STOPPED")["taskArns"]
            found = ecs.describe_tasks(cluster="llm", tasks=arns)["tasks"] if arns else []
            return next((str(task["stoppedReason"]) for task in found if task.get("stoppedReason")), "")

        return str(until(stopped))


def test_a_task_starts_when_its_models_are_laid_out(cloud: Cloud) -> None:
    world = World(cloud)
    world.put_model()
    until(lambda: cloud.is_stable("llm"))
    states = {c["name"]: (c["lastStatus"], c.get("exitCode")) for t in cloud.tasks("llm") for c in t["containers"]}
    assert states == {"models": ("STOPPED", 0), "ollama": ("RUNNING", None), "sidecar": ("RUNNING", None)}


def test_a_task_whose_models_are_not_there_starts_nothing_else(cloud: Cloud) -> None:
    world = World(cloud)
    said = world.why_stopped()
    assert said == "Task failed to start: container models, which others depend on, exited with code 1"
    assert not [row for row in cloud.aws.containers() if row.container == "ollama"]


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        ({"is_mounted": False}, "Failed to resolve"),
        ({"port": 22}, "Connection timed out"),
        ({"may_read": False}, "access denied by server"),
    ],
    ids=["no mount target", "a closed port", "no permission"],
)
def test_a_file_system_that_can_not_be_mounted_is_told_as_aws_tells_it(
    cloud: Cloud, missing: dict[str, Any], reason: str
) -> None:
    said = World(cloud, **missing).why_stopped()
    assert said.startswith("ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes:")
    assert reason in said
