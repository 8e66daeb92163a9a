"""Load balancers of the emulated AWS before services of the emulated ECS: real requests, real checks, real draining."""

from __future__ import annotations

import http.client
import json
import ssl
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from emulated_cloud import EAST, Cloud, until

CERTIFICATE = f"arn:aws:acm:{EAST}:123456789012:certificate/0a1b"
CHECK: dict[str, Any] = {"HealthCheckPath": "/", "HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 2}


class Balanced:
    """A load balancer with https, a redirect and a target group in the test's network."""

    def __init__(self, cloud: Cloud, **check: Any) -> None:
        network = cloud.network()["awsvpcConfiguration"]
        ec2 = cloud.client("ec2")
        vpc = ec2.describe_subnets(SubnetIds=network["subnets"])["Subnets"][0]["VpcId"]
        self.elb, [self.targets_group] = cloud.client("elbv2"), network["securityGroups"]
        self.own = ec2.create_security_group(GroupName="alb", Description="alb", VpcId=vpc)["GroupId"]
        let_in = {"IpProtocol": "tcp", "FromPort": 11434, "ToPort": 11434, "UserIdGroupPairs": [{"GroupId": self.own}]}
        self.from_balancer = {"GroupId": self.targets_group, "IpPermissions": [let_in]}
        ec2.authorize_security_group_ingress(**self.from_balancer)
        options = {"Subnets": network["subnets"], "SecurityGroups": [self.own]}
        made = self.elb.create_load_balancer(Name="llm", **options)["LoadBalancers"][0]
        self.arn, self.address = made["LoadBalancerArn"], made["DNSName"]
        group = {"Protocol": "HTTP", "Port": 11434, "VpcId": vpc, "TargetType": "ip", **CHECK, **check}
        self.group = self.elb.create_target_group(Name="llm", **group)["TargetGroups"][0]["TargetGroupArn"]
        self.listen(CERTIFICATE)
        there = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
        self.elb.create_listener(
            LoadBalancerArn=self.arn,
            Protocol="HTTP",
            Port=80,
            DefaultActions=[{"Type": "redirect", "RedirectConfig": there}],
        )
        self.authority = cloud.folder / "balancers" / self.address / "ca.pem"
        until(self.authority.exists)

    def listen(self, certificate: str) -> None:
        self.elb.create_listener(
            LoadBalancerArn=self.arn,
            Protocol="HTTPS",
            Port=443,
            Certificates=[{"CertificateArn": certificate}],
            DefaultActions=[{"Type": "forward", "TargetGroupArn": self.group}],
        )

    @property
    def attachment(self) -> list[dict[str, Any]]:
        return [{"targetGroupArn": self.group, "containerName": "ollama", "containerPort": 11434}]

    def connection(self) -> http.client.HTTPSConnection:
        """Its certificate is believed by the authority beside it."""
        context = ssl.create_default_context(cafile=str(self.authority))
        return http.client.HTTPSConnection(self.address, self.port(443), timeout=10, context=context)

    def get(self, path: str = "/") -> http.client.HTTPResponse:
        connection = self.connection()
        connection.request("GET", path)
        return connection.getresponse()

    def states(self) -> list[str]:
        described = self.elb.describe_target_health(TargetGroupArn=self.group)["TargetHealthDescriptions"]
        return [each["TargetHealth"]["State"] for each in described]

    def port(self, wanted: int) -> int:
        """Without rights for the port itself the stage opens another."""
        for tried in (wanted, wanted + 10_000):
            try:
                http.client.HTTPConnection(self.address, tried, timeout=2).connect()
            except OSError:
                continue
            return tried
        raise AssertionError(f"nothing listens on {self.address}")


def test_requests_reach_the_tasks_of_a_service_and_http_is_sent_to_https(cloud: Cloud) -> None:
    balanced = Balanced(cloud)
    assert balanced.get().status == 503  # no target is registered
    cloud.service("llm", cloud.definition("llm"), 2, loadBalancers=balanced.attachment)
    until(lambda: cloud.is_stable("llm"))
    assert balanced.states() == ["healthy", "healthy"]
    assert balanced.get("/").read() == b"Ollama is running"
    assert cloud.described("llm")["loadBalancers"] == balanced.attachment
    plain = http.client.HTTPConnection(balanced.address, balanced.port(80), timeout=10)
    plain.request("GET", "/api/tags?a=1", headers={"Host": "llm.example.com"})
    answer = plain.getresponse()
    assert (answer.status, answer.headers["Location"]) == (301, "https://llm.example.com:443/api/tags?a=1")


def test_a_task_that_a_check_refuses_is_not_in_use_and_is_replaced_after_its_grace(cloud: Cloud) -> None:
    balanced = Balanced(cloud, HealthCheckPath="/nothing-is-here")
    cloud.service("llm", cloud.definition("llm"), loadBalancers=balanced.attachment, healthCheckGracePeriodSeconds=1)
    [stopped, *_] = until(lambda: cloud.tasks("llm", "STOPPED"))
    assert stopped["stoppedReason"] == f"Task failed ELB health checks in (target-group {balanced.group})"
    assert cloud.described("llm")["deployments"][0]["rolloutState"] == "IN_PROGRESS"


def test_a_task_that_goes_answers_to_the_end_what_it_has_begun(cloud: Cloud) -> None:
    balanced = Balanced(cloud)
    models = [{"name": "ARRIERO_MODELS", "value": "llama2"}]
    cloud.service("llm", cloud.definition("llm", environment=models), loadBalancers=balanced.attachment)
    until(lambda: cloud.is_stable("llm"))
    [old] = cloud.tasks("llm")
    connection = balanced.connection()
    wish = {"model": "llama2", "prompt": "tell me much", "options": {"num_predict": 15000}}
    connection.request("POST", "/api/generate", json.dumps(wish), {"Content-Type": "application/json"})
    stream = connection.getresponse()
    assert stream.status == 200, stream.read()
    stream.readline()
    ecs = cloud.client("ecs")
    ecs.update_service(cluster="llm", service="llm", desiredCount=0)

    def statuses() -> tuple[str, str]:
        [going] = ecs.describe_tasks(cluster="llm", tasks=[old["taskArn"]])["tasks"]
        return going["lastStatus"], going["desiredStatus"]

    until(lambda: statuses() == ("DEACTIVATING", "STOPPED"))
    assert balanced.states() == []
    assert balanced.get().status == 503  # nothing new goes there
    assert json.loads(stream.read().splitlines()[-1])["done"] is True
    until(lambda: cloud.described("llm")["runningCount"] == 0)


def test_targets_that_no_rule_opens_to_it_are_out_of_use_until_one_does(cloud: Cloud) -> None:
    balanced, ec2 = Balanced(cloud), cloud.client("ec2")
    cloud.service("llm", cloud.definition("llm"), loadBalancers=balanced.attachment, healthCheckGracePeriodSeconds=600)
    until(lambda: cloud.is_stable("llm"))
    ec2.revoke_security_group_ingress(**balanced.from_balancer)
    until(lambda: balanced.states() == ["unhealthy"])
    assert balanced.get().status == 504
    ec2.authorize_security_group_ingress(**balanced.from_balancer)
    until(lambda: balanced.states() == ["healthy"])
    assert balanced.get().status == 200
    every = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.revoke_security_group_egress(GroupId=balanced.own, IpPermissions=[every])
    until(lambda: balanced.states() == ["unhealthy"])
    elsewhere = {"IpProtocol": "tcp", "FromPort": 11434, "ToPort": 11434, "IpRanges": [{"CidrIp": "10.0.7.0/24"}]}
    ec2.authorize_security_group_egress(GroupId=balanced.own, IpPermissions=[elsewhere])
    assert balanced.states() == ["unhealthy"]
    there = {**elsewhere, "IpRanges": [{"CidrIp": "10.0.0.0/24"}]}
    ec2.authorize_security_group_egress(GroupId=balanced.own, IpPermissions=[there])
    until(lambda: balanced.states() == ["healthy"])


def test_a_stage_that_starts_again_balances_as_before(cloud: Cloud) -> None:
    balanced = Balanced(cloud)
    cloud.service("llm", cloud.definition("llm"), loadBalancers=balanced.attachment)
    until(lambda: cloud.is_stable("llm"))
    former = cloud.aws  # held, so that its ports are free by its own stop and not by the collector of garbage
    cloud.restart()
    balanced.elb = cloud.client("elbv2")
    until(lambda: balanced.states() == ["healthy"])
    assert balanced.get().read() == b"Ollama is running"
    assert former is not cloud.aws


def test_the_idle_time_is_the_load_balancers_own(cloud: Cloud) -> None:
    balanced = Balanced(cloud)
    [found] = [
        each["Value"]
        for each in balanced.elb.describe_load_balancer_attributes(LoadBalancerArn=balanced.arn)["Attributes"]
        if each["Key"] == "idle_timeout.timeout_seconds"
    ]
    assert found == "60"
    idle = [{"Key": "idle_timeout.timeout_seconds", "Value": "1"}]
    balanced.elb.modify_load_balancer_attributes(LoadBalancerArn=balanced.arn, Attributes=idle)
    connection = balanced.connection()
    connection.connect()
    assert connection.sock.recv(1) == b""  # nothing was said for a second


def test_its_hours_are_on_the_bill_of_its_site(cloud: Cloud) -> None:
    balanced = Balanced(cloud)
    tags = [{"Key": "arriero-service", "Value": "llm"}, {"Key": "arriero-site", "Value": "east"}]
    balanced.elb.add_tags(ResourceArns=[balanced.arn], Tags=tags)
    today = datetime.now(UTC).date()

    def billed() -> bool:
        answer = cloud.client("ce").get_cost_and_usage(
            TimePeriod={"Start": str(today - timedelta(days=1)), "End": str(today + timedelta(days=2))},
            Granularity="MONTHLY",
            Metrics=["UnblendedCost"],
            Filter={"Tags": {"Key": "arriero-service", "Values": ["llm"]}},
            GroupBy=[{"Type": "TAG", "Key": "arriero-site"}],
        )
        groups = [group for period in answer["ResultsByTime"] for group in period["Groups"]]
        return any(
            group["Keys"] == ["arriero-site$east"] and float(group["Metrics"]["UnblendedCost"]["Amount"]) > 0
            for group in groups
        )

    until(billed)


def test_a_certificate_of_another_region_is_none(cloud: Cloud) -> None:
    balanced = Balanced(cloud)
    arn = balanced.elb.describe_listeners(LoadBalancerArn=balanced.arn)["Listeners"][0]["ListenerArn"]
    balanced.elb.delete_listener(ListenerArn=arn)
    with pytest.raises(ClientError, match="CertificateNotFound"):
        balanced.listen(CERTIFICATE.replace(EAST, "eu-west-1"))
