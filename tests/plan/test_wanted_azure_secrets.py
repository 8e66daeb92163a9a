"""Secrets that container groups get by reference: in the definition their addresses, at each group their versions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from arriero.clouds.azure import variables
from arriero.errors import Problem, Refused
from arriero.plan import place
from arriero.plan.model import Facts, SiteFacts, SitePlan
from arriero.plan.wanted import azure as wish
from arriero.plan.wanted import azure_secrets
from arriero.spec.model import ResolvedSite, Spec

VAULT = "https://llm-vault.vault.azure.net/secrets"
TOKEN, LOGIN = f"{VAULT}/hf", f"{VAULT}/registry"
OLD, NEW, OTHER = "0a" * 16, "4e" * 16, "99" * 16
PINNED = f"{TOKEN}/{OTHER}"
GIVEN = {"environment_from": {"HF_TOKEN": TOKEN}, "registry_login": LOGIN}
EMPTY = SiteFacts("east", "azure", "eastus", account="0000", secrets={TOKEN: OLD, LOGIN: OLD})


def spec(**site: Any) -> Spec:
    where = {"cloud": "azure", "region": "eastus", **site}
    image = "registry.example.com/acme/llm:1"
    return Spec.model_validate({"name": "llm", "image": image, "models": ["llama2"], "sites": {"east": where}})


def site(**more: Any) -> ResolvedSite:
    return spec(**more).site("east")


def planned(found: SiteFacts, **more: Any) -> SitePlan:
    return place.plan(spec(**more), Facts("llm", {"east": found})).sites[0]


def standing(**more: Any) -> SiteFacts:
    """As after `arriero up`."""
    return replace(EMPTY, resources=planned(EMPTY, **more).wanted, count=2)


def groups(plan: SitePlan) -> list[Any]:
    return [resource for resource in plan.wanted if resource.kind == wish.GROUP_KIND]


def changes(plan: SitePlan) -> list[tuple[str, str, str]]:
    return [(change.action, change.name, change.reason) for change in plan.changes]


def test_ollama_gets_the_versions_and_its_sidecar_none() -> None:
    first = groups(planned(EMPTY, **GIVEN))[0]
    assert first.properties["containers"]["ollama"]["secrets"] == {"HF_TOKEN": f"llm-vault/hf/{OLD}"}
    assert "secrets" not in first.properties["containers"]["sidecar"]
    assert first.properties["login"] == {"server": "registry.example.com", "secret": f"llm-vault/registry/{OLD}"}
    tags = {"arriero-secret-HF_TOKEN": f"llm-vault/hf/{OLD}", "arriero-registry-login": f"llm-vault/registry/{OLD}"}
    assert tags.items() <= first.tags.items()


def test_the_role_is_told_where_values_are_and_the_body_holds_none() -> None:
    plan = planned(EMPTY, **GIVEN)
    values: Any = variables.site_variables(site(**GIVEN), plan, EMPTY)
    first = values["azure_site_groups"][0]
    place_ = {"vault": "llm-vault", "name": "hf", "version": OLD}
    assert first["secrets"] == [{"container": "ollama", "variable": "HF_TOKEN", **place_}]
    assert first["login"] == {"server": "registry.example.com", **place_, "name": "registry"}
    ollama = first["body"]["properties"]["containers"][0]["properties"]
    assert "HF_TOKEN" not in {each["name"] for each in ollama["environmentVariables"]}


def test_the_plan_names_one_module_whatever_else_the_groups_hold() -> None:
    given: dict[str, Any] = {"models": [{"name": "llama2", "from": "storage"}], "deploy": {"hung_after": "1m"}}
    given["logs"] = {"to_workspace": True}
    secret = {"cloud": "azure", "region": "eastus", "environment_from": {"HF_TOKEN": TOKEN}}
    whole = Spec.model_validate({"name": "llm", "image": "acme/llm:1", "sites": {"east": secret}, **given})
    said = [note for note in wish.notes(whole.site("east")) if "the groups are made by" in note]
    assert len(said) == 4
    assert all("the groups are made by arriero.fleet.container_group" in note for note in said)


def test_what_stands_as_wished_stays() -> None:
    assert changes(planned(standing(**GIVEN), **GIVEN)) == []


def test_a_new_version_is_a_new_group_of_the_same_release_and_is_called_so() -> None:
    found = replace(standing(**GIVEN), secrets={TOKEN: NEW, LOGIN: OLD})
    plan = planned(found, **GIVEN)
    said = "HF_TOKEN: the secret hf in llm-vault has a new version: 4e4e4e4e, after 0a0a0a0a"
    assert changes(plan) == [
        ("create", "llm-east-r1-3", "it is not there"),
        ("create", "llm-east-r1-4", "it is not there"),
        ("remove", "llm-east-r1-1", said),
        ("remove", "llm-east-r1-2", said),
    ]
    found = replace(standing(**GIVEN), secrets={TOKEN: OLD, LOGIN: NEW})
    reason = changes(planned(found, **GIVEN))[-1][2]
    assert (
        reason == "the registry's login: the secret registry in llm-vault has a new version: 4e4e4e4e, after 0a0a0a0a"
    )


def test_a_version_that_is_named_stays_whatever_comes_after_it() -> None:
    given = {"environment_from": {"HF_TOKEN": PINNED}}
    blind = replace(EMPTY, secrets={})
    found = replace(blind, resources=planned(blind, **given).wanted, count=2, secrets={PINNED: NEW})
    assert changes(planned(found, **given)) == []
    [first, _] = groups(planned(found, **given))
    assert first.tags["arriero-secret-HF_TOKEN"] == f"llm-vault/hf/{OTHER}"


def test_another_reference_is_another_release_and_so_is_none() -> None:
    found = standing(**GIVEN)
    for given in ({"environment_from": {"HF_TOKEN": PINNED}}, {"environment_from": {"TOKEN": TOKEN}}, {}):
        plan = planned(found, **given)
        assert plan.release == 2
        assert {reason for action, _, reason in changes(plan) if action == "remove"} == {
            "it runs release 1, and release 2 takes its place"
        }


def test_a_vault_that_can_not_be_asked_changes_nothing_that_stands_and_is_named() -> None:
    why = Problem("this login may not read hf in llm-vault", "give it a role")
    found = replace(standing(**GIVEN), secrets={TOKEN: why, LOGIN: OLD})
    plan = planned(found, **GIVEN)
    assert changes(plan) == []
    assert plan.notes[-1] == (
        "llm-vault/hf: whether it has a new version is not known (this login may not read hf in llm-vault; give it a "
        "role); groups keep what they have"
    )


@pytest.mark.parametrize("version", ["", "new", "../../keys/hf", OLD[1:]])
def test_a_tag_that_names_no_version_is_kept_by_nobody(version: str) -> None:
    found = standing(**GIVEN)
    odd = {"arriero-secret-HF_TOKEN": f"llm-vault/hf/{version}"}
    touched = tuple(replace(each, tags={**each.tags, **odd}) for each in found.resources)
    why = Problem("this login may not read it", "give it a role")
    with pytest.raises(Refused, match=r"sites\.east\.environment_from\.HF_TOKEN: llm-vault/hf: this login may not"):
        azure_secrets.wanted(site(**GIVEN), replace(found, resources=touched, secrets={TOKEN: why, LOGIN: OLD}), 1)


def test_nothing_is_made_of_a_secret_that_nobody_could_look_up() -> None:
    found = replace(EMPTY, secrets={TOKEN: Problem("llm-vault has no secret hf", "put it there"), LOGIN: OLD})
    plan = planned(found, **GIVEN)
    assert plan.problem == Problem(
        "llm-vault/hf: llm-vault has no secret hf", "put it there", "sites.east.environment_from.HF_TOKEN"
    )
    assert plan.steps == ()
    with pytest.raises(Refused, match=r"sites\.east\.registry_login: llm-vault/registry: was not looked up"):
        azure_secrets.wanted(site(registry_login=LOGIN), replace(EMPTY, secrets={}), 1)
    assert azure_secrets.wanted(site(**GIVEN), replace(EMPTY, secrets={}), 0).keys() == {
        "arriero-secret-HF_TOKEN",
        "arriero-registry-login",
    }


@pytest.mark.parametrize(
    ("image", "server"),
    [
        ("registry.example.com/acme/llm:1", "registry.example.com"),
        ("localhost:5000/llm", "localhost:5000"),
        ("acme/llm:1", "index.docker.io"),
        ("llm", "index.docker.io"),
    ],
)
def test_a_login_is_for_the_registry_that_the_image_is_in(image: str, server: str) -> None:
    assert azure_secrets.server(image) == server
