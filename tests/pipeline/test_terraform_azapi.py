"""Private endpoints, stored models and spares at Azure in the exported module: the keys it keeps, and what it imports.

That every resource and property is there says `test_terraform.py`, for these as for all.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from terraform_specs import IDENTITY, SITES, SPECS, nothing, spec
from test_terraform import written

from arriero.errors import Refused
from arriero.pipeline.terraform import module
from arriero.plan import place
from arriero.plan.model import Resource
from arriero.plan.wanted import azure, azure_private

STORED, SPARES = "models from storage at Azure, through a private endpoint", "spares in a standby pool"


def test_models_that_are_not_known_to_be_there_are_refused() -> None:
    wish = spec(SPECS[STORED])
    there = nothing(wish)
    other = replace(there.sites["azure-east"].resources[0], properties={"models": "llama2:13b"})
    for resources in ((), (other,)):
        site = replace(there.sites["azure-east"], resources=resources)
        with pytest.raises(Refused, match=r"^models: the storage of azure-east is not known to hold its models, and"):
            module.files(wish, replace(there, sites={"azure-east": site}))


def test_a_pool_takes_the_newest_revision_of_its_profile() -> None:
    wish = spec(SPECS[SPARES])
    text = module.files(wish, nothing(wish))["azure.tf"]
    assert "= azapi_resource.azure_east_spare_profile.output.properties.revision" in text


def test_a_group_that_mounts_a_share_tells_its_workspace_what_it_writes() -> None:
    wish = spec(SPECS["models from storage at Azure, which the internet reaches"])
    text = module.files(wish, nothing(wish))["azure.tf"]
    workspace = "azurerm_log_analytics_workspace.azure_east"
    assert f"workspaceId  = {workspace}.workspace_id\n" in text
    assert f"workspaceKey = {workspace}.primary_shared_key\n" in text


@pytest.mark.parametrize("name", ["as it comes", STORED, SPARES])
def test_a_group_comes_after_its_way_out_and_its_way_to_the_storage(name: str) -> None:
    """No argument leads there, and a group that is made before can neither pull its image nor mount its share."""
    wish = spec(SPECS[name])
    text = module.files(wish, nothing(wish))["azure.tf"]
    ties = ["azurerm_subnet_network_security_group", "azurerm_subnet_nat_gateway", "azurerm_nat_gateway_public_ip"]
    before = {f"{each}_association.azure_east" for each in ties}
    if name == STORED:
        before |= {f"azurerm_private_{each}.azure_east_files" for each in ("dns_zone_virtual_network_link", "endpoint")}
    lists = re.findall(r"  depends_on += \[(.*?)\]", text, re.DOTALL)
    assert lists
    for each in lists:
        assert set(re.findall(r"azurerm_[\w.]+", each)) == before


def test_an_image_is_pulled_with_the_identity_through_either_provider() -> None:
    """In the spec's own spelling, for the providers refuse another; once for the group, and once to pull with."""
    plain = spec(SPECS["pulled from a registry of Azure with an identity"])
    text = module.files(plain, nothing(plain))["azure.tf"]
    assert re.search(rf'identity_ids = \[\s+"{IDENTITY}"', text)
    assert re.search(rf'server += "llmregistry.azurecr.io"\n +user_assigned_identity_id += "{IDENTITY}"', text)
    mounting = spec(SPECS["models from storage beside an image that is pulled with an identity"])
    text = module.files(mounting, nothing(mounting))["azure.tf"]
    assert re.search(rf'identity_ids = \[\s+"{IDENTITY}"', text)
    assert re.search(
        rf'imageRegistryCredentials\W+server += "llmregistry.azurecr.io"\n +identity += "{IDENTITY}"', text
    )


def test_the_key_of_a_storage_is_asked_for_and_kept_nowhere() -> None:
    """Terraform keeps neither what is write-only nor what is ephemeral; azurerm's own account would keep its keys."""
    wish = spec(SPECS[STORED])
    found = module.files(wish, nothing(wish))
    before, _, sensitive = found["azure.tf"].partition("  sensitive_body = {")
    key = "ephemeral.azapi_resource_action.azure_east_key.output.key"
    assert "storageAccountKey" not in before
    assert sensitive.count("storageAccountKey") == sensitive.count(f"= {key}\n") == 1
    assert 'ephemeral "azapi_resource_action" "azure_east_key"' in before
    assert "azurerm_storage_account" not in "".join(found.values())
    assert 'required_version = ">= 1.11.0"' in found["versions.tf"]


