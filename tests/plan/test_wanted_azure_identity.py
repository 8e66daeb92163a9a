"""An image that is pulled with an identity: what of groups and apps says so, and that all else stays as it was."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from arriero.plan import place
from arriero.plan.model import Facts, SiteFacts, SitePlan
from arriero.plan.wanted import azure, azure_apps
from arriero.spec.model import Spec

IDENTITY = (
    "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/LLM/providers"
    "/Microsoft.ManagedIdentity/userAssignedIdentities/llm-Pull"
)
NOTHING = SiteFacts("north", "azure", "swedencentral", account="0")


def spec(identity: str | None = IDENTITY, **site: Any) -> Spec:
    own = {"cloud": "azure", "region": "swedencentral", "registry_identity": identity, **site}
    whole = {"name": "llm", "image": "llmregistry.azurecr.io/acme/llm:1", "models": ["llama2"], "sites": {"north": own}}
    return Spec.model_validate(whole)


def planned(wish: Spec, found: SiteFacts = NOTHING) -> SitePlan:
    return place.plan(wish, Facts("llm", {"north": found})).sites[0]


@pytest.mark.parametrize(("site", "kind"), [({}, azure.GROUP_KIND), ({"gpu": "T4"}, azure_apps.APP_KIND)])
def test_each_target_has_the_identity_and_asks_the_images_registry_with_it(site: dict[str, Any], kind: str) -> None:
    targets = [each for each in planned(spec(**site)).wanted if each.kind == kind]
    assert targets
    for each in targets:
        assert each.properties["identities"] == (IDENTITY.lower(),)
        assert each.properties["registries"] == {"llmregistry.azurecr.io": IDENTITY.lower()}
    plain = planned(spec(None, **site))
    assert not any({"identities", "registries"} & each.properties.keys() for each in plain.wanted)


def test_with_another_identity_it_is_another_release() -> None:
    first = planned(spec())
    found = replace(NOTHING, resources=first.wanted, count=2)
    assert planned(spec(), found).steps == ()
    for wish in (spec(None), spec(IDENTITY.replace("llm-Pull", "other"))):
        digests = {place.definition_hash(azure.definition(each.site("north"))) for each in (spec(), wish)}
        assert len(digests) == 2


def test_a_group_whose_identity_a_hand_took_is_replaced() -> None:
    first = planned(spec())
    stripped = tuple(
        replace(each, properties={k: v for k, v in each.properties.items() if k != "identities"})
        if each.name.endswith("-1")
        else each
        for each in first.wanted
    )
    plan = planned(spec(), replace(NOTHING, resources=stripped, count=2))
    assert [(step.name, change.action, change.name) for step in plan.steps for change in step.changes] == [
        ("targets", "create", "llm-north-r1-3"),
        ("retire", "remove", "llm-north-r1-1"),
    ]
    [gone] = [change for step in plan.steps for change in step.changes if change.action == "remove"]
    assert "identities" in gone.reason
