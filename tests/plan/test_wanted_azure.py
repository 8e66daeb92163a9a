from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from arriero.errors import Refused
from arriero.plan import order
from arriero.plan.compare import compare
from arriero.plan.model import Change, Resource, SiteFacts
from arriero.plan.wanted import azure
from arriero.spec.model import ResolvedSite, Spec

CASES = sorted((Path(__file__).parents[1] / "cases" / "plan" / "azure").glob("*.json"))
NOTHING = SiteFacts("azure-east", "azure", "eastus", account="0")
DIGEST = "0123456789ab"


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_each_case_of_an_azure_site_is_decided_as_written(path: Path) -> None:
    case = json.loads(path.read_text())
    made = changes(case["wish"], found(**case["found"]))
    assert [[c.action, c.kind, c.name] for c in made] == [wanted[:3] for wanted in case["changes"]]
    for change, (*_, reason) in zip(made, case["changes"], strict=True):
        assert change.reason.startswith(reason), change.reason


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_what_the_plan_asks_for_needs_no_further_change(path: Path) -> None:
    case = json.loads(path.read_text())
    wanted = resources(case["wish"], found(**case["found"]))
    assert not changes(case["wish"], replace(NOTHING, resources=wanted))


def test_the_steps_make_what_others_stand_on_first_and_retire_last() -> None:
    made = changes({"release": 2, "digest": "ff"}, found(gone=["azure.resource_group", "azure.public_ip"]))
    assert [step.name for step in order.steps("azure-east", made, azure.KINDS)] == [
        "group",
        "network",
        "targets",
        "retire",
    ]


def test_a_number_in_use_is_not_given_again_before_its_group_is_gone() -> None:
    drifted = found(edits=[[azure.GROUP_KIND, "llm-azure-east-r1-1", "restart_policy", "Never"]])
    assert "llm-azure-east-r1-1" not in {resource.name for resource in resources({}, drifted)}


def test_the_definition_holds_what_a_group_is_made_from_and_not_how_many_or_who_may_reach_it() -> None:
    reached = {"allow_from": ["203.0.113.0/24"]}
    one, other = azure.definition(site()), azure.definition(site(network=reached, scale={"max": 9}))
    assert one == other
    assert one != azure.definition(site(sidecar=False))
    assert one != azure.definition(site(image="acme/llm:2"))
    assert one != azure.definition(site(environment={"A": "b"}))
    assert one != azure.definition(site(deploy={"hung_after": "30s"}))


def test_another_range_for_a_standing_network_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        azure.wanted(site(network={"cidr": "10.9.0.0/16"}), found(), 1, 2, DIGEST)
    assert str(caught.value) == (
        "sites.azure-east.network.cidr: the site's subnet is 10.64.0.0/18, which can't become 10.9.0.0/18; "
        "put the range back; or name the site anew, `arriero up`, and take the old one down"
    )


@pytest.mark.parametrize(
    ("cidr", "subnet"),
    [
        ("10.64.0.0/16", "10.64.0.0/18"),
        ("10.0.0.0/24", "10.0.0.0/26"),
        ("10.0.0.0/28", "10.0.0.0/29"),
        ("10.0.0.0/29", "10.0.0.0/29"),
    ],
)
def test_the_subnet_takes_the_first_quarter_and_never_less_than_azure_allows(cidr: str, subnet: str) -> None:
    assert azure.subnet_prefix(cidr) == subnet


def test_spares_come_after_what_serves_and_are_no_part_of_what_a_group_is() -> None:
    wish = {"spec": {"scale": {"spares": 2}, "image": "acme/llm:2"}, "release": 2, "digest": "ff"}
    made = changes(wish, found(spec={"scale": {"spares": 2}}))
    assert [step.name for step in order.steps("azure-east", made, azure.KINDS)] == ["targets", "spares", "retire"]
    assert set(order.LATE) == {"spares", "retire"}
    assert azure.definition(site(scale={"spares": 2})) == azure.definition(site())
    assert "Microsoft.StandbyPool" in azure.notes(site(scale={"spares": 2}))[-1]


