"""What a private site in Azure wishes for beside the storage of its models: a way of its own there, and no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from arriero.plan import place
from arriero.plan.model import Facts, Resource, SiteFacts, SitePlan, Value
from arriero.plan.wanted import azure_files, azure_private
from arriero.spec.model import Spec

BIG = {"name": "llama2:70b", "from": "storage"}
NOTHING = SiteFacts("east", "azure", "eastus", account="0")
KINDS = set(azure_private.KINDS)


def spec(*models: Any, mode: str = "private", **more: Any) -> Spec:
    site = {"cloud": "azure", "region": "eastus"}
    whole = {"name": "llm", "image": "acme/llm:1", "models": ["llama2", *models], "sites": {"east": site}}
    return Spec.model_validate({**whole, "network": {"mode": mode, **more}})


def planned(wish: Spec, found: SiteFacts = NOTHING) -> SitePlan:
    return place.plan(wish, Facts("llm", {"east": found})).sites[0]


def standing(wish: Spec) -> SiteFacts:
    return replace(NOTHING, resources=planned(wish).wanted)


def without(found: SiteFacts, kind: str) -> SiteFacts:
    return replace(found, resources=tuple(each for each in found.resources if each.kind != kind))


def changed(found: SiteFacts, kind: str, **values: Value) -> SiteFacts:
    """The site with some of the properties of that kind set by a hand."""
    resources = (
        replace(each, properties={**each.properties, **values}) if each.kind == kind else each
        for each in found.resources
    )
    return replace(found, resources=tuple(resources))


def told(plan: SitePlan) -> list[tuple[str, str, str, str]]:
    return [(step.name, change.action, change.kind, change.reason) for step in plan.steps for change in step.changes]


def account(plan: SitePlan) -> Resource:
    return next(each for each in plan.wanted if each.kind == azure_files.ACCOUNT_KIND)


def test_the_endpoint_is_made_between_the_storage_and_what_is_put_there() -> None:
    plan = planned(spec(BIG))
    assert [step.name for step in plan.steps] == ["group", "network", "storage", "endpoints", "seed", "targets"]
    endpoint = next(each for each in plan.wanted if each.kind == azure_private.ENDPOINT_KIND)
    assert endpoint.properties["target"] == account(plan).name
    assert account(plan).properties["public_access"] is False
    assert (
        "the storage of models is reached through a private endpoint alone: $7.30 a month and $0.01 a GB" in plan.notes
    )


@pytest.mark.parametrize(
    ("wish", "has_account"), [(spec(BIG, mode="public"), True), (spec(), False), (spec(mode="public"), False)]
)
def test_no_other_site_has_one(wish: Spec, has_account: bool) -> None:
    plan = planned(wish)
    assert not KINDS & {each.kind for each in plan.wanted}
    assert not [note for note in plan.notes if "private endpoint" in note]
    assert [each.properties["public_access"] for each in plan.wanted if each.kind == azure_files.ACCOUNT_KIND] == [
        True
    ] * has_account


def test_a_site_that_has_all_of_it_needs_nothing() -> None:
    assert planned(spec(BIG), standing(spec(BIG))).steps == ()


def endpoint_with(**values: Value) -> Callable[[SiteFacts], SiteFacts]:
    return lambda found: changed(found, azure_private.ENDPOINT_KIND, **values)


@pytest.mark.parametrize(
    ("by_hand", "says"),
    [
        (
            lambda found: without(found, azure_private.ENDPOINT_KIND),
            ("endpoints", "create", azure_private.ENDPOINT_KIND, "it is not there"),
        ),
        (
            endpoint_with(connection="rejected"),
            (
                "endpoints",
                "replace",
                azure_private.ENDPOINT_KIND,
                "connection: is rejected, should be approved",
            ),
        ),
        (
            endpoint_with(part="blob"),
            ("endpoints", "replace", azure_private.ENDPOINT_KIND, "part: is blob, should be file"),
        ),
        (
            endpoint_with(zones=()),
            (
                "endpoints",
                "update",
                azure_private.ENDPOINT_KIND,
                "zones: is [], should be [privatelink.file.core.windows.net]",
            ),
        ),
        (
            lambda found: changed(found, azure_private.ZONE_KIND, networks=()),
            ("endpoints", "update", azure_private.ZONE_KIND, "networks: is [], should be [llm-east]"),
        ),
        (
            lambda found: changed(found, azure_files.ACCOUNT_KIND, public_access=True),
            ("storage", "update", azure_files.ACCOUNT_KIND, "public_access: is True, should be False"),
        ),
    ],
)
def test_what_a_hand_changed_is_a_difference(
    by_hand: Callable[[SiteFacts], SiteFacts], says: tuple[str, str, str, str]
) -> None:
    assert told(planned(spec(BIG), by_hand(standing(spec(BIG))))) == [says]


def test_a_site_that_opens_opens_its_storage_before_the_endpoint_goes() -> None:
    plan = planned(spec(BIG, mode="public"), standing(spec(BIG)))
    steps = {step.name: step.changes for step in plan.steps}
    assert [change.reason for change in steps["storage"]] == ["public_access: is False, should be True"]
    assert {change.kind for change in steps["retire"]} == KINDS
    assert list(steps).index("storage") < list(steps).index("retire")


def test_a_site_without_stored_models_keeps_them_closed_and_loses_the_endpoint() -> None:
    plan = planned(spec(), standing(spec(BIG)))
    assert {change.kind for step in plan.steps if step.name == "retire" for change in step.changes} > KINDS
    assert not [change for change in plan.changes if change.kind == azure_files.ACCOUNT_KIND]


@pytest.mark.parametrize(
    ("cidr", "prefix"), [("10.64.0.0/16", "10.64.255.240/28"), ("192.168.8.0/24", "192.168.8.240/28")]
)
def test_its_subnet_is_the_end_of_the_sites_range(cidr: str, prefix: str) -> None:
    subnet = next(each for each in planned(spec(BIG, cidr=cidr)).wanted if each.kind == azure_private.SUBNET_KIND)
    assert subnet.properties["prefix"] == prefix


def test_a_resource_group_of_somebody_else_gets_no_zone() -> None:
    group = Resource("azure.resource_group", "llm-east", {"location": "eastus"}, details={"ours": False})
    found = replace(NOTHING, resources=(group,))
    assert str(planned(spec(BIG), found).problem) == (
        "sites.east.network: the resource group llm-east is not the service's own, and DNS zones of private endpoints "
        "in it may lead others; give the group the tags arriero-service and arriero-site if it is; or name the site "
        "anew, or write network: public"
    )
    assert planned(spec(BIG, mode="public"), found).problem is None


TOKEN = "https://llm-vault.vault.azure.net/secrets/hf/" + "0" * 32
LOGIN = "https://other-vault.vault.azure.net/secrets/login"
VAULTS = tuple(Resource(azure_private.VAULT_KIND, name, id=f"/{name}") for name in ("llm-vault", "other-vault"))


def secretive(*models: Any) -> Spec:
    """A private site that has its secrets from two vaults, and a way to each."""
    own = {"cloud": "azure", "region": "eastus", "environment_from": {"HF_TOKEN": TOKEN}}
    login = {} if models else {"registry_login": LOGIN}
    whole = {"name": "llm", "image": "acme/llm:1", "models": ["llama2", *models], "sites": {"east": {**own, **login}}}
    return Spec.model_validate({**whole, "network": {"mode": "private", "private_endpoints": ["vault"]}})


def knowing(*vaults: Resource) -> SiteFacts:
    return replace(NOTHING, given=vaults, secrets={TOKEN: "0" * 32, LOGIN: "1" * 32})


def test_each_vault_that_the_spec_asks_for_has_an_endpoint_in_one_zone() -> None:
    plan = planned(secretive(), knowing(*VAULTS))
    made = [each for each in plan.wanted if each.kind in KINDS]
    assert [(each.kind, each.name) for each in made] == [
        (azure_private.SUBNET_KIND, "endpoints"),
        (azure_private.ZONE_KIND, "privatelink.vaultcore.azure.net"),
        (azure_private.ENDPOINT_KIND, "llm-east-vault-llm-vault"),
        (azure_private.ENDPOINT_KIND, "llm-east-vault-other-vault"),
    ]
    assert [each.properties["part"] for each in made[2:]] == ["vault", "vault"]
    price = "$7.30 a month and $0.01 a GB"
    said = f"llm-vault, other-vault: reached from the site's network through a private endpoint, too: {price} each"
    assert said in plan.notes


def test_storage_and_vault_are_led_to_side_by_side() -> None:
    plan = planned(secretive(BIG), knowing(*VAULTS))
    zones = [azure_private.FILES_ZONE, azure_private.VAULT_ZONE]
    assert [each.name for each in plan.wanted if each.kind == azure_private.ZONE_KIND] == zones


def test_without_the_key_a_vault_is_reached_as_ever() -> None:
    own = {"cloud": "azure", "region": "eastus", "environment_from": {"HF_TOKEN": TOKEN}}
    whole = {"name": "llm", "image": "acme/llm:1", "models": ["llama2"], "sites": {"east": own}}
    plan = planned(Spec.model_validate({**whole, "network": "private"}), knowing())
    assert not KINDS & {each.kind for each in plan.wanted}


HOST = "llmregistry.azurecr.io"
IDENTITY = (
    "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/llm/providers"
    "/Microsoft.ManagedIdentity/userAssignedIdentities/llm-pull"
)


def pulling(*models: Any) -> Spec:
    own = {"cloud": "azure", "region": "eastus", "registry_identity": IDENTITY}
    whole = {"name": "llm", "image": f"{HOST}/acme/llm:1", "models": ["llama2", *models], "sites": {"east": own}}
    return Spec.model_validate({**whole, "network": {"mode": "private", "private_endpoints": ["registry"]}})


def a_registry(tier: str = "Premium") -> Resource:
    return Resource(azure_private.REGISTRY_KIND, HOST, id="/registries/LLMRegistry", details={"sku": tier})


def test_the_registry_has_an_endpoint_before_anything_is_pulled_from_it() -> None:
    plan = planned(pulling(BIG), knowing(a_registry()))
    assert [step.name for step in plan.steps] == ["group", "network", "storage", "endpoints", "seed", "targets"]
    made = [each for each in plan.wanted if each.kind == azure_private.ENDPOINT_KIND]
    assert [(each.name, each.properties["target"], each.properties["part"]) for each in made[1:]] == [
        ("llm-east-registry", "llmregistry", "registry")
    ]
    assert made[1].properties["zones"] == ("privatelink.azurecr.io",)
    price = "$7.30 a month and $0.01 a GB"
    assert f"the image is pulled from {HOST} through a private endpoint: {price}" in plan.notes


@pytest.mark.parametrize(
    ("known", "says"),
    [
        (
            (),
            "the subscription 0 has no registry llmregistry.azurecr.io, to which a private endpoint could lead; "
            "correct image.registries.azure; or remove registry there: one of another subscription is reached as it is "
            "without one",
        ),
        (
            (a_registry("Basic"),),
            "the registry llmregistry.azurecr.io is of the tier Basic, and only Premium has private endpoints; az acr "
            "update --name LLMRegistry --sku Premium; or remove registry there",
        ),
    ],
)
def test_a_registry_that_can_have_none_is_refused(known: tuple[Resource, ...], says: str) -> None:
    assert str(planned(pulling(), knowing(*known)).problem) == f"sites.east.network.private_endpoints: {says}"


def test_a_vault_that_is_not_in_the_subscription_is_refused() -> None:
    assert str(planned(secretive(), knowing(VAULTS[0])).problem) == (
        "sites.east.network.private_endpoints: the subscription 0 has no vault other-vault, to which a private "
        "endpoint could lead; correct the reference; or remove vault there: a vault of another subscription is reached "
        "as it is without one"
    )
