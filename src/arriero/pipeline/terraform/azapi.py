"""What of an Azure site hashicorp/azurerm can't say, in the words of Azure/azapi, which sends Resource Manager's own.

Container groups that mount a share need its key, and others have secrets (`azure_secrets.py`). azurerm would write them
into Terraform's state, and so would its storage account, which reads its own keys. Here the key is in `sensitive_body`,
which is write-only, and an ephemeral resource asks for it: neither is in a plan or in a state. The whole list of
volumes is there, for no page says how two lists are merged. Standby pools azurerm does not have at all. Container apps:
`azure_apps.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from arriero.clouds.azure import bodies, groups, spares
from arriero.clouds.azure.ledger import VERSION as STORAGE_VERSION
from arriero.pipeline.terraform import azure_secrets
from arriero.pipeline.terraform.hcl import Blocks, Body, Call, Expression, Raw
from arriero.pipeline.terraform.piece import Piece, Site
from arriero.plan.model import Resource
from arriero.plan.wanted import azure_files, azure_private, azure_spares, storage
from arriero.plan.wanted.azure import has_secrets

TYPE = "azapi_resource"
ACCOUNT_TYPE = "Microsoft.Storage/storageAccounts"
ADDRESS = "properties.ipAddress.ip"
LEAST_TERRAFORM = ">= 1.11.0"  # the first with write-only arguments and ephemeral resources
KEPT_NOTE = "Models outlive the service: Terraform will not remove them."


def account(site: Site, wanted: Resource, lifecycle: Body) -> Piece:
    """The storage account of models, whose keys azapi does not read."""
    body: Mapping[str, Any] = {
        "sku": {"name": "Standard_LRS"},
        "kind": "StorageV2",
        "properties": {
            "allowBlobPublicAccess": not wanted.properties["is_private"],
            "minimumTlsVersion": wanted.properties["tls"],
            "publicNetworkAccess": "Enabled" if wanted.properties["public_access"] else "Disabled",
            "supportsHttpsTrafficOnly": True,
        },
    }
    group = f"azurerm_resource_group.{site.label}_files"
    where = place(f"{ACCOUNT_TYPE}@{STORAGE_VERSION}", wanted.name, group)
    whole: Body = {**where, "tags": site.tags, "body": body, **lifecycle}
    return Piece(TYPE, f"{site.label}_storage", whole, imported(site, wanted, STORAGE_VERSION), KEPT_NOTE)


def are_groups_sent(site: Site) -> bool:
    """Whether the container groups are azapi's: they have a key or a secret that no state may hold."""
    return storage.is_used(site.spec) or has_secrets(site.spec)


def secret_groups(site: Site, wanted: tuple[Resource, ...]) -> Iterator[Piece]:
    """All container groups in one block; before them what asks for the key, and for secrets."""
    store = next((account.name for account in site.wanted(azure_files.ACCOUNT_KIND)), "")
    told = bodies.group(site.spec, wanted[0], subnet_id="", account=store)
    plain = cast("Mapping[str, Any]", told["properties"])
    if pulling := plain.get("imageRegistryCredentials"):
        plain = {**plain, "imageRegistryCredentials": [{**each, "identity": identity_id(site)} for each in pulling]}
    properties, sensitive = azure_secrets.named(wanted[0], plain), azure_secrets.filled(site, wanted[0], plain)
    if "volumes" in properties:
        sensitive["volumes"] = [_volume(site, each) for each in properties.pop("volumes")]
    if "diagnostics" in properties:
        sensitive["diagnostics"] = _diagnostics(site, properties.pop("diagnostics"))
    body: Body = {
        "for_each": Call("toset", [group.name for group in wanted]),
        **place(f"{groups.TYPE}@{groups.VERSION}", "", f"azurerm_resource_group.{site.label}"),
        "name": Raw("each.key"),
        "tags": wanted[0].tags,
        **identity(site),
        "body": {"properties": {**properties, "subnetIds": _subnets(site)}},
        "sensitive_body": {"properties": sensitive},
        "depends_on": network_ties(site),
        **({"response_export_values": [ADDRESS]} if site.spec.azure_edges else {}),
    }
    if store:
        yield _key(site)
    yield from azure_secrets.readers(site, wanted[0])
    standing = {group.name: with_version(found, groups.VERSION) for group in wanted if (found := site.standing(group))}
    yield Piece(TYPE, site.label, body, standing)


