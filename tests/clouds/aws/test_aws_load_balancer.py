"""A site behind a load balancer, made by the role `aws_site` on the emulated AWS: asked, tampered with, removed.

One site lives through all tests of this file, in their order.
"""

from __future__ import annotations

import http.client
import json
import ssl
from pathlib import Path
from typing import Any

import pytest
from aws_site import BASE, AwsSite, spec, until

from arriero.pipeline.iam import files as iam
from arriero.plan.model import Resource
from arriero.rehearse.permissions import FOLDER
from arriero.spec.model import Spec

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

ACCOUNT = "123456789012"
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/0a1b"
HOST = "llm.example.com"
ALB = {"hosts": [HOST], "certificates": [CERTIFICATE], "allow_from": ["10.1.0.0/16"]}


def wish(**more: Any) -> Spec:
    own = {"deploy": {"stop_within": "2s"}, "accounts": {"aws": ACCOUNT}}
    return spec(**own, ingress={"alb": {**ALB, **more}})


WISH = wish()


@pytest.fixture(scope="module")
def acl(site: AwsSite) -> str:
    """A web ACL of somebody's. From then on the deployer may do what `export iam` writes, and no more."""
    see = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": "llm"}
    made = site.client("wafv2").create_web_acl(
        Name="llm", Scope="REGIONAL", DefaultAction={"Allow": {}}, VisibilityConfig=see, Rules=[]
    )
    arn = str(made["Summary"]["ARN"])
    allowed = site.folder / "allowed"
    allowed.mkdir()
    for name, text in iam.files(wish(web_acls=[arn]), Path()).items():
        (allowed / name).write_text(text)
    allowed.rename(site.folder / FOLDER)
    return arn


def balancer(site: AwsSite) -> Resource:
    found = site.read().find("aws.load_balancer")
    assert found is not None
    return found


def asked(site: AwsSite, host: str) -> tuple[int, bytes]:
    """A question over https as a client asks it who knows the load balancer by that name."""
    address = str(balancer(site).details["dns_name"])
    context = ssl.create_default_context(cafile=str(site.folder / "balancers" / address / "ca.pem"))
    connection = http.client.HTTPSConnection(address, 443, timeout=30, context=context)
    question = {"model": "llama2", "prompt": "hello", "stream": False}
    headers = {"Content-Type": "application/json", "Host": host}
    connection.request("POST", "/api/generate", json.dumps(question), headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


@pytest.mark.usefixtures("acl")
def test_a_site_is_made_with_its_load_balancer_and_a_second_run_changes_nothing(site: AwsSite) -> None:
    variables = site.variables(WISH)
    made = site.play("every_site.yml", variables)
    assert made.code == 0, made.output
    assert site.plan(WISH).changes == ()
    again = site.play("every_site.yml", variables)
    assert (again.code, again.changed) == (0, 0), again.output


def test_a_question_is_answered_through_it_by_its_name_and_by_no_other(site: AwsSite) -> None:
    status, answer = asked(site, HOST)
    assert (status, json.loads(answer)["done"]) == (200, True)
    assert asked(site, "somebody.example.org")[0] == 403


def test_what_was_changed_by_hand_is_set_right(site: AwsSite) -> None:
    elb, arn = site.client("elbv2"), balancer(site).id
    idle = [{"Key": "idle_timeout.timeout_seconds", "Value": "60"}]
    elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=idle)
    group = elb.describe_target_groups(Names=[BASE])["TargetGroups"][0]["TargetGroupArn"]
    delay = [{"Key": "deregistration_delay.timeout_seconds", "Value": "5"}]
    elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=delay)
    forward = [{"Type": "forward", "TargetGroupArn": group}]
    elb.create_listener(LoadBalancerArn=arn, Protocol="HTTP", Port=8080, DefaultActions=forward)
    own = next(r for r in site.read().resources if r.name == f"{BASE}-alb")
    world = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    site.client("ec2").authorize_security_group_ingress(GroupId=own.id, IpPermissions=[world])
    assert {step.name for step in site.plan(WISH).steps} == {"firewall", "ingress"}
    repaired = site.up(WISH)
    assert repaired.code == 0, repaired.output
    assert site.plan(WISH).changes == ()
    assert asked(site, HOST)[0] == 200


def test_a_web_acl_is_put_before_it_and_taken_away(site: AwsSite, acl: str) -> None:
    guarded = wish(web_acls=[acl])
    [change] = site.plan(guarded).changes
    assert change.reason == f"web_acl: is not set, should be {acl}"
    assert site.up(guarded).code == 0
    assert site.plan(guarded).changes == ()
    bare = site.up(WISH)
    assert (bare.code, site.plan(WISH).changes) == (0, ()), bare.output


def test_a_service_leaves_it_again(site: AwsSite) -> None:
    without = spec(deploy={"stop_within": "2s"}, accounts={"aws": ACCOUNT})
    left = site.up(without)
    assert left.code == 0, left.output
    assert site.plan(without).changes == ()
    assert site.read().find("aws.load_balancer") is None
    assert [r.name for r in site.read().resources if r.kind == "aws.service"] == [f"{BASE}-r2"]


def test_a_removal_leaves_nothing(site: AwsSite) -> None:
    removed = site.down()
    assert removed.code == 0, removed.output
    assert site.read().resources == ()
    until(lambda: not site.aws.containers())
