"""Our modules for networks at AWS, against an emulated EC2: made once, set right, and taken away."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2 import ec2_backends

from arriero.deploy.settings import OWN_COLLECTIONS
from arriero.rehearse.aws.patches import fill_the_gaps

MODULES = OWN_COLLECTIONS / "ansible_collections/arriero/fleet/plugins/modules"
THEIRS = Path(sys.prefix) / "share/arriero/collections"
TAGS = {"arriero-service": "llm", "arriero-site": "east"}


class Retrying:
    """A client that takes `aws_retry`, as Ansible's does."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)
        return lambda aws_retry=False, **given: call(**given)


class Asked:
    """A module's parameters, and the cloud that it finds."""

    region = "us-east-1"

    def __init__(self, **params: Any) -> None:
        self.params = {"timeout": 5, "tags": TAGS, "ids": [], "allocations": [], **params}

    def client(self, name: str, retry_decorator: Any = None) -> Any:
        return Retrying(boto3.client(name, region_name=self.region))


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"tested_{name}", MODULES / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def cloud() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(THEIRS))
        patch.syspath_prepend(str(OWN_COLLECTIONS))
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "none")
        fill_the_gaps()
        with mock_aws():
            yield boto3.client("ec2", region_name=Asked.region)


@pytest.fixture
def ec2(cloud: Any) -> Iterator[Any]:
    yield cloud
    # All of the emulated AWS takes seconds to be made anew, and one region of EC2 a moment.
    ec2_backends[DEFAULT_ACCOUNT_ID][Asked.region].reset()


