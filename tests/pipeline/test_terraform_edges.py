"""Edges at Azure in the exported module: their keys and settings, who keeps their targets' names, what is imported.

That every resource and property is there says `test_terraform.py`, for these as for all.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from terraform_specs import AZURE_EDGES, SPECS, nothing, spec
from terraform_standing import azure_as_wished
from test_terraform import written

from arriero.clouds.azure import edge_variables
from arriero.pipeline.terraform import hcl, module
from arriero.plan.wanted import azure_edges as wish
from arriero.spec.model import Spec

WISH = spec(SPECS["behind edges at Azure"])
BY_HAND = spec(SPECS["behind edges at Azure, with models from storage in a private network, scaled by hand"])
TOLD = {"hosts": ["a.example.com", "<ünï>&\u2028"], "limits": {"queue_seconds": 7.0, "share": 0.25}, "n": 3, "b": True}


def block(wanted: Spec, address: str) -> str:
    kind, _, label = address.partition(".")
    text = module.files(wanted, nothing(wanted))["azure.tf"]
    return text.partition(f'resource "{kind}" "{label}" {{')[2].partition("\n}\n")[0]


def test_keys_are_an_address_and_nobody_is_asked_for_their_value() -> None:
    """azurerm's own container app would ask for it, and Terraform's state would hold it."""
    found = module.files(WISH, nothing(WISH))
    assert "".join(found.values()).count(AZURE_EDGES["keys"]) == 1
    assert "ephemeral" not in found["azure.tf"]
    assert "azurerm_container_app" not in found["azure.tf"]
    assert 'secretRef = "keys"' in block(WISH, "azapi_resource.azure_east_edges")


def test_who_scales_keeps_the_names_of_targets_and_else_terraform_does() -> None:
    records = "azurerm_private_dns_a_record.azure_east_targets"
    assert "ignore_changes = [records]" in block(WISH, records)
    assert "ignore_changes" not in block(BY_HAND, records)


def test_edges_come_after_the_names_of_their_targets_and_those_after_the_groups() -> None:
    after = re.search(r"  depends_on = \[(.*?)\]", block(WISH, "azapi_resource.azure_east_edges"), re.DOTALL)
    assert after
    kinds = ("azurerm_private_dns_zone_virtual_network_link", "azurerm_private_dns_a_record")
    assert set(re.findall(r"azurerm_[\w.]+", after[1])) == {f"{kind}.azure_east_targets" for kind in kinds}
    address = 'azurerm_container_group.azure_east["llm-azure-east-r1-1"].ip_address'
    assert address in block(WISH, "azurerm_private_dns_a_record.azure_east_targets")


def test_groups_that_mount_a_share_tell_their_addresses() -> None:
    """They are azapi's, which tells only what it is asked for."""
    assert 'response_export_values = ["properties.ipAddress.ip"]' in block(BY_HAND, "azapi_resource.azure_east")
    address = 'azapi_resource.azure_east["llm-azure-east-r1-1"].output.properties.ipAddress.ip'
    assert address in block(BY_HAND, "azurerm_private_dns_a_record.azure_east_targets")
    plain = spec(SPECS["models from storage at Azure, through a private endpoint"])
    assert "response_export_values = [" not in block(plain, "azapi_resource.azure_east")


def test_what_stands_is_imported(tmp_path: Path) -> None:
    for number, wanted in enumerate((WISH, BY_HAND)):
        (tmp_path / str(number)).mkdir()
        read = written(wanted, azure_as_wished(wanted, "azure-east"), tmp_path / str(number))
        assert set(read.imports) == set(read.resources)
        link = "azurerm_private_dns_zone_virtual_network_link.azure_east_targets"
        zone = "/azure.target_zone/llm-azure-east.arriero.internal"
        assert read.imports[link] == f"{zone}/virtualNetworkLinks/llm-azure-east"
        for address in ("azapi_resource.azure_east_edges", "azapi_resource.azure_east_edge_environment"):
            assert read.imports[address].endswith("-edge?api-version=2025-01-01")


def test_a_lock_of_ones_own_front_door_is_in_the_settings() -> None:
    door = "0a1b2c3d-0000-4000-8000-00000000abcd"
    wanted = spec({**SPECS["behind edges at Azure"], "gateway": {"front_door": door}})
    assert re.search(rf'front_door_id += "{door}"\n', block(wanted, "azapi_resource.azure_east_edges"))


def test_settings_are_one_text_whatever_wrote_them() -> None:
    said = edge_variables.text(wish.as_values(TOLD))
    assert json.loads(said) == TOLD
    assert ": " not in said
    assert '"queue_seconds":7,' in said


@pytest.mark.skipif(not shutil.which("terraform"), reason="terraform is not installed")
def test_terraform_itself_writes_that_text(tmp_path: Path) -> None:
    """Else its first apply would make a new revision of edges that a deployment made."""
    local = hcl.Block("locals", (), {"told": hcl.Call("jsonencode", TOLD)})
    (tmp_path / "main.tf").write_text(hcl.text([local]))
    done = subprocess.run(
        ["terraform", "console"],
        cwd=tmp_path,
        input="local.told\n",
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "CHECKPOINT_DISABLE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == edge_variables.text(wish.as_values(TOLD))
