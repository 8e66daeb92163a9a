"""An emulated AWS with real child processes, as a test uses it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from arriero.rehearse.aws.emulator import AwsEmulator
from arriero.rehearse.latency import Latency
from arriero.rehearse.processes import Processes

EAST, WEST = "us-east-1", "us-west-2"


def until(true: Callable[[], Any], seconds: float = 30) -> Any:
    """Waits for what real processes do; the value that ended it, or an assertion."""
    end = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < end, "it did not come to pass in time"
        time.sleep(0.03)
    return value


class Cloud:
    """An account of the emulated AWS as a test uses it: one cluster and one network a region, made on demand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes = Processes(folder, {"PATH": "/nowhere"})
        self.aws = AwsEmulator(folder, self.processes, Latency(), 0)
        self.aws.start()
        self._networks: dict[str, dict[str, Any]] = {}

    def client(self, service: str, region: str = EAST, key: str = "", attempts: int = 1) -> Any:
        given = self.aws.environment()
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=given["AWS_ENDPOINT_URL"],
            aws_access_key_id=key or given["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"total_max_attempts": attempts}),
        )

    def restart(self) -> None:
        self.aws.stop()
        self.aws = AwsEmulator(self.folder, self.processes, Latency(), 0)
        self.aws.start()

    def close(self) -> None:
        self.aws.stop()
        self.processes.close()

    def network(self, region: str = EAST) -> dict[str, Any]:
        if region not in self._networks:
            ec2 = self.client("ec2", region)
            vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
            subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
            group = ec2.create_security_group(GroupName="llm", Description="llm", VpcId=vpc)["GroupId"]
            self._networks[region] = {"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group]}}
            self.client("ecs", region).create_cluster(clusterName="llm", capacityProviders=["FARGATE", "FARGATE_SPOT"])
        return self._networks[region]

    def second_zone(self, region: str = EAST) -> str:
        """Another subnet, in another zone, for what is started from now on; its zone."""
        network, ec2 = self.network(region)["awsvpcConfiguration"], self.client("ec2", region)
        first = ec2.describe_subnets(SubnetIds=network["subnets"])["Subnets"][0]
        zone = next(f"{region}{each}" for each in "abc" if f"{region}{each}" != first["AvailabilityZone"])
        made = ec2.create_subnet(VpcId=first["VpcId"], CidrBlock="10.0.1.0/24", AvailabilityZone=zone)
        network["subnets"].append(made["Subnet"]["SubnetId"])
        return zone

    def definition(self, family: str, image: str = "acme/llm:1", region: str = EAST, **container: Any) -> str:
        port = [{"containerPort": 11434, "protocol": "tcp"}]
        check = {"command": ["CMD-SHELL", "true"], "interval": 5, "retries": 2, "timeout": 2, "startPeriod": 30}
        body = {"name": "ollama", "image": image, "portMappings": port, "healthCheck": check, "stopTimeout": 2}
        answer = self.client("ecs", region).register_task_definition(
            family=family,
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="1024",
            memory="2048",
            containerDefinitions=[{**body, **container}],
        )
        return str(answer["taskDefinition"]["taskDefinitionArn"])

    def service(self, name: str, definition: str, count: int = 1, region: str = EAST, **more: Any) -> None:
        network = self.network(region)
        launch = {} if "capacityProviderStrategy" in more else {"launchType": "FARGATE"}
        breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
        self.client("ecs", region).create_service(
            cluster="llm",
            serviceName=name,
            taskDefinition=definition,
            desiredCount=count,
            networkConfiguration=network,
            **{"deploymentConfiguration": breaker, **launch, **more},
        )

    def described(self, name: str, region: str = EAST) -> dict[str, Any]:
        return self.client("ecs", region).describe_services(cluster="llm", services=[name])["services"][0]

    def tasks(self, name: str, status: str = "RUNNING", region: str = EAST) -> list[dict[str, Any]]:
        ecs = self.client("ecs", region)
        arns = ecs.list_tasks(cluster="llm", serviceName=name, desiredStatus=status)["taskArns"]
        return ecs.describe_tasks(cluster="llm", tasks=arns)["tasks"] if arns else []

    def is_stable(self, name: str, region: str = EAST) -> bool:
        service = self.described(name, region)
        [first, *rest] = service["deployments"]
        return not rest and first["rolloutState"] == "COMPLETED" and service["runningCount"] == service["desiredCount"]

    def pid_of(self, task: dict[str, Any]) -> int:
        name = task["taskArn"].rpartition("/")[2]
        return next(row.pid for row in self.aws.containers() if row.target == name)
