"""Private endpoints of the emulated Azure: what it refuses, what it tells, and whom it lets mount a closed share."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from running_azure import container, group

from arriero.rehearse.azure import accounts, resources, router
from arriero.rehearse.azure.answers import Answer, ArmError, Request
from arriero.rehearse.azure.faults import Faults
from arriero.rehearse.azure.ids import ResourceId
from arriero.rehearse.azure.world import SUBSCRIPTION, World

RG = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
ACCOUNT = f"{RG}/providers/Microsoft.Storage/storageAccounts/models1"
NETWORK = f"{RG}/providers/Microsoft.Network/virtualNetworks/net"
ZONE = f"{RG}/providers/Microsoft.Network/privateDnsZones/privatelink.file.core.windows.net"
LINK = f"{ZONE}/virtualNetworkLinks/net"
ENDPOINT = f"{RG}/providers/Microsoft.Network/privateEndpoints/models"
NAMES = f"{ENDPOINT}/privateDnsZoneGroups/default"
GROUP = f"{RG}/providers/Microsoft.ContainerInstance/containerGroups/g"
VERSIONS = {
    "Microsoft.Storage": "2023-05-01",
    "Microsoft.KeyVault": "2023-07-01",
    "Microsoft.ContainerInstance": "2025-09-01",
    "Microsoft.ContainerRegistry": "2023-07-01",
    "Microsoft.ManagedIdentity": "2023-01-31",
}


@pytest.fixture
def world(world: World) -> World:
    """A resource group with a closed storage, a share in it, and a network of two subnets."""
    closed = {"sku": {"name": "Standard_LRS"}, "kind": "StorageV2", "properties": {"publicNetworkAccess": "Disabled"}}
    put(world, ACCOUNT, {"location": "eastus", **closed})
    put(world, f"{ACCOUNT}/fileServices/default/shares/models", {"properties": {"shareQuota": 5}})
    delegation = {
        "name": "containers",
        "properties": {"serviceName": "Microsoft.ContainerInstance/containerGroups"},
    }
    subnets = [
        {"name": "targets", "properties": {"addressPrefix": "10.0.0.0/18", "delegations": [delegation]}},
        {"name": "endpoints", "properties": {"addressPrefix": "10.0.255.240/28"}},
    ]
    space = {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}
    put(world, NETWORK, {"location": "eastus", "properties": {**space, "subnets": subnets}})
    return world


def ask(world: World, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
    namespace = path.rpartition("/providers/")[2].partition("/")[0]
    version = VERSIONS.get(namespace, "2024-06-01" if "privateDnsZones/" in path else "2024-03-01")
    raw = json.dumps(body).encode() if body is not None else b""
    resource = ResourceId.parse(path)
    assert resource
    return resources.answer(world, Request.of(method, "h", f"{path}?api-version={version}", {}, raw), resource)


def put(world: World, path: str, body: dict[str, Any]) -> Any:
    return ask(world, "PUT", path, body).body


def shown(world: World, path: str) -> Any:
    return ask(world, "GET", path).body


def endpoint(subnet: str = "endpoints", target: str = ACCOUNT, part: str = "file", **more: Any) -> dict[str, Any]:
    connection = {"name": "models", "properties": {"privateLinkServiceId": target, "groupIds": [part]}}
    properties = {"subnet": {"id": f"{NETWORK}/subnets/{subnet}"}, "privateLinkServiceConnections": [connection]}
    return {"location": "eastus", "properties": {**properties, **more}}


def remove(world: World, path: str) -> None:
    """A zone or a link, whose removal is told of in its resource group."""
    removing = ask(world, "DELETE", path)
    assert removing.status == 202
    where = removing.headers["Azure-AsyncOperation"].removeprefix("https://h")
    assert where.lower().startswith(f"{RG}/providers/Microsoft.Network/privateDnsOperationStatuses/".lower())
    told = router.answer(world, Faults(lambda: world.now), Request.of("GET", "h", where, {}, b""))
    assert told.body == {**(told.body or {}), "status": "Succeeded"}


def make_way(world: World) -> None:
    """All that leads from the network to the share."""
    put(world, ZONE, {"location": "global", "properties": {}})
    put(world, LINK, {"location": "global", "properties": {"virtualNetwork": {"id": NETWORK}}})
    put(world, ENDPOINT, endpoint())
    config = {"name": "storage", "properties": {"privateDnsZoneId": ZONE}}
    put(world, NAMES, {"properties": {"privateDnsZoneConfigs": [config]}})


def mount(world: World) -> Answer:
    """A group in the network that mounts the share."""
    account = ResourceId.parse(ACCOUNT)
    assert account
    share = {
        "shareName": "models",
        "storageAccountName": "models1",
        "storageAccountKey": accounts.key(account, "key1"),
    }
    body = group(
        container(volumeMounts=[{"name": "storage", "mountPath": "/storage"}]),
        volumes=[{"name": "storage", "azureFile": share}],
        subnetIds=[{"id": f"{NETWORK}/subnets/targets"}],
    )
    body["properties"]["ipAddress"]["type"] = "Private"
    return ask(world, "PUT", GROUP, body)


def test_an_endpoint_has_an_address_of_its_subnet_and_its_account_knows_it(world: World) -> None:
    make_way(world)
    properties = shown(world, ENDPOINT)["properties"]
    [connection] = properties["privateLinkServiceConnections"]
    assert connection["properties"]["privateLinkServiceConnectionState"]["status"] == "Approved"
    assert properties["customDnsConfigs"] == [
        {"fqdn": "models1.file.core.windows.net", "ipAddresses": ["10.0.255.244"]}
    ]
    [config] = shown(world, NAMES)["properties"]["privateDnsZoneConfigs"]
    assert config["properties"]["recordSets"][0]["ipAddresses"] == ["10.0.255.244"]
    [seen] = shown(world, ACCOUNT)["properties"]["privateEndpointConnections"]
    assert seen["properties"]["privateEndpoint"]["id"] == ENDPOINT
    put(world, ENDPOINT, endpoint())
    put(world, f"{ENDPOINT}-2", endpoint())
    addresses = [shown(world, each)["properties"]["customDnsConfigs"] for each in (ENDPOINT, f"{ENDPOINT}-2")]
    assert [each[0]["ipAddresses"] for each in addresses] == [["10.0.255.244"], ["10.0.255.245"]]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (endpoint(subnet="targets"), "PrivateEndpointCreationNotAllowedAsSubnetIsDelegated"),
        (endpoint(subnet="nowhere"), "InvalidResourceReference"),
        (endpoint(target=f"{ACCOUNT}2"), "InvalidResourceReference"),
        (endpoint(target=NETWORK), "PrivateLinkServiceGroupIdInvalid"),
        (endpoint(part="files"), "PrivateLinkServiceGroupIdInvalid"),
        (endpoint(privateLinkServiceConnections=[]), "InvalidPrivateLinkServiceConnections"),
        ({**endpoint(), "location": "westeurope"}, "InvalidResourceReference"),
    ],
)
def test_an_endpoint_that_cannot_be_is_refused(world: World, body: dict[str, Any], code: str) -> None:
    with pytest.raises(ArmError) as caught:
        put(world, ENDPOINT, body)
    assert caught.value.code == code
    assert ENDPOINT.lower() not in world.state.resources


def test_a_zone_does_not_go_before_its_links_nor_a_subnet_before_its_endpoint(world: World) -> None:
    make_way(world)
    for path, code in ((ZONE, "CannotDeleteResource"), (f"{NETWORK}/subnets/endpoints", "InUseSubnetCannotBeDeleted")):
        with pytest.raises(ArmError) as caught:
            ask(world, "DELETE", path)
        assert caught.value.code == code
    remove(world, LINK)
    remove(world, ZONE)
    assert not {LINK.lower(), ZONE.lower()} & set(world.state.resources)


def test_a_network_is_linked_to_one_zone_of_a_name(world: World) -> None:
    make_way(world)
    put(world, LINK, {"location": "global", "properties": {"virtualNetwork": {"id": NETWORK}}})
    with pytest.raises(ArmError) as caught:
        put(world, f"{LINK}-2", {"location": "global", "properties": {"virtualNetwork": {"id": NETWORK}}})
    assert caught.value.code == "Conflict"


def unlink(world: World) -> None:
    remove(world, LINK)


def unname(world: World) -> None:
    del world.state.resources[NAMES.lower()]


def unmake(world: World) -> None:
    for key in world.state.under(ENDPOINT.lower()):
        del world.state.resources[key]


def lead_elsewhere(world: World) -> None:
    unmake(world)
    put(world, ENDPOINT, endpoint(part="blob"))
    config = {"name": "storage", "properties": {"privateDnsZoneId": ZONE}}
    put(world, NAMES, {"properties": {"privateDnsZoneConfigs": [config]}})


def leave_to_be_approved(world: World) -> None:
    unmake(world)
    asked = endpoint()["properties"].pop("privateLinkServiceConnections")
    put(world, ENDPOINT, endpoint(privateLinkServiceConnections=[], manualPrivateLinkServiceConnections=asked))
    config = {"name": "storage", "properties": {"privateDnsZoneId": ZONE}}
    put(world, NAMES, {"properties": {"privateDnsZoneConfigs": [config]}})


@pytest.mark.parametrize("by_hand", [unlink, unname, unmake, lead_elsewhere, leave_to_be_approved])
def test_a_closed_share_is_mounted_through_the_whole_way_alone(world: World, by_hand: Callable[[World], None]) -> None:
    make_way(world)
    assert mount(world).status == 201
    by_hand(world)
    with pytest.raises(ArmError, match="it is closed to public networks, and no private endpoint") as caught:
        mount(world)
    assert caught.value.code == "CannotAccessStorageAccount"


def test_an_open_share_is_mounted_by_whoever_has_the_key(world: World) -> None:
    world.state.resources[ACCOUNT.lower()]["properties"]["publicNetworkAccess"] = "Enabled"
    assert mount(world).status == 201


def test_an_endpoint_whose_account_is_gone_says_so(world: World) -> None:
    make_way(world)
    del world.state.resources[ACCOUNT.lower()]
    [connection] = shown(world, ENDPOINT)["properties"]["privateLinkServiceConnections"]
    assert connection["properties"]["privateLinkServiceConnectionState"]["status"] == "Disconnected"


def test_a_vaults_endpoint_is_known_by_the_vaults_own_name(world: World) -> None:
    vault = f"{RG}/providers/Microsoft.KeyVault/vaults/llm-vault"
    properties = {"tenantId": "00000000-0000-0000-0000-000000000002", "sku": {"family": "A", "name": "standard"}}
    put(world, vault, {"location": "eastus", "properties": properties})
    put(world, ENDPOINT, endpoint(target=vault, part="vault"))
    [config] = shown(world, ENDPOINT)["properties"]["customDnsConfigs"]
    assert config["fqdn"] == "llm-vault.vault.azure.net"
    assert len(shown(world, vault)["properties"]["privateEndpointConnections"]) == 1
    with pytest.raises(ArmError):
        put(world, f"{ENDPOINT}-2", endpoint(target=vault, part="file"))


REGISTRY = f"{RG}/providers/Microsoft.ContainerRegistry/registries/LLMRegistry"
IDENTITY = f"{RG}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/puller"
REGISTRY_ZONE = f"{RG}/providers/Microsoft.Network/privateDnsZones/privatelink.azurecr.io"


def make_registry(world: World, tier: str = "Premium") -> None:
    put(
        world,
        REGISTRY,
        {"location": "eastus", "sku": {"name": tier}, "properties": {"publicNetworkAccess": "Disabled"}},
    )


def lead_to_registry(world: World) -> None:
    put(world, REGISTRY_ZONE, {"location": "global", "properties": {}})
    link = {"location": "global", "properties": {"virtualNetwork": {"id": NETWORK}}}
    put(world, f"{REGISTRY_ZONE}/virtualNetworkLinks/net", link)
    put(world, ENDPOINT, endpoint(target=REGISTRY, part="registry"))
    config = {"name": "registry", "properties": {"privateDnsZoneId": REGISTRY_ZONE}}
    put(world, NAMES, {"properties": {"privateDnsZoneConfigs": [config]}})


def pull(world: World, *identities: str) -> Answer:
    """A group in the network that runs an image of that registry."""
    asked = [{"server": "llmregistry.azurecr.io", "identity": each} for each in identities]
    body = group(
        container(image="llmregistry.azurecr.io/acme/llm:1"),
        imageRegistryCredentials=asked,
        subnetIds=[{"id": f"{NETWORK}/subnets/targets"}],
    )
    body["properties"]["ipAddress"]["type"] = "Private"
    body["identity"] = {"type": "UserAssigned", "userAssignedIdentities": {each: {} for each in identities}}
    return ask(world, "PUT", GROUP, body)


def test_a_registry_is_led_to_by_all_its_names_and_knows_it(world: World) -> None:
    make_registry(world)
    put(world, f"{REGISTRY}/replications/westeurope", {"location": "westeurope", "properties": {}})
    lead_to_registry(world)
    names = ["llmregistry", "llmregistry.eastus.data", "llmregistry.westeurope.data"]
    addresses = ["10.0.255.244", "10.0.255.245", "10.0.255.246"]
    configs = shown(world, ENDPOINT)["properties"]["customDnsConfigs"]
    assert [(each["fqdn"], each["ipAddresses"]) for each in configs] == [
        (f"{name}.azurecr.io", [address]) for name, address in zip(names, addresses, strict=True)
    ]
    [config] = shown(world, NAMES)["properties"]["privateDnsZoneConfigs"]
    assert [each["recordSetName"] for each in config["properties"]["recordSets"]] == names
    [seen] = shown(world, REGISTRY)["properties"]["privateEndpointConnections"]
    assert seen["properties"]["privateLinkServiceConnectionState"]["status"] == "Approved"
    put(world, ENDPOINT, endpoint(target=REGISTRY, part="registry"))
    assert shown(world, ENDPOINT)["properties"]["customDnsConfigs"] == configs


@pytest.mark.parametrize("tier", ["Basic", "Standard"])
def test_a_registry_of_another_tier_has_none(tier: str, world: World) -> None:
    make_registry(world, tier)
    with pytest.raises(ArmError, match=f"not supported for a registry of the tier {tier}") as caught:
        put(world, ENDPOINT, endpoint(target=REGISTRY, part="registry"))
    assert caught.value.code == "FeatureNotSupported"


def test_a_closed_registry_gives_images_with_an_identity_and_through_an_endpoint_only(world: World) -> None:
    make_registry(world)
    put(world, IDENTITY, {"location": "eastus"})
    for lead, identities in ((False, (IDENTITY,)), (True, ())):
        if lead:
            lead_to_registry(world)
        with pytest.raises(ArmError, match="is not accessible") as caught:
            pull(world, *identities)
        assert caught.value.code == "InaccessibleImage"
    assert pull(world, IDENTITY).status == 201
