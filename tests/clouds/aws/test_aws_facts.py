"""Facts read from the emulated AWS where a site is not there, half there, or somebody else's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from aws_site import BASE, REF, AwsSite, spec

from arriero.clouds.aws import facts
from arriero.clouds.endpoints import Endpoints
from arriero.errors import CloudError
from arriero.plan.model import SiteRef
from arriero.plan.wanted import aws_managed

TAGS = [{"Key": "arriero-service", "Value": "llm"}, {"Key": "arriero-site", "Value": "aws-east"}]
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)


@pytest.fixture
def vpc(site: AwsSite) -> Iterator[str]:
    ec2 = site.client("ec2")
    tags = [{"ResourceType": "vpc", "Tags": [*TAGS, {"Key": "Name", "Value": "renamed by hand"}]}]
    made = ec2.create_vpc(CidrBlock="10.64.0.0/16", TagSpecifications=tags)["Vpc"]["VpcId"]
    yield made
    ec2.delete_vpc(VpcId=made)


def test_an_empty_region_holds_nothing_and_names_its_zones(site: AwsSite) -> None:
    found = site.read()
    assert (found.resources, found.targets, found.count, found.account) == ((), (), 0, "123456789012")
    assert found.zones[:2] == ("us-east-1a", "us-east-1b")


def test_the_account_is_the_one_that_aws_names(site: AwsSite) -> None:
    assert facts.account() == "123456789012"


def test_a_network_is_found_by_its_tags_whatever_its_name_says(site: AwsSite, vpc: str) -> None:
    [found] = site.read().resources
    assert (found.kind, found.name, found.id) == ("aws.vpc", BASE, vpc)
    assert found.properties == {"cidr": "10.64.0.0/16", "dns_support": True, "dns_names": False}


def test_sites_that_left_the_spec_are_found_by_their_roles(site: AwsSite) -> None:
    iam = site.client("iam")
    iam.create_role(RoleName=f"{BASE}-exec", Path="/arriero/llm/us-east-1/", AssumeRolePolicyDocument=TRUST)
    iam.create_role(RoleName="llmx-exec", Path="/arriero/llmx/us-east-1/", AssumeRolePolicyDocument=TRUST)
    assert facts.other_sites("llm", ["aws-west"]) == (SiteRef("llm", "aws-east", "aws", "us-east-1"),)
    assert facts.other_sites("llm", ["aws-east"]) == ()
    assert facts.other_sites("another", []) == ()
    iam.delete_role(RoleName=f"{BASE}-exec")


def test_a_site_that_stands_in_another_region_is_a_problem(site: AwsSite) -> None:
    iam, tags = site.client("iam"), [*TAGS]
    path = "/arriero/llm/eu-central-1/"
    iam.create_role(RoleName=f"{BASE}-exec", Path=path, AssumeRolePolicyDocument=TRUST, Tags=tags)
    problem = site.read().problem
    assert problem is not None
    assert problem.what == "the site stands in eu-central-1, and AWS can't move it to us-east-1"
    iam.delete_role(RoleName=f"{BASE}-exec")


@pytest.mark.parametrize("end", ["exec", "task"])
def test_a_role_of_our_name_that_is_not_ours_is_refused(site: AwsSite, end: str) -> None:
    iam = site.client("iam")
    iam.create_role(RoleName=f"{BASE}-{end}", AssumeRolePolicyDocument=TRUST)
    with pytest.raises(CloudError, match=f"there is an IAM role {BASE}-{end} already, without the tags of this site"):
        site.read()
    iam.delete_role(RoleName=f"{BASE}-{end}")


def test_a_cluster_of_our_name_with_other_tags_is_refused(site: AwsSite) -> None:
    ecs = site.client("ecs")
    ecs.create_cluster(clusterName=BASE, tags=[{"key": "team", "value": "web"}])
    with pytest.raises(CloudError, match=f"there is an ECS cluster {BASE} already"):
        site.read()
    ecs.delete_cluster(cluster=BASE)


def test_a_cluster_that_a_cut_off_run_left_untagged_is_taken_up(site: AwsSite) -> None:
    site.client("ecs").create_cluster(clusterName=BASE)
    assert site.read().find("aws.cluster") is None
    site.client("ecs").delete_cluster(cluster=BASE)


def test_machines_that_a_cut_off_run_left_are_found_when_the_spec_has_no_gpus_any_more(site: AwsSite, vpc: str) -> None:
    ec2, name = site.client("ec2"), f"{BASE}-machines"
    own = {kind: [{"ResourceType": kind, "Tags": TAGS}] for kind in ("security-group", "launch-template")}
    group = ec2.create_security_group(
        GroupName=name, Description=name, VpcId=vpc, TagSpecifications=own["security-group"]
    )["GroupId"]
    ec2.create_launch_template(
        LaunchTemplateName=BASE,
        LaunchTemplateData={"InstanceType": "g4dn.xlarge"},
        TagSpecifications=own["launch-template"],
    )
    gone = {(each.kind, each.name) for each in site.plan(spec()).changes if each.action == "remove"}
    assert gone == {("aws.security_group", name), ("aws.launch_template", BASE)}
    ec2.delete_launch_template(LaunchTemplateName=BASE)
    ec2.delete_security_group(GroupId=group)


def test_what_ecs_keeps_machines_by_is_found_by_their_roles_policy_when_the_spec_has_none_any_more(
    site: AwsSite, vpc: str
) -> None:
    ec2, iam, name = site.client("ec2"), site.client("iam"), f"{BASE}-machines"
    own = [{"ResourceType": "security-group", "Tags": TAGS}]
    group = ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc, TagSpecifications=own)["GroupId"]
    path, policy = "/arriero/llm/us-east-1/", f"arn:aws:iam::aws:policy/{aws_managed.POLICY}"
    for end in ("machine", "infra"):
        iam.create_role(RoleName=f"{BASE}-{end}", Path=path, AssumeRolePolicyDocument=TRUST, Tags=TAGS)
    roles = {("aws.role", f"{BASE}-machine"), ("aws.role", f"{BASE}-infra")}
    gone = {(each.kind, each.name) for each in site.plan(spec()).changes if each.action == "remove"}
    assert gone & roles == {("aws.role", f"{BASE}-machine")}  # nothing tells of the other yet
    iam.attach_role_policy(RoleName=f"{BASE}-machine", PolicyArn=policy)
    gone = {(each.kind, each.name) for each in site.plan(spec()).changes if each.action == "remove"}
    assert gone & roles == roles
    iam.detach_role_policy(RoleName=f"{BASE}-machine", PolicyArn=policy)
    for end in ("machine", "infra"):
        iam.delete_role(RoleName=f"{BASE}-{end}")
    ec2.delete_security_group(GroupId=group)


def test_targets_of_a_site_that_is_not_there_are_none(site: AwsSite) -> None:
    assert facts.read_targets(REF) == ()
    assert facts.read_targets(replace(REF, site="elsewhere", region="us-west-2")) == ()


def test_a_wrong_key_is_told_with_its_remedy(site: AwsSite) -> None:
    with (
        Endpoints("a test", {**site.environment, "AWS_ACCESS_KEY_ID": "AKIAOFNOBODY00000000"}).entered(),
        pytest.raises(CloudError, match="AWS does not know this access key") as caught,
    ):
        facts.read_site(REF)
    assert caught.value.site == "aws-east"
