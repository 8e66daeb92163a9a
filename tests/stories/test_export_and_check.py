"""A deployed service is exported to Terraform, and held against policy.

Everything that stands is imported, and nothing would be made anew. A rule opened by hand is told by the check, with the
way in that it opens, and closed by the next `up`. The tests go on from one another, in their order, on one stage.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from places import Place, open_spec

SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {min: 1}
sites:
  aws-east:   {cloud: aws, region: us-east-1}
  azure-east: {cloud: azure, region: eastus}
"""
# What the plan does not compare and a change of which would make Terraform replace a thing.
DESCRIPTIONS = """\
import boto3, json
ec2, iam = boto3.client("ec2", region_name="us-east-1"), boto3.client("iam", region_name="us-east-1")
group = {"Name": "group-name", "Values": ["llm-aws-east"]}
print(json.dumps([
    ec2.describe_security_groups(Filters=[group])["SecurityGroups"][0]["Description"],
    iam.get_role(RoleName="llm-aws-east-exec")["Role"]["Description"],
]))
"""

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from open_spec(tmp_path_factory.mktemp("terraform"), SPEC)


def addresses(folder: Path, word: str, ending: str) -> int:
    return sum(
        line.startswith(word) and line.endswith(ending)
        for f in folder.glob("*.tf")
        for line in f.read_text().splitlines()
    )


def test_before_the_first_deployment_nothing_is_imported(place: Place) -> None:
    done = place.arriero("export", "terraform", "--out", "before")
    assert done.code == 0, done.err
    assert "Nothing stands yet" in (place.folder / "before/imports.tf").read_text()


def test_everything_that_was_deployed_is_imported(place: Place) -> None:
    assert place.arriero("up", "--yes").code == 0
    done = place.arriero("export", "terraform", "--out", "module")
    assert done.code == 0, done.err
    module = place.folder / "module"
    assert addresses(module, "resource ", "{") == addresses(module, "import ", "{") > 25
    assert "| azure-east | 10 | 10 |" in (module / "README.md").read_text()
    assert place.arriero("export", "terraform", "--out", "module", "--check").code == 0
    release = place.arriero("plan", "--json").json["release"]
    assert f"1 target of release {release}\n" in (module / "aws.tf").read_text()


def test_what_a_plan_does_not_compare_is_written_as_it_stands(place: Place) -> None:
    asked = place.arriero("env", "--", sys.executable, "-c", DESCRIPTIONS)
    assert asked.code == 0, asked.err
    said = (place.folder / "module/aws.tf").read_text()
    for description in json.loads(asked.out):
        assert f'description = "{description}"' in said


def test_a_change_by_hand_is_not_written_down(place: Place) -> None:
    """The module holds the wish: Terraform would put back what a hand changed, as `arriero up` does."""
    code = (
        "import boto3; ec2 = boto3.client('ec2', region_name='us-east-1');"
        "group = ec2.describe_security_groups(Filters=[{'Name': 'group-name', 'Values': ['llm-aws-east']}]);"
        "ec2.authorize_security_group_ingress(GroupId=group['SecurityGroups'][0]['GroupId'],"
        " IpProtocol='tcp', FromPort=22, ToPort=22, CidrIp='0.0.0.0/0')"
    )
    assert place.arriero("env", "--", sys.executable, "-c", code).code == 0
    assert place.arriero("plan").code == 2
    assert place.arriero("export", "terraform", "--out", "module", "--check").code == 0


def test_the_check_names_the_way_in_that_a_hand_opened(place: Place) -> None:
    opened = place.arriero("check")
    assert opened.code == 3
    assert "security group llm-aws-east lets everybody in: tcp 22 from 0.0.0.0/0" in opened.out
    assert (
        "aws-east: everybody may reach port 22 through the internet gateway, the tasks' public addresses, "
        "security group llm-aws-east (tcp 22 0.0.0.0/0)"
    ) in opened.out
    assert "policy: error: arriero.yaml:7: sites.aws-east: security group" in place.arriero("plan").out


def test_up_closes_it(place: Place) -> None:
    assert place.arriero("up", "--yes").code == 0
    closed = place.arriero("check", "--json")
    assert closed.code == 0
    assert [(way["site"], way["sources"], way["ports"]) for way in closed.json["reach"]] == [
        ("aws-east", "10.64.0.0/16", "port 11434"),
        ("azure-east", "10.64.0.0/16", "port 11434"),
    ]