def test_the_endpoint_of_a_vault_leads_to_the_vault_that_was_read() -> None:
    vault = "/subscriptions/1/resourceGroups/keys/providers/Microsoft.KeyVault/vaults/llm-vault"
    own = {"environment_from": {"HF_TOKEN": f"https://llm-vault.vault.azure.net/secrets/hf/{'0' * 32}"}}
    network = {"mode": "private", "private_endpoints": ["vault"]}
    wish = spec({"sites": {"azure-east": {**SITES["azure-east"], **own, "network": network}}})
    facts = nothing(wish, "1")
    found = replace(facts.sites["azure-east"], given=(Resource(azure_private.VAULT_KIND, "llm-vault", id=vault),))
    text = module.files(wish, replace(facts, sites={"azure-east": found}))["azure.tf"]
    endpoint = text.partition('resource "azurerm_private_endpoint"')[2].partition("\n}\n")[0]
    assert f'private_connection_resource_id = "{vault}"\n' in endpoint
    assert re.search(r'subresource_names +=\s\["vault"\]\n', endpoint)


def test_groups_come_after_the_endpoint_of_the_registry_that_was_read() -> None:
    registry = "/subscriptions/1/resourceGroups/keys/providers/Microsoft.ContainerRegistry/registries/LLMRegistry"
    network = {"mode": "private", "private_endpoints": ["registry"]}
    own = {**SITES["azure-east"], "registry_identity": IDENTITY, "network": network}
    wish = spec({"image": "llmregistry.azurecr.io/acme/llm:1", "sites": {"azure-east": own}})
    known = Resource(azure_private.REGISTRY_KIND, "llmregistry.azurecr.io", id=registry, details={"sku": "Premium"})
    facts = nothing(wish, "1")
    facts = replace(facts, sites={"azure-east": replace(facts.sites["azure-east"], given=(known,))})
    text = module.files(wish, facts)["azure.tf"]
    assert re.search(rf'private_connection_resource_id += "{registry}"', text)
    [ties] = re.findall(r"  depends_on += \[(.*?)\]", text, re.DOTALL)
    assert "azurerm_private_endpoint.azure_east_registry" in ties
    assert "azurerm_private_dns_zone_virtual_network_link.azure_east_registry" in ties


@pytest.mark.parametrize("name", [STORED, SPARES])
def test_what_azapi_and_private_endpoints_stand_for_is_imported_too(name: str, tmp_path: Path) -> None:
    wish = spec(SPECS[name])
    facts = nothing(wish, "1")
    site = wish.site("azure-east")
    digest = place.definition_hash(azure.definition(site))
    there = tuple(
        replace(each, id=f"/{each.kind}/{each.name}")
        for each in azure.wanted(site, facts.sites["azure-east"], 1, 2, digest)
    )
    found = replace(facts.sites["azure-east"], resources=there, count=2)
    read = written(wish, replace(facts, sites={"azure-east": found}), tmp_path)
    assert set(read.imports) == set(read.resources)
    versions = {
        "azapi_resource.azure_east_storage": "2023-05-01",
        'azapi_resource.azure_east["llm-azure-east-r1-2"]': "2025-09-01",
        "azapi_resource.azure_east_spare_profile": "2025-09-01",
        "azapi_resource.azure_east_spares": "2025-03-01",
    }
    for address in {each for each in read.imports if each.startswith("azapi")} & versions.keys():
        assert read.imports[address].endswith(f"?api-version={versions[address]}")
    link = "azurerm_private_dns_zone_virtual_network_link.azure_east_files"
    zone = "/azure.private_dns_zone/privatelink.file.core.windows.net"
    assert read.imports.get(link, "") in ("", f"{zone}/virtualNetworkLinks/llm-azure-east")