@pytest.fixture
def place(ec2: Any) -> dict[str, Any]:
    vpc = ec2.create_vpc(CidrBlock="10.64.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.64.{n}.0/24")["Subnet"]["SubnetId"] for n in range(2)
    ]  # fmt: skip
    group = ec2.create_security_group(GroupName="g", Description="g", VpcId=vpc)["GroupId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    return {"vpc": vpc, "subnets": subnets, "security_group": group, "route_table": table}


def gateway(subnet: str) -> Any:
    return loaded("nat_gateway").Gateway(Asked(subnet=subnet))


def endpoints(place: dict[str, Any], **more: Any) -> Any:
    asked = {"interfaces": ["ecr.api", "logs"], "gateways": ["s3"], **place, **more}
    return loaded("vpc_endpoints").Endpoints(Asked(**asked))


def states(ec2: Any) -> list[str]:
    return [each["State"] for each in ec2.describe_nat_gateways()["NatGateways"]]


def test_a_gateway_is_made_once_with_an_address_of_its_own(ec2: Any, place: dict[str, Any]) -> None:
    first = gateway(place["subnets"][0])
    made = first.make()
    again = gateway(place["subnets"][0])
    assert (again.make(), again.changed, first.changed) == (made, False, True)
    assert len(ec2.describe_addresses()["Addresses"]) == 1


def test_an_address_that_a_cut_off_run_left_is_taken_up(ec2: Any, place: dict[str, Any]) -> None:
    left = gateway(place["subnets"][0]).address()
    made = gateway(place["subnets"][0]).make()
    [found] = ec2.describe_nat_gateways(NatGatewayIds=[made])["NatGateways"]
    assert found["NatGatewayAddresses"][0]["AllocationId"] == left


def test_a_gateway_in_another_subnet_makes_room(ec2: Any, place: dict[str, Any]) -> None:
    former = gateway(place["subnets"][1]).make()
    made = gateway(place["subnets"][0]).make()
    assert made != former
    assert sorted(states(ec2)) == ["available", "deleted"]


def test_a_gateway_of_another_site_is_left_alone(ec2: Any, place: dict[str, Any]) -> None:
    other = ec2.create_nat_gateway(SubnetId=place["subnets"][1], ConnectivityType="private")["NatGateway"]
    made = gateway(place["subnets"][0]).make()
    assert made != other["NatGatewayId"]
    assert states(ec2) == ["available", "available"]


def test_gateway_and_address_go_together_and_a_second_time_nothing_does(ec2: Any, place: dict[str, Any]) -> None:
    made = gateway(place["subnets"][0]).make()
    [address] = ec2.describe_addresses()["Addresses"]
    asked = Asked(ids=[made], allocations=[address["AllocationId"]])
    going = loaded("nat_gateway").Gateway(asked)
    going.remove()
    assert (going.changed, states(ec2), ec2.describe_addresses()["Addresses"]) == (True, ["deleted"], [])
    again = loaded("nat_gateway").Gateway(asked)
    again.remove()
    assert not again.changed


def test_endpoints_are_made_once(ec2: Any, place: dict[str, Any]) -> None:
    first, again = endpoints(place), endpoints(place)
    made = first.make()
    assert (again.make(), again.changed, first.changed) == (made, False, True)
    found = ec2.describe_vpc_endpoints(VpcEndpointIds=made)["VpcEndpoints"]
    assert [each["VpcEndpointType"] for each in found] == ["Interface", "Interface", "Gateway"]
    assert found[0]["PrivateDnsEnabled"]
    assert found[0]["ServiceName"] == "com.amazonaws.us-east-1.ecr.api"


def test_an_endpoint_that_somebody_changed_is_set_right(ec2: Any, place: dict[str, Any]) -> None:
    [first, *_] = endpoints(place).make()
    other = ec2.create_security_group(GroupName="o", Description="o", VpcId=place["vpc"])["GroupId"]
    ec2.modify_vpc_endpoint(
        VpcEndpointId=first,
        AddSecurityGroupIds=[other],
        RemoveSecurityGroupIds=[place["security_group"]],
        RemoveSubnetIds=place["subnets"][:1],
    )
    again = endpoints(place)
    again.make()
    [found] = ec2.describe_vpc_endpoints(VpcEndpointIds=[first])["VpcEndpoints"]
    assert again.changed
    assert [group["GroupId"] for group in found["Groups"]] == [place["security_group"]]
    assert sorted(found["SubnetIds"]) == sorted(place["subnets"])


def test_endpoints_go_and_a_second_time_nothing_does(ec2: Any, place: dict[str, Any]) -> None:
    made = endpoints(place).make()
    going, again = endpoints(place, ids=made), endpoints(place, ids=made)
    going.remove()
    again.remove()
    assert (going.changed, again.changed) == (True, False)


@pytest.mark.parametrize(
    ("lines", "told"),
    [(["pulling", '{"freed_bytes": 0}'], '{"freed_bytes": 0}'), (["it goes", "it goes"], "its last line: it goes")],
    ids=["the log is late", "there is none"],
)
def test_a_report_is_waited_for_until_the_log_has_it(
    lines: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, heard, now = loaded("ecs_once"), iter(lines), iter((0.0, 30.0, 61.0))
    clock = SimpleNamespace(monotonic=lambda: next(now), sleep=lambda _: None)
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(module, "last_line", lambda *_: next(heard, lines[-1]))

    class Failed(Exception):
        pass

    def fail_json(msg: str) -> None:
        raise Failed(msg)

    try:
        said = module.report(SimpleNamespace(fail_json=fail_json), {})
    except Failed as error:
        said = str(error)
    assert said.endswith(told)


@pytest.mark.parametrize(("public_ip", "said"), [(True, "ENABLED"), (False, "DISABLED")])
@pytest.mark.usefixtures("ec2")
def test_a_task_that_runs_once_has_a_public_address_only_where_its_site_has_them(public_ip: bool, said: str) -> None:
    asked = Asked(document={"family": "seed"}, cluster="c", subnets=["s"], security_groups=["g"], public_ip=public_ip)
    heard: dict[str, Any] = {}

    class Ecs:
        def register_task_definition(self, **_: Any) -> dict[str, Any]:
            return {"taskDefinition": {"taskDefinitionArn": "seed:1"}}

        def run_task(self, **given: Any) -> dict[str, Any]:
            heard.update(given)
            return {"tasks": [{"taskArn": "task"}]}

    assert loaded("ecs_once").start(asked, Ecs()) == "task"
    assert heard["networkConfiguration"]["awsvpcConfiguration"]["assignPublicIp"] == said


class LeftBehind:
    """An ECS in which tasks of a killed run are at work, each by its variables; it remembers what was done."""

    def __init__(self, *left: dict[str, str]) -> None:
        self.tasks = {f"left-{number}": each for number, each in enumerate(left)}
        self.done: list[str] = []

    def list_tasks(self, **_: Any) -> dict[str, Any]:
        return {"taskArns": list(self.tasks)}

    def describe_tasks(self, tasks: list[str], **_: Any) -> dict[str, Any]:
        return {"tasks": [{"taskArn": tasks[0], "taskDefinitionArn": f"of {tasks[0]}", "lastStatus": "STOPPED"}]}

    def describe_task_definition(self, taskDefinition: str, **_: Any) -> dict[str, Any]:  # noqa: N803 - theirs
        return {"taskDefinition": job(self.tasks[taskDefinition.removeprefix("of ")])}

    def deregister_task_definition(self, taskDefinition: str, **_: Any) -> None:  # noqa: N803 - theirs
        self.done.append(f"put away {taskDefinition}")

    def register_task_definition(self, **_: Any) -> dict[str, Any]:
        return {"taskDefinition": {"taskDefinitionArn": "ours:1"}}

    def run_task(self, **_: Any) -> dict[str, Any]:
        self.done.append("started")
        return {"tasks": [{"taskArn": "ours"}]}


def job(variables: dict[str, str], name: str = "clean") -> dict[str, Any]:
    told = [{"name": key, "value": value} for key, value in variables.items()]
    return {"family": "seed", "containerDefinitions": [{"name": name, "image": "llm:1", "environment": told}]}


@pytest.mark.parametrize(
    ("left", "ran", "done"),
    [
        ([], "ours", ["started", "put away of ours"]),
        ([{"A": "1", "B": "2"}], "left-0", ["put away of left-0"]),
        ([{"A": "2"}], "ours", ["put away of left-0", "started", "put away of ours"]),
        ([{"A": "2"}, {"B": "2", "A": "1"}], "left-1", ["put away of left-0", "put away of left-1"]),
    ],
    ids=["nothing", "the same", "another one", "both"],
)
@pytest.mark.usefixtures("ec2")
def test_a_task_that_a_killed_run_left_behind_ends_before_ours_begins(
    left: list[dict[str, str]], ran: str, done: list[str]
) -> None:
    asked = Asked(
        document=job({"B": "2", "A": "1"}),
        container="clean",
        cluster="c",
        subnets=["s"],
        security_groups=["g"],
        public_ip=False,
    )
    ecs = LeftBehind(*left)
    assert loaded("ecs_once").run(asked, ecs)["taskArn"] == ran
    assert ecs.done == done


@pytest.mark.usefixtures("ec2")
def test_a_task_with_another_container_is_another_task() -> None:
    asked = Asked(document=job({"A": "1"}, "seed"), container="seed")
    assert not loaded("ecs_once").is_the_same(asked, job({"A": "1"}))
    assert loaded("ecs_once").is_the_same(asked, job({"A": "1"}, "seed"))