def spare_profile(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    for wanted in resources:
        told = bodies.profile(site.spec, wanted)
        body: Body = {
            **place(f"{spares.PROFILE_TYPE}@{groups.VERSION}", wanted.name, f"azurerm_resource_group.{site.label}"),
            "tags": wanted.tags,
            "body": {"properties": cast("Mapping[str, Expression]", told["properties"])},
            "response_export_values": ["properties.revision"],
        }
        yield Piece(TYPE, f"{site.label}_spare_profile", body, imported(site, wanted, groups.VERSION))


def spare_pool(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    """The pool takes the profile's newest revision, as the role has it."""
    profile = f"{TYPE}.{site.label}_spare_profile"
    for wanted in resources:
        told = cast("Mapping[str, Any]", spares.pool_body(wanted, subnet_id="", profile_id="")["properties"])
        newest = {"id": Raw(f"{profile}.id"), "revision": Raw(f"{profile}.output.properties.revision")}
        made_of: Mapping[str, Any] = {"containerGroupProfile": newest, "subnetIds": _subnets(site)}
        body: Body = {
            **place(f"{spares.TYPE}@{spares.VERSION}", wanted.name, f"azurerm_resource_group.{site.label}"),
            "tags": wanted.tags,
            "body": {"properties": {**told, "containerGroupProperties": made_of}},
            "depends_on": network_ties(site),
        }
        yield Piece(TYPE, f"{site.label}_spares", body, imported(site, wanted, spares.VERSION))


def identity(site: Site) -> Body:
    """The identity that images are pulled with, in a block that both providers have; nothing where there is none."""
    return user_assigned(identity_id(site))


def identity_id(site: Site) -> str:
    return spelt(site.spec.registry_identity or "")


def user_assigned(name: str) -> Body:
    return {"identity": Blocks(({"type": "UserAssigned", "identity_ids": [name]},))} if name else {}


def spelt(identity: str) -> str:
    """As the spec spells it, and as the providers take it: where Azure knows no case, they do."""
    return identity.replace("/resourcegroups/", "/resourceGroups/")


def network_ties(site: Site) -> list[Raw]:
    """What has to stand before a group pulls its image, and no argument leads to: its subnet's ties, its way out, and
    private endpoints that it needs.
    """
    kinds = ("subnet_network_security_group", "subnet_nat_gateway", "nat_gateway_public_ip")
    return [*(Raw(f"azurerm_{kind}_association.{site.label}") for kind in kinds), *_ways(site)]


def _key(site: Site) -> Piece:
    body: Body = {
        "type": f"{ACCOUNT_TYPE}@{STORAGE_VERSION}",
        "resource_id": Raw(f"{TYPE}.{site.label}_storage.id"),
        "action": "listKeys",
        "response_export_values": {"key": "keys[0].value"},
    }
    return Piece("azapi_resource_action", f"{site.label}_key", body, kind="ephemeral")


def _volume(site: Site, told: Mapping[str, Any]) -> Mapping[str, Any]:
    if "azureFile" not in told:
        return told
    share = {
        **told["azureFile"],
        "shareName": Raw(f"azurerm_storage_share.{site.label}.name"),
        "storageAccountKey": Raw(f"ephemeral.azapi_resource_action.{site.label}_key.output.key"),
    }
    return {**told, "azureFile": share}


def _diagnostics(site: Site, told: Mapping[str, Any]) -> Mapping[str, Any]:
    workspace = f"azurerm_log_analytics_workspace.{site.label}"
    keys = {"workspaceId": Raw(f"{workspace}.workspace_id"), "workspaceKey": Raw(f"{workspace}.primary_shared_key")}
    return {"logAnalytics": {**told["logAnalytics"], **keys}}


def _ways(site: Site) -> list[Raw]:
    """What has to stand before a share of a closed storage can be mounted, or a closed registry gives an image; nothing
    where there are no endpoints. No group needs a vault.
    """
    kinds = ("azurerm_private_dns_zone_virtual_network_link", "azurerm_private_endpoint")
    labels = {azure_private.FILE: "files", azure_private.REGISTRY: "registry"}
    parts = (str(endpoint.properties["part"]) for endpoint in site.wanted(azure_private.ENDPOINT_KIND))
    return [Raw(f"{kind}.{site.label}_{labels[part]}") for part in parts if part in labels for kind in kinds]


def _subnets(site: Site) -> list[Mapping[str, Raw]]:
    return [{"id": Raw(f"azurerm_subnet.{site.label}.id")}]


def place(kind: str, name: str, group: str) -> Mapping[str, Expression]:
    """What it is and where: in the resource group at that address."""
    return {"type": kind, "name": name, "parent_id": Raw(f"{group}.id"), "location": Raw(f"{group}.location")}


def imported(site: Site, wanted: Resource, version: str) -> Mapping[str, str]:
    """What `standing` of a piece is, for one thing."""
    found = site.standing(wanted)
    return {"": with_version(found, version)} if found else {}


def with_version(found: Resource, version: str) -> str:
    """Without one azapi would take the newest that it knows, and write the resource's type with that."""
    return f"{found.id}?api-version={version}"


MAKERS = {azure_spares.PROFILE_KIND: spare_profile, azure_spares.POOL_KIND: spare_pool}
