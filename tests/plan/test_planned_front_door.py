"""What a service's Front Door should be, whom load balancers answer then, and what is said where it is not so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from test_wanted_alb import planned
from test_wanted_alb import spec as plain

from arriero.clouds.read import with_front_door
from arriero.errors import Problem
from arriero.plan import front_door, place
from arriero.plan.model import Facts, Resource, SiteFacts
from arriero.plan.wanted import aws_alb
from arriero.policy.reach_door import door_ways
from arriero.spec.model import Spec

ID = "11111111-2222-3333-4444-555555555555"
KEYS = "arn:aws:secretsmanager:us-east-1:123456789012:secret:llm/keys-AbCdEf"
ALB = {
    "hosts": ["llm.example.com"],
    "certificates": ["arn:aws:acm:us-east-1:123456789012:certificate/0a1b"],
    "scheme": "internet-facing",
    "allow_from": ["0.0.0.0/0"],
    "edges": {"keys": [KEYS]},
}
SITES = {
    "aws-east": {"cloud": "aws", "region": "us-east-1"},
    "aws-west": {"cloud": "aws", "region": "us-east-1", "role": "standby"},
    "azure-eu": {"cloud": "azure", "region": "westeurope"},
}


def spec(door: Mapping[str, Any] | None = None, **changes: Any) -> Spec:
    ingress = {"alb": ALB, **({"front_door": door} if door is not None else {})}
    return plain(None, **{"sites": SITES, "ingress": ingress, **changes})


def site(name: str, balancer: bool = True) -> SiteFacts:
    there = Resource(aws_alb.BALANCER, f"llm-{name}", details={"dns_name": f"{name}.elb", "front_door": ""})
    return SiteFacts(name, "aws", "us-east-1", resources=(there,) if balancer else ())


def world(door: SiteFacts | None, balancers: bool = True) -> Facts:
    azure = SiteFacts("azure-eu", "azure", "westeurope")
    sites = {name: site(name, balancers) for name in ("aws-east", "aws-west")}
    return with_front_door(Facts("llm", {**sites, "azure-eu": azure}), door)


NOTHING = SiteFacts("front-door", "azure", "westeurope", "the subscription")


def as_wished(wish: Spec, changed: Mapping[str, Mapping[str, Any]] | None = None) -> SiteFacts:
    """A Front Door that is what is wished, but for what `changed` says of each kind and name."""
    details = {
        front_door.PROFILE: {"id": ID},
        front_door.GROUP: {"ours": True},
        front_door.ENDPOINT: {"host": "llm.fd"},
    }
    made = [
        replace(
            each,
            properties={**each.properties, **(changed or {}).get(f"{each.kind} {each.name}", {})},
            details=details.get(each.kind, {}),
        )
        for each in front_door.wanted(wish, world(NOTHING))
    ]
    return replace(NOTHING, resources=tuple(made))


def said(wish: Spec, facts: Facts) -> list[str]:
    found = front_door.plan(wish, facts)
    assert found is not None
    return [f"{c.action} {c.kind} {c.name}: {c.reason}" for c in found.changes]


def test_nothing_is_planned_where_nobody_asks_for_one() -> None:
    assert front_door.plan(spec(), world(None)) is None
    assert place.plan(spec(), world(None)).front_door is None


def test_one_that_is_not_there_is_made_whole_and_leads_to_active_sites_first() -> None:
    wish = spec({})
    assert {line.partition(" ")[0] for line in said(wish, world(NOTHING))} == {"create"}
    origins = {r.name: r.properties for r in front_door.wanted(wish, world(NOTHING)) if r.kind == front_door.ORIGIN}
    assert {name: (each["host"], each["priority"]) for name, each in origins.items()} == {
        "aws-east": ("aws-east.elb", 1),
        "aws-west": ("aws-west.elb", 2),
    }
    assert not place.plan(wish, world(NOTHING)).is_empty


def test_before_load_balancers_stand_nobody_knows_where_they_will_be() -> None:
    origins = [r for r in front_door.wanted(spec({}), world(NOTHING, balancers=False)) if r.kind == front_door.ORIGIN]
    assert [("host" in each.properties, each.properties["host_header"]) for each in origins] == [
        (False, "llm.example.com"),
        (False, "llm.example.com"),
    ]


BARE = ["create " + each for each in ("azure.resource_group", "azure.front_door", "azure.front_door_endpoint")]


@pytest.mark.parametrize(
    ("only", "standing", "led", "waiting"),
    [
        (None, [], ["aws-east", "aws-west", "everything"], ""),
        (["aws-west"], [], ["aws-west", "everything"], "origin aws-east;|for aws-east"),
        (["azure-eu"], ["aws-east"], ["aws-east", "everything"], "origin aws-west;|for aws-west"),
        (["azure-eu"], ["aws-east", "aws-west"], ["aws-east", "aws-west", "everything"], ""),
        (
            ["azure-eu"],
            [],
            [],
            "origin aws-east, origin aws-west, route everything;|for aws-east and aws-west",
        ),
    ],
)
def test_a_plan_leads_it_only_to_load_balancers_that_stand_or_are_made(
    only: list[str] | None, standing: list[str], led: list[str], waiting: str
) -> None:
    facts = world(NOTHING, balancers=False)
    facts = replace(facts, sites={**facts.sites, **{name: replace(site(name), front_door="") for name in standing}})
    found = place.plan(spec({}), facts, only).front_door
    assert found is not None
    assert [f"{c.action} {c.kind}" for c in found.changes][:3] == BARE
    assert [c.name for c in found.changes if c.kind in (front_door.ORIGIN, front_door.ROUTE)] == led
    names, _, sites = waiting.partition("|")
    assert len(found.notes) == bool(waiting)
    assert all(names in note and note.endswith(sites) for note in found.notes)


def test_one_with_nothing_to_lead_to_yet_leaves_nothing_to_do() -> None:
    wish = spec({})
    made = [each for each in as_wished(wish).resources if each.kind not in (front_door.ORIGIN, front_door.ROUTE)]
    facts = world(replace(NOTHING, resources=tuple(made)), balancers=False)
    found = place.plan(wish, facts, ["azure-eu"]).front_door
    assert found is not None
    assert (found.changes, len(found.notes)) == ((), 1)
    assert place.plan(wish, facts, ["aws-east"]).front_door != found


def test_a_site_that_cannot_be_read_is_not_led_to() -> None:
    wish, facts = spec({}), world(NOTHING, balancers=False)
    lost = replace(facts.sites["aws-east"], problem=Problem("AWS does not answer"))
    found = place.plan(wish, replace(facts, sites={**facts.sites, "aws-east": lost})).front_door
    assert found is not None
    assert [c.name for c in found.changes if c.kind == front_door.ORIGIN] == ["aws-west"]


def test_one_that_is_as_wished_needs_nothing() -> None:
    wish = spec({"sku": "premium", "response_timeout": "120s", "region": "eastus"})
    assert said(wish, world(as_wished(wish))) == []
    assert front_door.id_of(as_wished(wish)) == ID
    assert front_door.host_of(as_wished(wish)) == "llm.fd"
    assert (front_door.id_of(NOTHING), front_door.host_of(None)) == ("", "")


@pytest.mark.parametrize(
    ("kind", "found", "line"),
    [
        ("azure.front_door llm", {"response_seconds": 60}, "update {}: response_seconds: is 60, should be 240"),
        ("azure.front_door_endpoint llm", {"enabled": False}, "update {}: enabled: is False, should be True"),
        ("azure.route everything", {"caches": True}, "replace {}: caches: is True, should be False"),
        ("azure.route everything", {"forwards": "HttpOnly"}, "update {}: forwards: is HttpOnly, should be HttpsOnly"),
        ("azure.origin aws-west", {"priority": 1}, "update {}: priority: is 1, should be 2"),
        ("azure.origin aws-east", {"host": "gone.elb"}, "update {}: host: is gone.elb, should be aws-east.elb"),
    ],
)
def test_what_somebody_changed_is_a_change(kind: str, found: Mapping[str, Any], line: str) -> None:
    assert said(spec({}), world(as_wished(spec({}), {kind: found}))) == [line.format(kind)]


def test_a_site_that_left_is_led_to_no_more() -> None:
    wish = spec({}, sites={name: SITES[name] for name in ("aws-east", "azure-eu")})
    assert said(wish, world(as_wished(spec({})))) == [
        "remove azure.origin aws-west: it carries our tags, and the spec no longer asks for it"
    ]


STANDARD, EAST = {"sku": "Standard_AzureFrontDoor"}, {"location": "eastus"}


@pytest.mark.parametrize(
    ("door", "kind", "properties", "what"),
    [
        ({"sku": "premium"}, "azure.front_door llm", STANDARD, "is Standard_AzureFrontDoor, which is for good here"),
        ({}, "azure.resource_group llm-front-door", EAST, "is in eastus, and Azure can't move it to westeurope"),
    ],
)
def test_what_stands_and_cannot_become_what_is_asked_for_is_a_problem(
    door: Mapping[str, Any], kind: str, properties: Mapping[str, Any], what: str
) -> None:
    wish = spec(door)
    plan = place.plan(wish, world(as_wished(wish, {kind: properties})))
    assert plan.front_door is not None
    assert plan.front_door.changes == ()
    assert plan.front_door.problem in plan.problems
    assert what in str(plan.front_door.problem)


@pytest.mark.parametrize("location", ["westeurope", "eastus"])
def test_a_resource_group_of_somebody_else_is_left_alone(location: str) -> None:
    theirs = Resource(front_door.GROUP, "llm-front-door", {"location": location}, details={"ours": False})
    found = front_door.plan(spec({}), world(replace(NOTHING, resources=(theirs,))))
    assert found is not None
    assert "does not carry this service's tags" in str(found.problem)


def test_what_it_does_not_do_is_told() -> None:
    notes = front_door.notes(spec({}))
    assert "azure-eu is not behind it: no load balancer or edge is there for it to lead to" in notes
    assert notes[-1] == (
        "an answer may take 1200s to begin by gateway.limits, and Front Door waits 4m: "
        "clients that may wait longer stream, and say X-Arriero-Warming: events"
    )
    quick = spec({}, gateway={"limits": {"queue_within": "20s", "first_byte_within": "100s"}})
    assert not any("X-Arriero-Warming" in note for note in front_door.notes(quick))


def test_a_check_tells_the_ways_through_it() -> None:
    wish = spec({})
    said = [str(way) for way in door_ways(as_wished(wish))]
    assert said == [
        f"{name}: everybody may reach port 443 and 80 of the Front Door through Front Door llm (llm.fd), "
        f"to the load balancer {name}.elb with X-Azure-FDID {ID}"
        for name in ("aws-east", "aws-west")
    ]
    assert list(door_ways(as_wished(wish, {"azure.route everything": {"enabled": False}}))) == []
    assert list(door_ways(NOTHING)) == list(door_ways(None)) == []


def https(wish: Spec, found: SiteFacts) -> Mapping[str, Any]:
    balancer = next(each for each in planned(wish, found).wanted if each.kind == aws_alb.BALANCER)
    listeners: Any = balancer.properties["listeners"]
    known: Mapping[str, Any] = listeners["443"]
    return known


ONE = {"aws-east": SITES["aws-east"]}


def test_a_load_balancer_answers_its_front_door_alone() -> None:
    wish = spec({"region": "westeurope"}, sites=ONE)
    found = replace(site("aws-east"), front_door=ID)
    assert https(wish, found)["action"] == "answer 403"
    assert https(wish, found)["rules"] == (
        f"forward to llm-aws-east if X-Azure-FDID is {ID}",
        "forward to llm-aws-east if X-FD-HealthProbe is 1 and the path is /readyz",
    )
    assert "and it answers the Front Door alone" in planned(wish, found).notes[0]
    bare = https(spec(None, sites=ONE), found)
    assert (bare["action"], "rules" in bare) == ("forward to llm-aws-east", False)


OURS = f"X-Azure-FDID is {ID}"
OTHER = "00000000-0000-0000-0000-000000000001"


@pytest.mark.parametrize(
    ("told", "door", "expected"),
    [
        ("answer 403", ID, False),
        ("redirect to HTTPS 443 by 301", ID, False),
        ("forward to llm", ID, True),
        ("authenticate-oidc; forward to llm", ID, True),
        (f"forward to llm if {OURS}", ID, False),
        (f"forward to another if {OURS} and the path is /api/*", ID, False),
        (f"answer 200 if X-Azure-FDID is {OTHER}", ID, False),
        (f"forward to llm if X-Azure-FDID is {OTHER}", ID, True),
        (f"forward to llm if {OURS} or {OTHER}", ID, True),
        ("forward to llm if X-Azure-FDID is *", ID, True),
        ("forward to llm if X-Azure-FDID matches .*", ID, True),
        ("forward to llm if X-FD-HealthProbe is 1 and the path is /readyz", ID, False),
        ("forward to llm if X-FD-HealthProbe is 1 and the path is /*", ID, True),
        ("forward to llm if X-FD-HealthProbe is 1", ID, True),
        ("forward to llm if the path is /readyz", ID, True),
        ("forward to llm if source-ip", ID, True),
        (f"forward to llm if {OURS}", "", True),
        (f"forward to llm if X-Azure-FDID is {OTHER}", None, False),
        ("forward to llm if X-Azure-FDID is *", None, True),
        ("forward to llm if X-Azure-FDID is not a door", None, True),
    ],
)
def test_what_forwards_without_asking_for_its_id_leads_past_it(told: str, door: str | None, expected: bool) -> None:
    assert aws_alb.leads_past(told, door) is expected


def test_the_rules_of_its_own_do_not_lead_past_it() -> None:
    assert [aws_alb.leads_past(each, ID) for each in aws_alb.locks("llm-aws-east", ID)] == [False, False]


def test_before_its_id_is_known_nobody_is_answered_and_one_that_was_set_stays() -> None:
    wish = spec({"region": "westeurope"}, sites=ONE)
    assert (https(wish, site("aws-east"))["action"], https(wish, site("aws-east"))["rules"]) == ("answer 403", ())
    locked = Resource(aws_alb.BALANCER, "llm-aws-east", details={"dns_name": "a", "front_door": ID})
    unread = replace(site("aws-east"), resources=(locked,))
    assert f"is {ID}" in https(wish, unread)["rules"][0]
    assert https(wish, replace(unread, front_door=""))["rules"] == ()


LOCKED = {"dns_name": "aws-east.elb", "front_door": ID}


def test_one_that_could_not_be_read_locks_nobody_out() -> None:
    wish, lost = spec({"region": "westeurope"}, sites=ONE), replace(NOTHING, problem=Problem("Azure does not answer"))
    nothing = SiteFacts("aws-east", "aws", "us-east-1", front_door=ID)
    [whole] = place.plan(wish, Facts("llm", {"aws-east": nothing})).sites
    there = [replace(each, details=LOCKED if each.kind == aws_alb.BALANCER else {}) for each in whole.wanted]
    standing = SiteFacts("aws-east", "aws", "us-east-1", resources=tuple(there), count=1)
    plan = place.plan(wish, with_front_door(Facts("llm", {"aws-east": standing}), lost))
    assert plan.front_door is not None
    assert plan.front_door.problem in plan.problems
    assert plan.front_door.changes == ()
    assert [change for change in plan.sites[0].changes if change.kind == aws_alb.BALANCER] == []
    gone = place.plan(wish, with_front_door(Facts("llm", {"aws-east": standing}), NOTHING)).sites[0]
    [change] = [change for change in gone.changes if change.kind == aws_alb.BALANCER]
    assert change.reason.startswith(f"listeners.443.rules: is [forward to llm-aws-east if {OURS}")
    assert change.reason.endswith("should be []")
