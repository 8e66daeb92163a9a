"""Tasks on machines of EC2: they run only where GPUs are free, and managed scaling starts and ends the machines."""

from __future__ import annotations

import base64
import json
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError
from emulated_cloud import WEST, Cloud, until

IMAGE = "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id"
ROLE_POLICY = "arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"
JOINS = "#!/bin/bash\necho ECS_CLUSTER=llm >> /etc/ecs/ecs.config\n"
WITH_GPUS = f"{JOINS}echo ECS_ENABLE_GPU_SUPPORT=true >> /etc/ecs/ecs.config\n"
STRATEGY = [{"capacityProvider": "gpu-llm", "weight": 1}]


class Fleet:
    """Machines of a kind, as many as `most`, behind the capacity provider `gpu-llm` of the cluster `llm`."""

    def __init__(self, cloud: Cloud, most: int = 4, kind: str = "g4dn.xlarge", script: str = WITH_GPUS) -> None:
        self.cloud, self.ecs, self.groups = cloud, cloud.client("ecs"), cloud.client("autoscaling")
        self.subnets = cloud.network()["awsvpcConfiguration"]["subnets"]
        iam, ec2 = cloud.client("iam"), cloud.client("ec2")
        iam.create_role(RoleName="machine", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17"}))
        iam.attach_role_policy(RoleName="machine", PolicyArn=ROLE_POLICY)
        profile = iam.create_instance_profile(InstanceProfileName="machine")["InstanceProfile"]["Arn"]
        iam.add_role_to_instance_profile(InstanceProfileName="machine", RoleName="machine")
        data: dict[str, Any] = {
            "ImageId": IMAGE,
            "InstanceType": kind,
            "IamInstanceProfile": {"Arn": profile},
            "UserData": base64.b64encode(script.encode()).decode(),
        }
        ec2.create_launch_template(LaunchTemplateName="llm", LaunchTemplateData=data)
        self.groups.create_auto_scaling_group(
            AutoScalingGroupName="llm",
            MinSize=0,
            MaxSize=most,
            VPCZoneIdentifier=",".join(self.subnets),
            LaunchTemplate={"LaunchTemplateName": "llm", "Version": "$Latest"},
            NewInstancesProtectedFromScaleIn=True,
        )

    def provide(self, **more: Any) -> None:
        group = self.groups.describe_auto_scaling_groups()["AutoScalingGroups"][0]["AutoScalingGroupARN"]
        provider = {"managedScaling": {"status": "ENABLED"}, "managedTerminationProtection": "ENABLED", **more}
        self.ecs.create_capacity_provider(
            name="gpu-llm", autoScalingGroupProvider={"autoScalingGroupArn": group, **provider}
        )
        self.attach("FARGATE", "gpu-llm")

    def attach(self, *providers: str) -> None:
        self.ecs.put_cluster_capacity_providers(
            cluster="llm", capacityProviders=list(providers), defaultCapacityProviderStrategy=[]
        )

    def definition(self, gpus: int = 1, memory: str = "14336") -> str:
        container = {
            "name": "ollama",
            "image": "acme/llm:1",
            "portMappings": [{"containerPort": 11434}],
            "resourceRequirements": [{"type": "GPU", "value": str(gpus)}],
            "stopTimeout": 2,
        }
        made = self.ecs.register_task_definition(
            family="llm",
            requiresCompatibilities=["EC2"],
            networkMode="awsvpc",
            cpu="4096",
            memory=memory,
            containerDefinitions=[container],
        )
        return str(made["taskDefinition"]["taskDefinitionArn"])

    def machines(self) -> list[dict[str, Any]]:
        arns = self.ecs.list_container_instances(cluster="llm")["containerInstanceArns"]
        if not arns:
            return []
        return list(self.ecs.describe_container_instances(cluster="llm", containerInstances=arns)["containerInstances"])

    def events(self, service: str = "llm") -> list[str]:
        return [each["message"] for each in self.cloud.described(service)["events"]]


def provide_in_the_west(cloud: Cloud) -> None:
    """A capacity provider of another region, without a machine."""
    subnets = cloud.network(WEST)["awsvpcConfiguration"]["subnets"]
    data = {"ImageId": IMAGE, "InstanceType": "g4dn.xlarge"}
    cloud.client("ec2", WEST).create_launch_template(LaunchTemplateName="west", LaunchTemplateData=data)
    groups = cloud.client("autoscaling", WEST)
    groups.create_auto_scaling_group(
        AutoScalingGroupName="west",
        MinSize=0,
        MaxSize=1,
        VPCZoneIdentifier=",".join(subnets),
        LaunchTemplate={"LaunchTemplateName": "west", "Version": "$Latest"},
    )
    group = groups.describe_auto_scaling_groups()["AutoScalingGroups"][0]["AutoScalingGroupARN"]
    provider = {"autoScalingGroupArn": group, "managedScaling": {"status": "ENABLED"}}
    cloud.client("ecs", WEST).create_capacity_provider(name="gpu-west", autoScalingGroupProvider=provider)


def gpus(machine: dict[str, Any], which: str = "remainingResources") -> int:
    return sum(len(each["stringSetValue"]) for each in machine[which] if each["name"] == "GPU")


@pytest.mark.parametrize("kind", ["g4dn.xlarge", "p3.2xlarge"])
def test_tasks_wait_for_machines_and_answer_on_them(cloud: Cloud, kind: str) -> None:
    fleet = Fleet(cloud, kind=kind)
    fleet.provide()
    cloud.service("llm", fleet.definition(), 3, capacityProviderStrategy=STRATEGY)
    until(lambda: cloud.is_stable("llm"))
    tasks = cloud.tasks("llm")
    assert {(task["launchType"], task["capacityProviderName"]) for task in tasks} == {("EC2", "gpu-llm")}
    machines = {each["containerInstanceArn"]: each for each in fleet.machines()}
    assert len({task["containerInstanceArn"] for task in tasks} & machines.keys()) == 3  # one GPU each: a machine each
    assert [gpus(each, "registeredResources") for each in machines.values()] == [1] * len(machines)
    for task in tasks:
        assert gpus(machines[task["containerInstanceArn"]]) == 0
        address = next(d["value"] for d in task["attachments"][0]["details"] if d["name"] == "privateIPv4Address")
        with urllib.request.urlopen(f"http://{address}:11434/", timeout=5) as answer:
            assert answer.status == 200


def test_a_task_that_has_no_machine_waits_and_the_service_says_why(cloud: Cloud) -> None:
    fleet = Fleet(cloud, most=1)
    fleet.provide()
    cloud.service("llm", fleet.definition(), 2, capacityProviderStrategy=STRATEGY)
    until(lambda: [t for t in cloud.tasks("llm") if t["lastStatus"] == "RUNNING"])
    until(lambda: any("has insufficient GPU resource available" in said for said in fleet.events()))
    assert sorted(task["lastStatus"] for task in cloud.tasks("llm")) == ["PROVISIONING", "RUNNING"]
    assert len(cloud.aws.containers()) == 1


@pytest.mark.parametrize(
    ("gpus_asked", "memory", "kind"),
    [(2, "14336", "g4dn.xlarge"), (1, "16384", "g4dn.xlarge"), (1, "7168", "m5.xlarge")],
    ids=["more GPUs than a machine has", "all of a machine's memory", "a machine without GPUs"],
)
def test_what_fits_on_no_machine_starts_none(cloud: Cloud, gpus_asked: int, memory: str, kind: str) -> None:
    fleet = Fleet(cloud, kind=kind)
    fleet.provide()
    cloud.service("llm", fleet.definition(gpus_asked, memory), 1, capacityProviderStrategy=STRATEGY)
    until(lambda: any("No Container Instances were found" in said for said in fleet.events()))
    assert [task["lastStatus"] for task in cloud.tasks("llm")] == ["PROVISIONING"]
    assert fleet.machines() == []


def test_a_machine_whose_agent_was_not_told_of_gpus_has_none_to_give(cloud: Cloud) -> None:
    fleet = Fleet(cloud, most=2, script=JOINS)
    fleet.provide()
    cloud.service("llm", fleet.definition(), 1, capacityProviderStrategy=STRATEGY)
    until(lambda: len(fleet.machines()) == 2)
    until(lambda: any("has insufficient GPU resource available" in said for said in fleet.events()))
    assert [task["lastStatus"] for task in cloud.tasks("llm")] == ["PROVISIONING"]


def test_idle_machines_go_and_a_task_goes_with_its_machine(cloud: Cloud) -> None:
    provide_in_the_west(cloud)  # who looks at one region's machines must not forget the other's
    fleet = Fleet(cloud)
    fleet.provide()
    cloud.service("llm", fleet.definition(), 1, capacityProviderStrategy=STRATEGY)
    until(lambda: cloud.is_stable("llm"))
    until(lambda: len(fleet.machines()) == 1)  # the first came with a second one, which nothing needed
    [machine] = fleet.machines()
    cloud.client("ec2").terminate_instances(InstanceIds=[machine["ec2InstanceId"]])
    [stopped] = until(lambda: cloud.tasks("llm", "STOPPED"))
    assert stopped["stoppedReason"] == f"Host EC2 (instance {machine['ec2InstanceId']}) terminated."


def test_what_ecs_refuses_of_capacity_is_refused(cloud: Cloud) -> None:
    fleet = Fleet(cloud)
    fleet.groups.update_auto_scaling_group(AutoScalingGroupName="llm", NewInstancesProtectedFromScaleIn=False)
    with pytest.raises(ClientError, match="must have instance protection from scale in enabled"):
        fleet.provide()
    with pytest.raises(ClientError, match="was not found"):
        fleet.attach("gpu-llm")
    fleet.groups.update_auto_scaling_group(AutoScalingGroupName="llm", NewInstancesProtectedFromScaleIn=True)
    fleet.provide()
    with pytest.raises(ClientError, match="associated with cluster: llm"):
        fleet.ecs.delete_capacity_provider(capacityProvider="gpu-llm")
    with pytest.raises(ClientError, match="does not support launch_type EC2"):
        cloud.service("llm", cloud.definition("plain"), capacityProviderStrategy=STRATEGY)
    cloud.network()["awsvpcConfiguration"]["assignPublicIp"] = "ENABLED"
    with pytest.raises(ClientError, match="Assign public IP is not supported"):
        cloud.service("llm", fleet.definition(), capacityProviderStrategy=STRATEGY)
    cloud.network()["awsvpcConfiguration"]["assignPublicIp"] = "DISABLED"
    cloud.service("llm", fleet.definition(), capacityProviderStrategy=STRATEGY)
    with pytest.raises(ClientError, match="is in use and cannot be removed"):
        fleet.attach("FARGATE")


def test_a_group_that_is_deleted_takes_its_machines_along(cloud: Cloud) -> None:
    fleet = Fleet(cloud)
    fleet.provide()
    cloud.service("llm", fleet.definition(), 1, capacityProviderStrategy=STRATEGY)
    until(lambda: cloud.is_stable("llm"))
    fleet.ecs.delete_service(cluster="llm", service="llm", force=True)
    until(lambda: cloud.described("llm")["status"] == "INACTIVE")
    with pytest.raises(ClientError, match="Container Instances are active"):
        fleet.ecs.delete_cluster(cluster="llm")
    fleet.groups.delete_auto_scaling_group(AutoScalingGroupName="llm", ForceDelete=True)
    until(lambda: fleet.machines() == [])
    running = [{"Name": "instance-state-name", "Values": ["running"]}]
    assert cloud.client("ec2").describe_instances(Filters=running)["Reservations"] == []


def test_machines_are_still_there_after_a_restart(cloud: Cloud) -> None:
    fleet = Fleet(cloud)
    fleet.provide()
    cloud.service("llm", fleet.definition(), 1, capacityProviderStrategy=STRATEGY)
    until(lambda: cloud.is_stable("llm"))
    before = {each["ec2InstanceId"] for each in fleet.machines()}
    cloud.restart()
    fleet.ecs = cloud.client("ecs")
    until(lambda: cloud.is_stable("llm") and cloud.tasks("llm")[0]["lastStatus"] == "RUNNING")
    machines = {each["containerInstanceArn"]: each["ec2InstanceId"] for each in fleet.machines()}
    assert {machines[task["containerInstanceArn"]] for task in cloud.tasks("llm")} <= before