def test_in_a_resource_group_of_somebody_else_no_spares_are_kept() -> None:
    foreign = [["azure.resource_group", "llm-azure-east", "details.ours", False]]
    with pytest.raises(Refused) as caught:
        azure.wanted(site(scale={"spares": 1}), found(edits=tuple(foreign)), 1, 2, DIGEST)
    assert str(caught.value) == (
        "sites.azure-east.scale.spares: the resource group llm-azure-east is not ours, and a tag of it would have to "
        "remember the standby pool; remove the line, or let arriero make the group"
    )


def test_the_plan_says_what_container_instances_cannot_do_or_does_another_way() -> None:
    log = "Container Instances keeps the last 4 MB of a container's log; logs.retention_days is not applied"
    assert azure.notes(site()) == (log,)
    assert azure.notes(site(deploy={"stop_within": "2m", "hung_after": "1m"})) == (
        log,
        "Container Instances gives a stopping server 30s; deploy.stop_within: 2m is not applied",
        "deploy.hung_after becomes a liveness probe, which azure_rm_containerinstance can't express: "
        "the groups are made by azure_rm_resource",
    )


def changes(wish: Mapping[str, Any], facts: SiteFacts) -> tuple[Change, ...]:
    reasons = azure.removal_reasons(*_arguments(wish, facts))
    return compare("azure-east", resources(wish, facts), facts.resources, azure.IMMUTABLE, reasons)


def resources(wish: Mapping[str, Any], facts: SiteFacts) -> tuple[Resource, ...]:
    return azure.wanted(*_arguments(wish, facts))


def _arguments(wish: Mapping[str, Any], facts: SiteFacts) -> tuple[ResolvedSite, SiteFacts, int, int, str]:
    digest = wish.get("digest", DIGEST)
    return site(**wish.get("spec", {})), facts, wish.get("release", 1), wish.get("count", 2), digest


def site(**spec: Any) -> ResolvedSite:
    own = {"cloud": "azure", "region": "eastus", **spec.pop("site", {})}
    base = {"name": "llm", "image": "acme/llm:1", "models": [{"name": "llama2:latest"}], "sites": {"azure-east": own}}
    return Spec.model_validate({**base, **spec}).site("azure-east")


def found(
    gone: tuple[str, ...] = (),
    edits: tuple[list[Any], ...] = (),
    more: tuple[str, ...] = (),
    spec: Mapping[str, Any] | None = None,
) -> SiteFacts:
    """A site as wished by `spec`, but for what the case says."""
    there = azure.wanted(site(**(spec or {})), NOTHING, 1, 2, DIGEST)
    there += tuple(_further(name, there[-1]) for name in more)
    there = tuple(r for r in there if r.name not in gone and r.kind not in gone)
    return replace(NOTHING, resources=tuple(_edited(r, edits) for r in there))


def _further(name: str, like: Resource) -> Resource:
    release = name.rsplit("-", 2)[1].removeprefix("r")
    tags = {**like.tags, "arriero-release": release}
    return replace(like, name=name, tags=tags, properties={**like.properties, "tags": tags})


def _edited(resource: Resource, edits: tuple[list[Any], ...]) -> Resource:
    for kind, name, path, value in edits:
        if (kind, name) != (resource.kind, resource.name):
            continue
        if path.startswith("details."):
            resource = replace(resource, details={path.removeprefix("details."): value})
        else:
            resource = replace(resource, properties=_with(resource.properties, path.split("."), value))
    return replace(resource, tags=dict(resource.properties.get("tags", {})))  # type: ignore[call-overload]


def _with(values: Mapping[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    inner = _with(values[path[0]], path[1:], value) if len(path) > 1 else value
    return {**values, path[0]: tuple(inner) if isinstance(inner, list) else inner}
