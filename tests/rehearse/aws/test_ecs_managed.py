"""Machines that ECS has by itself: started as they are asked for where a task waits, gone when they are idle; and what
ECS refuses of them.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from emulated_cloud import Cloud, until

AWS = "arn:aws:iam::aws:policy"
ROLE = "arn:aws:iam::123456789012:role/"
STRATEGY = [{"capacityProvider": "managed-llm", "weight": 1}]
T4: dict[str, Any] = {
    "vCpuCount": {"min": 4},
    "memoryMiB": {"min": 14336},
    "acceleratorTypes": ["gpu"],
    "acceleratorNames": ["t4"],
    "acceleratorCount": {"min": 1},
}


def trust(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class Managed:
    """The cluster `llm` and its capacity provider `managed-llm`, once it is made; the machines' role has AWS's name."""

    def __init__(self, cloud: Cloud, role: str = "ecsInstanceRole", *, may_start: bool = True) -> None:
        self.cloud, self.ecs, self.ec2 = cloud, cloud.client("ecs"), cloud.client("ec2")
        self.network = cloud.network()["awsvpcConfiguration"]
        iam = cloud.client("iam")
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust("ec2.amazonaws.com"))
        iam.attach_role_policy(RoleName=role, PolicyArn=f"{AWS}/AmazonECSInstanceRolePolicyForManagedInstances")
        self.profile = iam.create_instance_profile(InstanceProfileName=role)["InstanceProfile"]["Arn"]
        iam.add_role_to_instance_profile(InstanceProfileName=role, RoleName=role)
        iam.create_role(RoleName="infra", AssumeRolePolicyDocument=trust("ecs.amazonaws.com"))
        iam.create_role(RoleName="stranger", AssumeRolePolicyDocument=trust("ec2.amazonaws.com"))
        if may_start:
            policy = f"{AWS}/AmazonECSInfrastructureRolePolicyForManagedInstances"
            iam.attach_role_policy(RoleName="infra", PolicyArn=policy)

    def configuration(self, requirements: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        network = {"subnets": self.network["subnets"], "securityGroups": self.network["securityGroups"]}
        template = {
            "ec2InstanceProfileArn": self.profile,
            "networkConfiguration": {**network, **more.pop("network", {})},
            "instanceRequirements": {**T4, **(requirements or {})},
            **more.pop("template", {}),
        }
        return {"infrastructureRoleArn": f"{ROLE}infra", "instanceLaunchTemplate": template, **more}

    def provide(self, requirements: dict[str, Any] | None = None, **more: Any) -> None:
        asked = self.configuration(requirements, **more)
        self.ecs.create_capacity_provider(name="managed-llm", cluster="llm", managedInstancesProvider=asked)
        until(lambda: self.provider()["status"] == "ACTIVE")

    def provider(self) -> dict[str, Any]:
        found = self.ecs.describe_capacity_providers(capacityProviders=["managed-llm"])["capacityProviders"]
        return dict(found[0]) if found else {"status": "INACTIVE"}

    def definition(self, gpus: int = 1, memory: str = "14336", **more: Any) -> str:
        container: dict[str, Any] = {
            "name": "ollama",
            "image": "acme/llm:1",
            "portMappings": [{"containerPort": 11434}],
            "resourceRequirements": [{"type": "GPU", "value": str(gpus)}],
            "stopTimeout": 2,
            **more.pop("container", {}),
        }
        asked = {"requiresCompatibilities": ["MANAGED_INSTANCES"], "networkMode": "awsvpc", **more}
        made = self.ecs.register_task_definition(
            family="llm", cpu="4096", memory=memory, containerDefinitions=[container], **asked
        )
        return str(made["taskDefinition"]["taskDefinitionArn"])

    def kinds(self) -> list[str]:
        """The types of the machines that run."""
        running = [{"Name": "instance-state-name", "Values": ["running"]}]
        found = self.ec2.describe_instances(Filters=running)["Reservations"]
        return sorted(each["InstanceType"] for one in found for each in one["Instances"])

    def events(self) -> list[str]:
        return [each["message"] for each in self.cloud.described("llm")["events"]]


def test_each_task_gets_a_machine_as_it_is_asked_for_and_it_goes_when_it_is_idle(cloud: Cloud) -> None:
    managed = Managed(cloud)
    managed.provide(infrastructureOptimization={"scaleInAfter": 0})
    assert managed.kinds() == []
    cloud.service("llm", managed.definition(), 2, capacityProviderStrategy=STRATEGY)
    until(lambda: cloud.is_stable("llm"))
    tasks = cloud.tasks("llm")
    assert {(task["launchType"], task["capacityProviderName"]) for task in tasks} == {
        ("MANAGED_INSTANCES", "managed-llm")
    }
    assert len({task["containerInstanceArn"] for task in tasks}) == 2  # one GPU each: a machine each
    assert managed.kinds() == ["g4dn.xlarge"] * 2  # of those with a T4 the cheapest
    managed.ecs.update_service(cluster="llm", service="llm", desiredCount=1)
    until(lambda: managed.kinds() == ["g4dn.xlarge"])
    assert len(cloud.tasks("llm")) == 1


@pytest.mark.parametrize(
    ("requirements", "kind"),
    [
        ({"memoryMiB": {"min": 20000}}, "g4dn.2xlarge"),
        ({"acceleratorNames": ["l4"], "acceleratorCount": {"min": 1}}, "g6.xlarge"),
        ({"allowedInstanceTypes": ["g4dn.4*"]}, "g4dn.4xlarge"),
        ({"excludedInstanceTypes": ["g4dn.xlarge", "g4dn.2xlarge"]}, "g4dn.4xlarge"),
        ({"acceleratorCount": {"min": 2, "max": 4}}, "g4dn.12xlarge"),
    ],
)
def test_what_is_asked_for_says_which_machine_comes(cloud: Cloud, requirements: dict[str, Any], kind: str) -> None:
    managed = Managed(cloud)
    managed.provide(requirements)
    cloud.service("llm", managed.definition(), 1, capacityProviderStrategy=STRATEGY)
    until(lambda: managed.kinds() == [kind])


@pytest.mark.parametrize(
    ("requirements", "task"),
    [
        ({}, {"memory": "600000"}),
        ({"vCpuCount": {"min": 1000}}, {}),
        ({"allowedInstanceTypes": ["g4dn.xlarge"]}, {"gpus": 2}),
        (
            {"allowedInstanceTypes": ["g4dn.xlarge"]},
            {"placementConstraints": [{"type": "memberOf", "expression": "attribute:ecs.instance-type == g6.xlarge"}]},
        ),
    ],
    ids=["no machine is large enough", "no type is so", "more GPUs than it has", "a task for another type"],
)
def test_a_task_that_fits_on_no_such_machine_starts_none(
    cloud: Cloud, requirements: dict[str, Any], task: dict[str, Any]
) -> None:
    managed = Managed(cloud)
    managed.provide(requirements)
    cloud.service("llm", managed.definition(**task), 1, capacityProviderStrategy=STRATEGY)
    until(lambda: any("was unable to place a task" in said for said in managed.events()))
    assert managed.kinds() == []
    assert [each["lastStatus"] for each in cloud.tasks("llm")] == ["PROVISIONING"]


def test_ecs_hands_on_no_role_of_another_name_without_a_policy_for_it(cloud: Cloud) -> None:
    managed = Managed(cloud, role="machine")
    managed.provide()
    cloud.service("llm", managed.definition(), 1, capacityProviderStrategy=STRATEGY)
    said = f"You are not authorized to perform iam:PassRole on {ROLE}machine."
    until(lambda: any(said in each for each in managed.events()))
    assert managed.kinds() == []
    passing = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": f"{ROLE}machine"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [passing]})
    cloud.client("iam").put_role_policy(RoleName="infra", PolicyName="pass", PolicyDocument=document)
    until(lambda: cloud.is_stable("llm"))


def test_without_a_public_address_a_machine_reaches_ecs_through_no_internet_gateway(cloud: Cloud) -> None:
    managed = Managed(cloud)
    ec2, [subnet] = managed.ec2, managed.network["subnets"]
    vpc = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["VpcId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    managed.provide()
    cloud.service("llm", managed.definition(), 1, capacityProviderStrategy=STRATEGY)
    until(lambda: managed.kinds() == ["g4dn.xlarge"])
    assert managed.ecs.list_container_instances(cluster="llm")["containerInstanceArns"] == []
    ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})
    until(lambda: cloud.is_stable("llm"))


def test_it_belongs_to_its_cluster_which_stays_until_it_is_gone(cloud: Cloud) -> None:
    managed = Managed(cloud)
    managed.provide()
    ecs = managed.ecs
    described = ecs.describe_clusters(clusters=["llm"])["clusters"][0]
    assert described["capacityProviders"] == ["FARGATE", "FARGATE_SPOT", "managed-llm"]
    with pytest.raises(ClientError, match="Cannot associate Managed Instances capacity provider to clusters"):
        ecs.put_cluster_capacity_providers(
            cluster="llm", capacityProviders=["FARGATE", "managed-llm"], defaultCapacityProviderStrategy=[]
        )
    ecs.put_cluster_capacity_providers(cluster="llm", capacityProviders=["FARGATE"], defaultCapacityProviderStrategy=[])
    described = ecs.describe_clusters(clusters=["llm"])["clusters"][0]
    assert described["capacityProviders"] == ["FARGATE", "managed-llm"]
    cloud.service("llm", managed.definition(), 1, capacityProviderStrategy=STRATEGY)
    until(lambda: cloud.is_stable("llm"))
    with pytest.raises(ClientError, match="Services are still associated"):
        ecs.delete_capacity_provider(capacityProvider="managed-llm", cluster="llm")
    ecs.delete_service(cluster="llm", service="llm", force=True)
    until(lambda: cloud.described("llm")["status"] == "INACTIVE")
    with pytest.raises(ClientError, match="Cluster Scoped Capacity Providers are attached"):
        ecs.delete_cluster(cluster="llm")
    ecs.delete_capacity_provider(capacityProvider="managed-llm", cluster="llm")
    until(lambda: managed.provider()["status"] == "INACTIVE")
    assert managed.kinds() == []
    ecs.delete_cluster(cluster="llm")


def test_only_tasks_that_are_made_for_it_run_there_and_with_no_other_capacity(cloud: Cloud) -> None:
    managed = Managed(cloud)
    managed.provide()
    with pytest.raises(ClientError, match="does not support launch_type MANAGED_INSTANCES"):
        cloud.service("llm", cloud.definition("plain"), capacityProviderStrategy=STRATEGY)
    mixed = [*STRATEGY, {"capacityProvider": "FARGATE", "weight": 1}]
    with pytest.raises(ClientError, match="cannot contain a mix of capacity providers"):
        cloud.service("llm", managed.definition(), capacityProviderStrategy=mixed)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"requirements": {"acceleratorNames": ["t5"]}}, "Member must satisfy enum value set"),
        ({"requirements": {"acceleratorTypes": ["gpus"]}}, "'gpus' at .*acceleratorTypes"),
        (
            {"requirements": {"allowedInstanceTypes": ["g4dn.xlarge"], "instanceGenerations": ["current"]}},
            "can't be combined with instance types of one generation",
        ),
        (
            {"requirements": {"allowedInstanceTypes": ["g4dn.*"], "excludedInstanceTypes": ["g4dn.metal"]}},
            "can't be specified together",
        ),
        ({"network": {"subnets": []}}, "At least one subnet must be specified"),
        ({"network": {"subnets": ["subnet-0none"]}}, "The subnet ID 'subnet-0none' does not exist"),
        ({"network": {"securityGroups": ["sg-0none"]}}, "The security group 'sg-0none' does not exist"),
        ({"template": {"ec2InstanceProfileArn": "arn:aws:iam::123456789012:instance-profile/none"}}, "does not exist"),
        ({"template": {"capacityOptionType": "CHEAP"}}, "'CHEAP' at .*capacityOptionType"),
        ({"infrastructureOptimization": {"scaleInAfter": 3601}}, "scaleInAfter must be -1, or between 0 and 3600"),
        ({"infrastructureRoleArn": f"{ROLE}none"}, "unable to assume the role"),
        ({"infrastructureRoleArn": f"{ROLE}stranger"}, "unable to assume the role"),
        ({"propagateTags": "ALL"}, "'ALL' at 'managedInstancesProvider.propagateTags'"),
    ],
)
def test_what_can_be_no_such_provider_is_refused(cloud: Cloud, change: dict[str, Any], said: str) -> None:
    managed = Managed(cloud)
    with pytest.raises(ClientError, match=said):
        managed.provide(**change)
    if "infrastructureRoleArn" in change or "template" not in change:
        return
    managed.provide()
    if "capacityOptionType" not in change["template"]:  # which can't be changed at all
        with pytest.raises(ClientError, match=said):
            managed.ecs.update_capacity_provider(
                name="managed-llm", cluster="llm", managedInstancesProvider=managed.configuration(**change)
            )


def test_a_role_whose_policies_are_not_known_yet_is_not_authorized(cloud: Cloud) -> None:
    managed = Managed(cloud, may_start=False)
    with pytest.raises(ClientError, match="is not authorized to perform: ec2:DescribeInstanceTypeOfferings"):
        managed.provide()


def test_its_cluster_must_be_there_and_its_name_free(cloud: Cloud) -> None:
    managed = Managed(cloud)
    asked = managed.configuration()
    make = managed.ecs.create_capacity_provider
    with pytest.raises(ClientError, match="A cluster must be specified"):
        make(name="managed-llm", managedInstancesProvider=asked)
    with pytest.raises(ClientError, match="Cluster not found"):
        make(name="managed-llm", cluster="none", managedInstancesProvider=asked)
    with pytest.raises(ClientError, match="can't begin with ecs"):
        make(name="ecs-llm", cluster="llm", managedInstancesProvider=asked)
    with pytest.raises(ClientError, match="Exactly one kind"):
        make(name="managed-llm", cluster="llm")
    managed.provide()
    with pytest.raises(ClientError, match="already exists"):
        managed.provide()
    managed.ecs.create_cluster(clusterName="other")
    with pytest.raises(ClientError, match="does not exist"):
        managed.ecs.update_capacity_provider(
            name="managed-llm", cluster="other", managedInstancesProvider=managed.configuration()
        )


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"ephemeralStorage": {"sizeInGiB": 50}}, "ephemeralStorage"),
        ({"networkMode": "bridge"}, "networkMode 'bridge'"),
        ({"container": {"hostname": "llm"}}, "hostname"),
        ({"container": {"linuxParameters": {"tmpfs": [{"containerPath": "/t", "size": 1}]}}}, "tmpfs"),
        ({"volumes": [{"name": "v", "dockerVolumeConfiguration": {"scope": "task"}}]}, "dockerVolumeConfiguration"),
        (
            {"placementConstraints": [{"type": "memberOf", "expression": "attribute:ecs.ami-id == ami-1"}]},
            "the attribute ecs.ami-id",
        ),
    ],
)
def test_a_task_that_could_not_run_there_is_refused(cloud: Cloud, more: dict[str, Any], said: str) -> None:
    managed = Managed(cloud)
    with pytest.raises(ClientError, match=f"Managed Instances compatible task definitions do not support {said}"):
        managed.definition(**more)


def test_such_machines_are_still_there_after_a_restart(cloud: Cloud) -> None:
    managed = Managed(cloud)
    managed.provide()
    cloud.service("llm", managed.definition(), 1, capacityProviderStrategy=STRATEGY)
    until(lambda: cloud.is_stable("llm"))
    held = managed.provider()
    cloud.restart()
    managed.ecs, managed.ec2 = cloud.client("ecs"), cloud.client("ec2")
    until(lambda: cloud.is_stable("llm") and cloud.tasks("llm")[0]["lastStatus"] == "RUNNING")
    assert managed.provider() == held
    assert managed.kinds() == ["g4dn.xlarge"]
