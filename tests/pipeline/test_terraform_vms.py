"""Virtual machines at Azure in the exported module: their key, what they come after, what is imported and refused.

That every resource and property is there says `test_terraform.py`, for these as for all.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from terraform_specs import SITES, SPECS, nothing, spec
from terraform_standing import azure_as_wished
from test_terraform import written

from arriero.errors import Refused
from arriero.pipeline.terraform import module
from arriero.plan.model import Facts

NAME = "on virtual machines with GPUs at Azure"
WISH = spec(SPECS[NAME])
THREE = spec({**SPECS[NAME], "scale": {"min": 3}})
FIRST, SECOND, THIRD = (f"llm-azure-east-r1-{number}" for number in (1, 2, 3))
VARIABLE = "azure_east_login_key"
GROUP = "/subscriptions/1/resourceGroups/llm-azure-east/providers"
PAIR = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC = PAIR.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
PRIVATE = PAIR.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
).decode()


def block(text: str, head: str) -> str:
    return text.partition(f"{head} {{\n")[2].partition("\n}\n")[0]


def with_a_copy() -> Facts:
    """Of three machines the first stands as the role made it, the second as the controller did, the third does not."""
    facts = azure_as_wished(THREE, "azure-east", count=3)
    found = facts.sites["azure-east"]
    kept = tuple(
        replace(each, id=each.id.upper(), details={**each.details, "has_gate": each.name == FIRST})
        if each.name in (FIRST, SECOND)
        else each
        for each in found.resources
        if each.name != THIRD
    )
    return replace(facts, sites={"azure-east": replace(found, resources=kept)})


def test_what_stands_is_imported_and_a_copy_of_the_controllers_gets_no_extension(tmp_path: Path) -> None:
    """Under ids as the module spells them: Azure lists machines with their group in capitals."""
    read = written(THREE, with_a_copy(), tmp_path)
    interface, machine, gate = (
        f"{kind}.azure_east"
        for kind in ("azurerm_network_interface", "azapi_resource", "azurerm_virtual_machine_extension")
    )
    machines = f"{GROUP}/Microsoft.Compute/virtualMachines"
    assert {address: each for address, each in read.imports.items() if "[" in address} == {
        **{f'{interface}["{name}"]': f"{GROUP}/Microsoft.Network/networkInterfaces/{name}" for name in (FIRST, SECOND)},
        **{f'{machine}["{name}"]': f"{machines}/{name}?api-version=2024-03-01" for name in (FIRST, SECOND)},
        f'{gate}["{FIRST}"]': f"{machines}/{FIRST}/extensions/answers",
    }
    assert set(read.resources) - set(read.imports) - {f"variable.{VARIABLE}"} == {
        f'{each}["{THIRD}"]' for each in (interface, machine, gate)
    }


def test_where_all_machines_are_copies_there_is_no_extension() -> None:
    text = module.files(WISH, azure_as_wished(WISH, "azure-east"))["azure.tf"]
    assert "azurerm_virtual_machine_extension" not in text
    assert 'resource "azapi_resource" "azure_east"' in text


def test_a_machine_comes_after_its_way_out_with_an_interface_of_its_own_and_is_never_changed() -> None:
    machine = block(module.files(WISH, nothing(WISH))["azure.tf"], 'resource "azapi_resource" "azure_east"')
    ties = ("azurerm_subnet_network_security_group", "azurerm_subnet_nat_gateway", "azurerm_nat_gateway_public_ip")
    after = re.search(r"  depends_on = \[(.*?)\]", machine, re.DOTALL)
    assert after
    assert set(re.findall(r"azurerm_[\w.]+", after[1])) == {f"{each}_association.azure_east" for each in ties}
    assert " id = azurerm_network_interface.azure_east[each.key].id\n" in machine
    assert "  lifecycle {\n    ignore_changes = [body, tags]\n  }" in machine
    assert "@LOGIN_KEY@" not in machine
    assert f" keyData = var.{VARIABLE}\n" in machine


def test_the_extension_waits_as_long_as_the_role_and_terraform_longer() -> None:
    wish = spec(SPECS["on virtual machines with four GPUs at Azure, without sidecars, in a private network"])
    gate = block(
        module.files(wish, nothing(wish))["azure.tf"], 'resource "azurerm_virtual_machine_extension" "azure_east"'
    )
    assert "for i in $(seq 540);" in gate  # of five seconds each: 45 minutes
    assert 'create = "60m"' in gate
    assert "arriero-sidecar.service" not in gate
    assert "virtual_machine_id         = azapi_resource.azure_east[each.key].id\n" in gate


def test_a_site_that_would_move_to_machines_is_refused() -> None:
    groups = azure_as_wished(spec({"sites": {"azure-east": SITES["azure-east"]}}), "azure-east")
    with pytest.raises(Refused, match=r"sites\.azure-east\.gpu: the site stands on container groups, and can't move"):
        module.files(WISH, groups)


def test_no_pair_is_made_and_readme_says_so() -> None:
    found = module.files(WISH, nothing(WISH))
    assert not re.search(r"tls_|PRIVATE KEY|ssh-rsa AAAA", "".join(found.values()))
    assert "## The virtual machines of azure-east\n" in found["README.md"]
    plain = spec({"sites": {"azure-east": SITES["azure-east"]}})
    assert "virtual machines" not in module.files(plain, nothing(plain))["README.md"]


def terraform(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """`plan` of the variable alone, which takes no provider."""
    (folder / "key.tf").write_text(
        f'variable "{VARIABLE}" {{\n'
        + block(module.files(WISH, nothing(WISH))["azure.tf"], f'variable "{VARIABLE}"')
        + f'\n}}\n\noutput "key" {{\n  value = var.{VARIABLE}\n}}\n'
    )
    own = {f"TF_VAR_{name}": value for name, value in variables.items()}
    return subprocess.run(
        ["terraform", "plan", "-input=false", "-no-color"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "CHECKPOINT_DISABLE": "1", **own},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


needs_terraform = pytest.mark.skipif(not shutil.which("terraform"), reason="terraform is not installed")


@needs_terraform
@pytest.mark.parametrize("key", [PUBLIC, f"{PUBLIC} nobody@nowhere"], ids=["bare", "with a comment"])
def test_terraform_takes_a_public_key(key: str, tmp_path: Path) -> None:
    done = terraform(tmp_path, **{VARIABLE: key})
    assert done.returncode == 0, done.stderr
    assert key in done.stdout


@needs_terraform
@pytest.mark.parametrize("key", [PRIVATE, "", f"{PUBLIC}\n{PUBLIC}", "lone-key.pub"])
def test_terraform_refuses_what_is_no_public_key(key: str, tmp_path: Path) -> None:
    done = terraform(tmp_path, **{VARIABLE: key})
    assert done.returncode == 1
    assert "One line with an RSA public key" in done.stderr


@needs_terraform
@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen is not installed")
def test_what_readme_says_makes_a_key_that_nobody_has(tmp_path: Path) -> None:
    readme = module.files(WISH, nothing(WISH))["README.md"]
    lines = re.findall(r"^    (.*)$", readme.partition("## The virtual machines")[2], re.MULTILINE)
    assert len(lines) == 3
    subprocess.run(["sh", "-euc", "\n".join(lines)], cwd=tmp_path, timeout=60, check=True)
    assert [each.name for each in tmp_path.iterdir()] == ["terraform.tfvars"]
    done = terraform(tmp_path)
    assert done.returncode == 0, done.stderr
    assert '+ key = "ssh-rsa AAAA' in done.stdout
