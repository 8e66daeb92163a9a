"""Private names of the emulated Cloud Map: ECS writes tasks down, DNS tells them, gateways on ECS find targets so."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from emulated_cloud import EAST, Cloud, until
from test_load_balancers import Balanced

from arriero.gateway.wire.dns import Resolver
from arriero.rehearse.aws.cloud_map import addresses
from way_in import key_and_hashes

NAME, ZONE = "targets.llm-east.arriero.internal", "llm-east.arriero.internal"
ASK = {"model": "llama2", "prompt": "hello", "stream": False}


class Named:
    """A private zone in the cloud's network, with one name in it."""

    def __init__(self, cloud: Cloud, *, with_names: bool = True) -> None:
        self.cloud, self.map = cloud, cloud.client("servicediscovery")
        subnets = cloud.network()["awsvpcConfiguration"]["subnets"]
        ec2 = cloud.client("ec2")
        self.vpc = ec2.describe_subnets(SubnetIds=subnets)["Subnets"][0]["VpcId"]
        if with_names:
            ec2.modify_vpc_attribute(VpcId=self.vpc, EnableDnsHostnames={"Value": True})
        begun = self.map.create_private_dns_namespace(Name=ZONE, Vpc=self.vpc)["OperationId"]
        self.zone = self.map.get_operation(OperationId=begun)["Operation"]["Targets"]["NAMESPACE"]
        records = {"RoutingPolicy": "MULTIVALUE", "DnsRecords": [{"Type": "A", "TTL": 10}]}
        made = self.map.create_service(Name="targets", NamespaceId=self.zone, DnsConfig=records)["Service"]
        self.id, self.arn = made["Id"], made["Arn"]

    @property
    def registry(self) -> dict[str, Any]:
        return {"serviceRegistries": [{"registryArn": self.arn}]}

    def told(self) -> set[str]:
        """What the name server of the stage answers."""
        return set(asyncio.run(Resolver([self.cloud.aws._names.address]).ask(NAME)))

    def running(self, service: str = "llm") -> set[str]:
        details = (d for t in self.cloud.tasks(service) for a in t["attachments"] for d in a["details"])
        return {d["value"] for d in details if d["name"] == "privateIPv4Address"}


def test_a_name_has_the_addresses_of_the_tasks_that_run(cloud: Cloud) -> None:
    named = Named(cloud)
    assert named.told() == set()
    cloud.service("llm", cloud.definition("llm"), 2, **named.registry)
    until(lambda: cloud.is_stable("llm"))
    until(lambda: len(named.told()) == 2)
    assert named.told() == named.running()
    [first, _] = cloud.tasks("llm")
    os.kill(cloud.pid_of(first), signal.SIGKILL)
    until(lambda: first["taskArn"] not in [task["taskArn"] for task in cloud.tasks("llm")])
    until(lambda: cloud.is_stable("llm") and named.told() == named.running())


def test_an_answer_has_eight_of_more(cloud: Cloud) -> None:
    named = Named(cloud)
    for number in range(12):
        where = {"AWS_INSTANCE_IPV4": f"10.0.0.{number}"}
        named.map.register_instance(ServiceId=named.id, InstanceId=f"i{number}", Attributes=where)
    answers = [frozenset(named.told()) for _ in range(30)]
    assert {len(answer) for answer in answers} == {8}
    assert len(set(answers)) > 1


def test_a_network_that_gives_no_names_answers_none(cloud: Cloud) -> None:
    Named(cloud, with_names=False)
    assert addresses(NAME) is None


def test_nothing_goes_while_something_is_in_it(cloud: Cloud) -> None:
    named = Named(cloud)
    cloud.service("llm", cloud.definition("llm"), **named.registry)
    until(lambda: named.told())
    with pytest.raises(ClientError, match="ResourceInUse"):
        named.map.delete_service(Id=named.id)
    with pytest.raises(ClientError, match="ResourceInUse"):
        named.map.delete_namespace(Id=named.zone)
    cloud.client("ecs").delete_service(cluster="llm", service="llm", force=True)
    until(lambda: not named.told())
    named.map.delete_service(Id=named.id)
    named.map.delete_namespace(Id=named.zone)
    assert cloud.client("route53").list_hosted_zones()["HostedZones"] == []


def question(balanced: Balanced, key: str = "", **more: Any) -> Any:
    connection = balanced.connection()
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    connection.request("POST", "/api/generate", json.dumps({**ASK, **more}), headers)
    return connection.getresponse()


def test_gateways_on_ecs_find_targets_ask_for_keys_and_outlive_each_other(cloud: Cloud, tmp_path: Path) -> None:
    key, keys = key_and_hashes(tmp_path)
    named, balanced = Named(cloud), Balanced(cloud, HealthCheckPath="/readyz")
    models = [{"name": "ARRIERO_MODELS", "value": "llama2"}]
    cloud.service("llm", cloud.definition("llm", environment=models), 2, **named.registry)
    until(lambda: cloud.is_stable("llm") and named.told() == named.running(), 60)
    told = {"service": "llm", "listen": "0.0.0.0:11434", "targets_dns": f"{NAME}:11434", "targets_site": EAST}
    given = {"ARRIERO_SETTINGS": json.dumps(told), "ARRIERO_KEYS": keys}
    edge: dict[str, Any] = {
        "entryPoint": ["arriero", "gateway", "edge"],
        "environment": [{"name": name, "value": value} for name, value in given.items()],
        # Checks pass ten times as fast as written, and a gateway is a Python program that has to begin.
        "healthCheck": {"command": ["CMD-SHELL", "true"], "interval": 5, "retries": 10, "startPeriod": 300},
    }
    behind = {"loadBalancers": balanced.attachment, "healthCheckGracePeriodSeconds": 120}
    cloud.service("edge", cloud.definition("edge", **edge), 2, **behind)
    # A task runs before its gateway knows a target, and a balancer of which nobody is healthy yet asks everybody.
    until(lambda: cloud.is_stable("edge") and balanced.states() == ["healthy", "healthy"], 60)
    assert question(balanced).status == 401
    stream = question(balanced, key, stream=True)
    assert json.loads(stream.read().splitlines()[-1])["done"] is True

    [target, _] = cloud.tasks("llm")
    os.kill(cloud.pid_of(target), signal.SIGKILL)
    assert [question(balanced, key).status for _ in range(10)] == [200] * 10

    [lost, _] = cloud.tasks("edge")
    os.kill(cloud.pid_of(lost), signal.SIGKILL)
    until(lambda: lost["taskArn"] not in [task["taskArn"] for task in cloud.tasks("edge")], 5)
    assert [question(balanced, key).status for _ in range(10)] == [200] * 10
    until(lambda: cloud.is_stable("edge") and balanced.states() == ["healthy", "healthy"], 60)
    until(lambda: cloud.is_stable("llm") and named.told() == named.running(), 60)
