"""What the role `aws_site` is told of a site's load balancer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from aws_site import spec

from arriero.clouds.aws.variables import removal_variables, site_variables
from arriero.plan import place
from arriero.plan.model import Facts, SiteFacts
from arriero.spec.model import Spec

ALB = {"hosts": ["llm.example.com"], "certificates": ["arn:aws:acm:us-east-1:123456789012:certificate/0a1b"]}
NOTHING = SiteFacts("aws-east", "aws", "us-east-1", "123456789012")


def behind(**more: Any) -> Spec:
    return spec(ingress={"alb": {**ALB, **more}})


def told(wish: Spec, found: SiteFacts) -> dict[str, Any]:
    plan = place.plan(wish, Facts("llm", {"aws-east": found})).sites[0]
    return site_variables(wish.site("aws-east"), plan, found)


def standing(wish: Spec) -> SiteFacts:
    """A site as it is wished, with ids."""
    wanted = place.plan(wish, Facts("llm", {"aws-east": NOTHING})).sites[0].wanted
    details = {"vpc_id": "vpc-1", "revisions": (), "arn": "arn:llm:1", "propagate_tags": "SERVICE"}
    ids = {"aws.service": "arn:aws:ecs:us-east-1:1:service/llm-aws-east/llm-aws-east"}
    made = (
        replace(r, id=ids.get(r.kind, f"{r.kind}/{r.name}"), details={**details, **r.details}, tags=r.tags)
        for r in wanted
    )
    return replace(NOTHING, resources=tuple(made), count=2)


def test_a_service_that_leaves_its_load_balancer_is_not_attached_to_it_again() -> None:
    found = standing(behind())
    assert told(behind(), found)["aws_site_target_group_arn"] == "aws.target_group/llm-aws-east"
    leaving = told(spec(), found)
    assert (leaving["aws_site_service"], leaving["aws_site_target_group_arn"]) == ("llm-aws-east-r2", "")
    assert leaving["aws_site_balancers"] == []
    gone = leaving["aws_site_gone"]
    assert (gone["load_balancers"], gone["target_groups"]) == (["llm-aws-east"], ["llm-aws-east"])
    assert gone["security_groups"] == ["aws.security_group/llm-aws-east-alb"]


def test_groups_go_in_the_order_in_which_their_rules_name_each_other() -> None:
    found = standing(behind())
    gone = removal_variables(found, purge=False)["aws_site_gone"]
    assert isinstance(gone, dict)
    assert gone["security_groups"] == [
        "aws.security_group/llm-aws-east",
        "aws.security_group/llm-aws-east-alb",
    ]


def test_one_of_another_scheme_is_taken_away_first() -> None:
    changed = behind(scheme="internet-facing", allow_from=["203.0.113.0/24"])
    found = standing(behind())
    assert told(changed, found)["aws_site_balancers_replaced"] == ["llm-aws-east"]
    assert told(behind(), found)["aws_site_balancers_replaced"] == []


def test_web_acls_are_put_on_and_taken_off_by_name() -> None:
    acls = [f"arn:aws:wafv2:us-east-1:123456789012:regional/webacl/{name}/0a1b" for name in ("old", "new")]
    names = ("aws_site_web_acl", "aws_site_web_acl_gone")
    found = standing(behind(web_acls=acls[:1]))
    assert [told(behind(web_acls=acls[:1]), found)[name] for name in names] == ["old", ""]
    assert [told(behind(web_acls=acls[1:]), found)[name] for name in names] == ["new", "old"]
    assert [told(behind(), found)[name] for name in names] == ["", "old"]


ID = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
BEHIND_A_DOOR = {
    **ALB,
    "scheme": "internet-facing",
    "allow_from": ["0.0.0.0/0"],
    "edges": {"keys": ["arn:aws:secretsmanager:us-east-1:123456789012:secret:llm/keys-AbCdEf"]},
}


@pytest.mark.parametrize(
    ("stands", "door", "scheme", "expected"),
    [
        (False, "", "internet-facing", (True, "", False)),
        (False, ID, "internet-facing", (True, ID, False)),
        (True, "", "internet-facing", (True, "", True)),
        (True, ID, "internet-facing", (True, ID, True)),
        (True, None, "internet-facing", (True, "", True)),
        # It is made anew, and there is nobody to go on letting in.
        (True, ID, "internal", (True, ID, False)),
    ],
)
def test_a_load_balancer_that_answers_everybody_lets_its_front_door_in_first(
    stands: bool, door: str | None, scheme: str, expected: tuple[bool, str, bool]
) -> None:
    alone = spec(ingress={"alb": BEHIND_A_DOOR, "front_door": {"region": "westeurope"}})
    before = spec(ingress={"alb": {**BEHIND_A_DOOR, "scheme": scheme}})
    found = replace(standing(before) if stands else NOTHING, front_door=door)
    [balancer] = told(alone, found)["aws_site_balancers"]
    assert (balancer["answers_alone"], balancer["front_door"], balancer["lets_in_first"]) == expected


def test_one_that_no_front_door_stands_before_answers_everybody() -> None:
    [balancer] = told(behind(), NOTHING)["aws_site_balancers"]
    assert (balancer["answers_alone"], balancer["front_door"], balancer["sets_rules"]) == (False, "", False)
