"""Private endpoints as they are read, and what the role is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, cast

import pytest
from azure_sites import REF, planned, site

from arriero.clouds import read as clouds
from arriero.clouds.azure import private_link, variables
from arriero.clouds.azure.connection import Arm
from arriero.plan.model import Resource, SiteFacts
from arriero.plan.wanted import azure_files
from arriero.plan.wanted import azure_private as wish
from arriero.spec.model import ResolvedSite

EMPTY = SiteFacts("azure-east", "azure", "eastus", account="0000")
BIG = {"name": "llama2:70b", "from": "storage"}
TOKEN = "https://llm-vault.vault.azure.net/secrets/hf/" + "0" * 32
PLACE = "/resourceGroups/llm-azure-east/providers/Microsoft.Network"
NETWORK = f"/subscriptions/0000{PLACE}/virtualNetworks/llm-azure-east"
ZONE = f"{PLACE}/privateDnsZones/{wish.FILES_ZONE}"
ENDPOINTS = f"{PLACE}/privateEndpoints"
ENDPOINT = f"{ENDPOINTS}/llm-azure-east-files"
VAULT = Resource(wish.VAULT_KIND, "llm-vault", id="/subscriptions/0000/keys/llm-vault")


def private(mode: str = "private") -> ResolvedSite:
    return site(models=["llama2", BIG], network={"mode": mode})


def standing() -> SiteFacts:
    return replace(EMPTY, resources=planned(private(), EMPTY).wanted)


def without(found: SiteFacts, kind: str) -> SiteFacts:
    return replace(found, resources=tuple(each for each in found.resources if each.kind != kind))


def opened(found: SiteFacts) -> SiteFacts:
    """The same with its storage open to public networks."""
    return replace(
        found,
        resources=tuple(
            replace(each, properties={**each.properties, "public_access": True})
            if each.kind == azure_files.ACCOUNT_KIND
            else each
            for each in found.resources
        ),
    )


class Answers:
    """What Resource Manager has, by path; notes what it is asked for."""

    def __init__(self, known: Mapping[str, Any]) -> None:
        self.known, self.asked = known, list[str]()

    def get(self, path: str, version: str) -> Any:
        self.asked.append(path)
        return self.known.get(path)

    def list(self, path: str, version: str) -> Any:
        return self.get(path, version) or []


def network(*subnets: dict[str, Any]) -> dict[str, Any]:
    space = {"addressPrefixes": ["10.64.0.0/16"]}
    return {"id": NETWORK, "name": "llm-azure-east", "properties": {"addressSpace": space, "subnets": list(subnets)}}


SUBNET = {
    "name": "endpoints",
    "id": f"{NETWORK}/subnets/endpoints",
    "properties": {"addressPrefix": "10.64.255.240/28"},
}
THEIRS = {"name": "endpoints", "id": f"{NETWORK}/subnets/endpoints", "properties": {"addressPrefix": "10.64.128.0/24"}}
TARGETS = {"name": "targets", "id": f"{NETWORK}/subnets/targets", "properties": {"addressPrefix": "10.64.0.0/18"}}


def everything(status: str = "Approved", linked: str = NETWORK, kind: str = "privateLink") -> dict[str, Any]:
    account = azure_files.account_name("0000", "llm-azure-east")
    connection = {
        "privateLinkServiceId": f"/subscriptions/0000/x/storageAccounts/{account}",
        "groupIds": ["file"],
        "privateLinkServiceConnectionState": {"status": status},
    }
    properties = {
        "subnet": {"id": f"{NETWORK}/subnets/endpoints"},
        f"{kind}ServiceConnections": [{"name": "files", "properties": connection}],
    }
    config = {"properties": {"privateDnsZoneId": f"/subscriptions/0000{ZONE}"}}
    return {
        f"{PLACE}/privateDnsZones": [
            {"id": ZONE, "name": wish.FILES_ZONE, "tags": {}},
            {"id": f"{PLACE}/privateDnsZones/theirs.example", "name": "theirs.example", "tags": {}},
        ],
        f"{ZONE}/virtualNetworkLinks/llm-azure-east": {"properties": {"virtualNetwork": {"id": linked}}},
        ENDPOINTS: [
            {"id": ENDPOINT, "name": "llm-azure-east-files", "properties": properties},
            {"id": f"{ENDPOINTS}/theirs", "name": "theirs", "properties": {}},
        ],
        f"{ENDPOINT}/privateDnsZoneGroups/default": {"properties": {"privateDnsZoneConfigs": [config]}},
    }


def read(known: Mapping[str, Any], found: dict[str, Any] | None) -> tuple[list[Resource], list[str]]:
    arm = Answers(known)
    with ThreadPoolExecutor() as pool:
        reading = private_link.read(cast(Arm, arm), REF, pool, found)
        return list(reading.resources() if reading else ()), arm.asked


def test_what_stands_is_read_as_it_is_wished() -> None:
    resources, asked = read(everything(), network(TARGETS, SUBNET))
    wished = {each.kind: each.properties for each in planned(private(), EMPTY).wanted}
    assert {each.kind: each.properties for each in resources} == {kind: wished[kind] for kind in wish.KINDS}
    assert len(asked) == 4


@pytest.mark.parametrize("found", [None, network(), network(TARGETS), network(TARGETS, THEIRS)])
def test_a_network_without_that_subnet_costs_no_request(found: dict[str, Any] | None) -> None:
    assert read(everything(), found) == ([], [])


@pytest.mark.parametrize(
    ("known", "says"),
    [
        (everything(status="Rejected"), {"connection": "rejected"}),
        (everything(status="Pending", kind="manualPrivateLink"), {"connection": "pending"}),
        (everything(linked=""), {"networks": ()}),
        (everything(linked="/subscriptions/1/other"), {"networks": ("/subscriptions/1/other",)}),
        ({**everything(), f"{ENDPOINT}/privateDnsZoneGroups/default": None}, {"zones": ()}),
    ],
)
def test_what_is_not_as_wished_is_told(known: Mapping[str, Any], says: Mapping[str, Any]) -> None:
    resources, _ = read(known, network(SUBNET))
    values = {name: value for each in resources for name, value in each.properties.items()}
    assert {name: values[name] for name in says} == says


@pytest.mark.parametrize(
    ("mode", "found", "access", "closes"),
    [
        ("private", EMPTY, "Disabled", False),  # made closed: nobody mounts it yet
        ("private", standing(), "Disabled", False),
        ("private", opened(standing()), "Disabled", False),
        ("private", opened(without(standing(), wish.ENDPOINT_KIND)), "", True),  # targets mount it until there is a way
        ("private", without(standing(), wish.ENDPOINT_KIND), "Disabled", False),
        ("public", EMPTY, "", False),
        ("public", opened(standing()), "", False),
        ("public", standing(), "Enabled", False),
        ("public", replace(EMPTY, kept=standing().resources), "Enabled", False),  # what `down` left
    ],
)
def test_a_storage_is_closed_when_there_is_another_way_to_it(
    mode: str, found: SiteFacts, access: str, closes: bool
) -> None:
    wanted = private(mode)
    values: Any = variables.site_variables(wanted, planned(wanted, found), found)
    [place] = values["azure_site_storages"]
    assert (place["access"], place["closes"]) == (access, closes)


def test_a_connection_that_was_refused_and_a_link_that_leads_elsewhere_are_made_anew() -> None:
    resources, _ = read(everything(status="Rejected", linked="/subscriptions/1/other"), network(SUBNET))
    rest = [each for each in standing().resources if each.kind not in wish.KINDS]
    found = replace(EMPTY, resources=(*rest, *resources))
    values: Any = variables.site_variables(private(), planned(private(), found), found)
    assert values["azure_site_steps"] == ["endpoints"]
    assert values["azure_site_renewed_endpoints"] == ["llm-azure-east-files"]
    assert values["azure_site_renewed_links"] == [wish.FILES_ZONE]


def test_a_site_without_one_tells_the_role_of_none() -> None:
    values: Any = variables.site_variables(site(), planned(site(), EMPTY), EMPTY)
    assert [values[f"azure_site_{each}"] for each in ("private_endpoints", "renewed_endpoints", "renewed_links")] == [
        [],
        [],
        [],
    ]


def test_a_resource_group_that_lost_its_tags_keeps_nothing_of_it() -> None:
    ours = {"arriero-service": "llm", "arriero-site": "azure-east"}
    group = Resource("azure.resource_group", "llm-azure-east", details={"ours": False})
    things = [replace(each, tags=ours) for each in standing().resources if each.kind in wish.KINDS]
    found = replace(EMPTY, resources=(group, *things))
    parts: Any = variables.removal_variables(found, purge=False)["azure_site_parts"]
    assert [(part["type"], part["name"]) for part in parts] == [
        ("privateEndpoints", "llm-azure-east-files"),
        ("privateDnsZones", f"{wish.FILES_ZONE}/virtualNetworkLinks/llm-azure-east"),
        ("privateDnsZones", wish.FILES_ZONE),
    ]


def with_a_vault() -> ResolvedSite:
    own = {"environment_from": {"HF_TOKEN": TOKEN}, "network": {"private_endpoints": ["vault"]}}
    return site(site=own, network={"mode": "private"})


def test_a_vault_is_led_to_by_its_id_without_any_stored_model() -> None:
    found = replace(EMPTY, given=(VAULT,), secrets={TOKEN: "0" * 32})
    plan = planned(with_a_vault(), found)
    values: Any = variables.site_variables(with_a_vault(), plan, found)
    assert [step.name for step in plan.steps] == ["group", "network", "endpoints", "targets"]
    assert values["azure_site_private_zones"] == [wish.VAULT_ZONE]
    assert values["azure_site_private_endpoints"] == [
        {
            "name": "llm-azure-east-vault-llm-vault",
            "target": "/subscriptions/0000/keys/llm-vault",
            "part": "vault",
            "zone": wish.VAULT_ZONE,
        }
    ]


def test_vaults_are_looked_for_only_where_one_is_led_to() -> None:
    listing = "/providers/Microsoft.KeyVault/vaults"
    arm = Answers({listing: [{"name": "llm-vault", "id": "/llm-vault"}, {"name": "other", "id": "/other"}]})
    assert [each.id for each in private_link.vaults(cast(Arm, arm), ("llm-vault",))] == ["/llm-vault"]
    assert private_link.vaults(cast(Arm, arm), ()) == ()
    assert arm.asked == [listing]


def test_a_vault_that_was_named_with_capitals_is_the_one_of_the_reference() -> None:
    arm = Answers({"/providers/Microsoft.KeyVault/vaults": [{"name": "LLM-Vault", "id": "/vaults/LLM-Vault"}]})
    [vault] = private_link.vaults(cast(Arm, arm), ("llm-vault",))
    assert (vault.name, vault.id) == ("llm-vault", "/vaults/LLM-Vault")
    known = everything()
    [made] = known[ENDPOINTS][0]["properties"]["privateLinkServiceConnections"]
    made["properties"]["privateLinkServiceId"] = vault.id
    resources, _ = read(known, network(SUBNET))
    assert [each.properties["target"] for each in resources if each.kind == wish.ENDPOINT_KIND] == ["llm-vault"]


def test_the_reference_to_a_site_names_its_vaults_only_if_it_asks_for_them() -> None:
    assert clouds._ref(with_a_vault()).vaults == ("llm-vault",)
    assert clouds._ref(private()).vaults == ()


HOST = "llmregistry.azurecr.io"
REGISTRIES = "/providers/Microsoft.ContainerRegistry/registries"
REGISTRY = f"/subscriptions/0000/resourceGroups/keys{REGISTRIES}/LLMRegistry"


def listed(host: str, path: str, tier: str = "Premium") -> dict[str, Any]:
    return {"id": path, "name": path.rpartition("/")[2], "sku": {"name": tier}, "properties": {"loginServer": host}}


def pulling() -> ResolvedSite:
    of_identities = "/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
    identity = f"/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/llm{of_identities}/llm-pull"
    own = {"registry_identity": identity, "network": {"private_endpoints": ["registry"]}}
    return site(image=f"{HOST}/acme/llm:1", site=own, network={"mode": "private"})


def test_a_registry_is_looked_for_by_its_login_server_only_where_one_is_led_to() -> None:
    arm = Answers({REGISTRIES: [listed("other.azurecr.io", "/other"), listed(HOST, REGISTRY)]})
    [found] = private_link.registries(cast(Arm, arm), HOST)
    assert (found.name, found.id, found.details["sku"]) == (HOST, REGISTRY, "Premium")
    assert private_link.registries(cast(Arm, arm), "") == ()
    assert arm.asked == [REGISTRIES]
    assert (clouds._ref(pulling()).registry, clouds._ref(with_a_vault()).registry) == (HOST, "")


def test_a_registry_is_led_to_by_its_id() -> None:
    known = Resource(wish.REGISTRY_KIND, HOST, id=REGISTRY, details={"sku": "Premium"})
    found = replace(EMPTY, given=(known,))
    values: Any = variables.site_variables(pulling(), planned(pulling(), found), found)
    assert values["azure_site_private_zones"] == [wish.REGISTRY_ZONE]
    assert values["azure_site_private_endpoints"] == [
        {"name": "llm-azure-east-registry", "target": REGISTRY, "part": "registry", "zone": wish.REGISTRY_ZONE}
    ]
