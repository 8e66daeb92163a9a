"""Container apps at Azure in the exported module: their ports, what they come after, what is imported and refused.

That every resource and property is there says `test_terraform.py`, for these as for all.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from terraform_specs import SITES, SPECS, nothing, spec
from terraform_standing import azure_as_wished
from test_terraform import written

from arriero.errors import Refused
from arriero.pipeline.terraform import module
from arriero.plan.model import Facts
from arriero.spec.model import Spec

WISH = spec(SPECS["on container apps with GPUs"])
FIRST, SECOND = "llm-azure-east-r1-1", "llm-azure-east-r1-2"


def at_port(wish: Spec, port: int) -> Facts:
    """The site stands but for its second app, and the first one is at another port than a new one would get."""
    facts = azure_as_wished(wish, "azure-east")
    found = facts.sites["azure-east"]
    kept = tuple(
        replace(each, details={"port": port}) if each.name == FIRST else each
        for each in found.resources
        if each.name != SECOND
    )
    return replace(facts, sites={"azure-east": replace(found, resources=kept)})


def ports(text: str) -> dict[str, int]:
    return {name: int(port) for name, port in re.findall(r'^    "(llm-[\w-]+)" += (\d+)$', text, re.MULTILINE)}


def test_an_app_that_stands_keeps_its_port_and_another_one_gets_the_next() -> None:
    assert ports(module.files(WISH, nothing(WISH))["azure.tf"]) == {FIRST: 20000, SECOND: 20001}
    assert ports(module.files(WISH, at_port(WISH, 20417))["azure.tf"]) == {FIRST: 20417, SECOND: 20418}
    text = module.files(WISH, at_port(WISH, 20417))["azure.tf"]
    assert "exposedPort = each.value\n" in text
    assert "name      = each.key\n" in text


def test_apps_come_after_their_environment_and_that_after_its_network() -> None:
    text = module.files(WISH, nothing(WISH))["azure.tf"]
    around = text.partition('resource "azapi_resource" "azure_east_environment" {')[2].partition("\n}\n")[0]
    ties = ("azurerm_subnet_network_security_group", "azurerm_subnet_nat_gateway", "azurerm_nat_gateway_public_ip")
    after = re.search(r"  depends_on = \[(.*?)\]", around, re.DOTALL)
    assert after
    assert set(re.findall(r"azurerm_[\w.]+", after[1])) == {f"{each}_association.azure_east" for each in ties}
    assert "infrastructureSubnetId = azurerm_subnet.azure_east.id\n" in around
    assert "environmentId       = azapi_resource.azure_east_environment.id\n" in text


def test_what_stands_is_imported_under_the_version_that_is_written(tmp_path: Path) -> None:
    read = written(WISH, azure_as_wished(WISH, "azure-east"), tmp_path)
    assert set(read.resources) == set(read.imports)
    for address in (f'azapi_resource.azure_east["{SECOND}"]', "azapi_resource.azure_east_environment"):
        assert read.imports[address].endswith("?api-version=2025-01-01")
    assert f"| azure-east | {len(read.resources)} | {len(read.resources)} |" in (tmp_path / "README.md").read_text()


def test_a_profile_of_a_former_release_stays_in_the_environment() -> None:
    """As `up` lets it: apps of that release may run on it, and Azure would refuse to take it away."""
    facts = azure_as_wished(WISH, "azure-east")
    found = facts.sites["azure-east"]
    has = ("Consumption", "Consumption-GPU-NC24-A100", "Consumption-GPU-NC8as-T4")
    there = tuple(
        replace(each, properties={**each.properties, "profiles": has}) if each.kind == "azure.app_environment" else each
        for each in found.resources
    )
    facts = replace(facts, sites={"azure-east": replace(found, resources=there)})
    text = module.files(WISH, facts)["azure.tf"]
    assert re.findall(r' name += "(Consumption.*)"', text) == list(has)


def test_a_site_that_would_move_to_apps_is_refused() -> None:
    """As `arriero up` refuses it: Terraform would make the subnet anew under groups that serve."""
    groups = azure_as_wished(spec({"sites": {"azure-east": SITES["azure-east"]}}), "azure-east")
    with pytest.raises(Refused, match=r"sites\.azure-east\.gpu: the site stands on container groups, and can't move"):
        module.files(WISH, groups)
