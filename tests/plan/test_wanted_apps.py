"""What a site at Azure with GPUs holds in place of container groups: an environment with the GPU, and apps in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from arriero.clouds.azure.variables import site_variables
from arriero.plan import place
from arriero.plan.model import Facts, Resource, SiteFacts, SitePlan
from arriero.plan.wanted import azure, azure_apps
from arriero.spec.model import ResolvedSite, Spec

T4, A100 = "Consumption-GPU-NC8as-T4", "Consumption-GPU-NC24-A100"
GPU = {"gpu": "T4"}


def spec(site: Any = None, **changes: Any) -> Spec:
    own = {"cloud": "azure", "region": "swedencentral", **(GPU if site is None else site)}
    given = {"name": "llm", "image": "acme/llm:1", "models": ["llama2"], "scale": {"min": 2}, "sites": {"north": own}}
    return Spec.model_validate({**given, **changes})


def planned(wish: Spec, *there: Resource) -> SitePlan:
    found = SiteFacts("north", "azure", "swedencentral", "subscription", there)
    return place.plan(wish, Facts("llm", {"north": found})).sites[0]


def resolved(**changes: Any) -> ResolvedSite:
    return spec(**changes).site("north")


def standing(plan: SitePlan) -> tuple[Resource, ...]:
    """What was planned, as it would be found: each app at its port."""
    ports = iter(range(azure_apps.FIRST_PORT, azure_apps.FIRST_PORT + 99))
    return tuple(
        replace(each, details={"port": next(ports)}) if each.kind == azure_apps.APP_KIND else each
        for each in plan.wanted
    )


def named(plan: SitePlan, kind: str) -> dict[str, Any]:
    return {each.name: each.properties for each in plan.wanted if each.kind == kind}


def test_each_target_is_an_app_of_its_own_with_one_replica_always() -> None:
    wanted = named(planned(spec()), azure_apps.APP_KIND)
    assert list(wanted) == ["llm-north-r1-1", "llm-north-r1-2"]
    app = wanted["llm-north-r1-1"]
    assert (app["replicas"], app["revisions"], app["profile"]) == ((1, 1), "single", T4)
    assert app["ingress"] == {"external": True, "transport": "tcp", "port": 11434}
    assert named(planned(spec()), azure.GROUP_KIND) == {}


@pytest.mark.parametrize(
    ("gpu", "sidecar", "sizes"),
    [
        ("T4", True, {"ollama": (7.75, 55.5), "sidecar": (0.25, 0.5)}),
        ("T4", False, {"ollama": (8.0, 56.0)}),
        ("A100", True, {"ollama": (23.75, 219.5), "sidecar": (0.25, 0.5)}),
    ],
)
def test_an_app_has_all_of_its_profile_and_ollama_comes_first(gpu: str, sidecar: bool, sizes: Any) -> None:
    app = named(planned(spec({"gpu": gpu}, sidecar=sidecar)), azure_apps.APP_KIND)["llm-north-r1-1"]
    assert {name: (each["cpu"], each["memory_gib"]) for name, each in app["containers"].items()} == sizes
    assert next(iter(app["containers"])) == "ollama"


def test_the_environment_is_inside_the_sites_network_and_has_the_profile() -> None:
    [environment] = named(planned(spec()), azure_apps.ENVIRONMENT_KIND).values()
    assert environment["profiles"] == ("Consumption", T4)
    assert (environment["subnet"], environment["is_internal"]) == ("llm-north/targets", True)
    [network] = named(planned(spec()), "azure.virtual_network").values()
    assert network["subnet"]["delegations"] == ("Microsoft.App/environments",)


def test_the_environment_comes_after_the_network_and_before_the_apps() -> None:
    assert [step.name for step in planned(spec()).steps] == ["group", "network", "environment", "targets"]


def test_the_security_group_lets_in_who_asks_and_what_the_environment_needs() -> None:
    [guard] = named(planned(spec()), "azure.network_security_group").values()
    assert guard["rules"] == {
        "allow-ollama": "100 inbound allow tcp from 10.64.0.0/16 to *:20000-21999,30000-32767",
        "allow-within": "110 inbound allow * from 10.64.0.0/18 to *:*",
        "allow-load-balancer": "120 inbound allow tcp from AzureLoadBalancer to *:30000-32767",
        "deny-the-rest": "4096 inbound deny * from * to *:*",
    }


def test_a_site_that_stands_as_wished_has_nothing_to_do() -> None:
    assert planned(spec(), *standing(planned(spec()))).changes == ()


def test_another_gpu_is_another_release_and_the_former_profile_stays() -> None:
    there = standing(planned(spec()))
    then = planned(spec({"gpu": "A100"}), *there)
    assert then.release == 2
    [environment] = named(then, azure_apps.ENVIRONMENT_KIND).values()
    assert environment["profiles"] == ("Consumption", A100, T4)
    assert list(named(then, azure_apps.APP_KIND)) == ["llm-north-r2-1", "llm-north-r2-2"]


@pytest.mark.parametrize(
    ("now", "then", "said"),
    [
        ({}, GPU, "the site stands on container groups, and can't move to container apps with GPUs"),
        (GPU, {}, "the site stands on container apps with GPUs, and can't move to container groups"),
    ],
)
def test_a_site_does_not_move_between_groups_and_apps(now: Any, then: Any, said: str) -> None:
    there = standing(planned(spec(now)))
    problem = planned(spec(then), *there).problem
    assert problem
    assert (problem.what, problem.key) == (said, "sites.north.gpu")
    assert planned(spec(now), *there).problem is None


@pytest.mark.parametrize(
    ("taken", "count", "free"),
    [
        ((), 2, [20000, 20001]),
        ((20000, 20001), 2, [20002, 20003]),
        ((20001,), 1, [20002]),  # 20000 was given back a moment ago
        ((20000,), 1, [20001]),  # which may have been given back a moment ago: nothing tells
        ((21999,), 2, [20000, 20001]),
        ((20000, 21999), 1, [20001]),
        ((11434,), 1, [20000]),
    ],
)
def test_a_port_below_the_highest_is_used_again_last(taken: tuple[int, ...], count: int, free: list[int]) -> None:
    assert azure_apps.free_ports(taken, count) == free


def test_the_role_gets_bodies_with_a_port_each_and_only_new_ones() -> None:
    before = planned(spec())
    wish, there = spec(scale={"min": 3}), standing(before)
    found = SiteFacts("north", "azure", "swedencentral", "subscription", there)
    values: Any = site_variables(wish.site("north"), planned(wish, *there), found)
    assert values["azure_site_environments"] == []
    [app] = values["azure_site_apps"]
    assert app["name"] == "llm-north-r1-3"
    properties = app["body"]["properties"]
    assert properties["configuration"]["ingress"]["exposedPort"] == 20002
    assert properties["environmentId"].endswith("/providers/Microsoft.App/managedEnvironments/llm-north")
    assert properties["template"]["scale"] == {"minReplicas": 1, "maxReplicas": 1}
    assert values["azure_site_groups"] == []


def test_a_plain_site_hands_over_neither_environment_nor_apps() -> None:
    wish = spec({})
    found = SiteFacts("north", "azure", "swedencentral", "subscription")
    values = site_variables(wish.site("north"), planned(wish), found)
    assert values["azure_site_environments"] == values["azure_site_apps"] == values["azure_site_retired_apps"] == []
    assert values["azure_site_delegation"] == {
        "name": "containers",
        "service": "Microsoft.ContainerInstance/containerGroups",
    }


@pytest.mark.parametrize(
    ("deploy", "said"),
    [
        ({"hung_after": "1m"}, "deploy.hung_after is not applied to container apps"),
        ({"stop_within": "11m"}, "Container Apps give a stopping server 600s at most"),
    ],
)
def test_the_plan_says_what_apps_do_not_do(deploy: Any, said: str) -> None:
    assert any(note.startswith(said) for note in azure.notes(resolved(deploy=deploy)))


@pytest.mark.parametrize(("stop_within", "seconds"), [("30s", 30), ("5m", 300), ("11m", 600)])
def test_a_stopping_app_is_given_the_time_that_was_asked_for(stop_within: str, seconds: int) -> None:
    assert azure_apps.definition(resolved(deploy={"stop_within": stop_within}))["stop_seconds"] == seconds
