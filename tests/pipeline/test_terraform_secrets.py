"""Secrets of Key Vault in the exported module: who reads them, where they go, and that no file, plan or state has them.

That every resource and property is there says `test_terraform.py`, for these as for all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from terraform_specs import SITES, SPECS, VAULT, nothing, spec
from terraform_standing import azure_as_wished
from test_terraform import written

from arriero.errors import Problem, Refused
from arriero.pipeline.terraform import module
from arriero.plan.model import Facts
from arriero.spec.model import Spec

WISH = spec(SPECS["secrets of Key Vault"])
NEWEST = spec({"sites": {"azure-east": {**SITES["azure-east"], "environment_from": {"HF_TOKEN": f"{VAULT}/hf"}}}})
VERSION = "0123456789abcdef0123456789abcdef"
VALUE = re.compile(r"ephemeral\.azapi_data_plane_resource\.(\w+)\.output\.value")


def knowing(wish: Spec, version: str | Problem) -> Facts:
    facts = nothing(wish)
    found = replace(facts.sites["azure-east"], secrets={f"{VAULT}/hf": version})
    return replace(facts, sites={"azure-east": found})


def readers(text: str) -> dict[str, tuple[str, str]]:
    """By label, the vault and what is read there."""
    rows = re.findall(
        r'^ephemeral "azapi_data_plane_resource" "(\w+)" \{\n.*?parent_id += "(.*?)"\n +name += "(.*?)"\n',
        text,
        re.M | re.S,
    )
    return {label: (vault, name) for label, vault, name in rows}


def lists(value: Any) -> Iterator[list[Any]]:
    if isinstance(value, list):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from lists(each)


def test_each_secret_is_read_in_its_version_and_goes_where_nothing_is_kept() -> None:
    text = module.files(WISH, nothing(WISH))["azure.tf"]
    vault = "llm-vault.vault.azure.net"
    assert readers(text) == {
        "azure_east_secret_HF_TOKEN": (vault, f"hf/{'0' * 32}"),
        "azure_east_secret_PROXY": (vault, f"proxy/{'1' * 32}"),
        "azure_east_registry_login": (vault, f"registry/{'2' * 32}"),
    }
    before, _, sensitive = text.partition("\n  sensitive_body = {\n")
    assert VALUE.findall(before) == []
    assert set(VALUE.findall(sensitive)) == set(readers(text))
    assert "azurerm_container_group" not in text
    assert 'required_version = ">= 1.11.0"' in module.files(WISH, nothing(WISH))["versions.tf"]


def test_what_is_sent_is_the_same_however_two_lists_are_merged(tmp_path: Path) -> None:
    """By merge patch the hidden list replaces the other; azapi's code merges by place, where both are of one length."""
    read = written(WISH, nothing(WISH), tmp_path)
    [group, *_] = [each for each in read.resources.values() if "sensitive_body" in each]
    shown, hidden = group["body"]["properties"], group["sensitive_body"]["properties"]
    for member in hidden.keys() & shown.keys():
        assert [len(each) for each in lists(shown[member])] == [len(each) for each in lists(hidden[member])]
    assert hidden.keys() & shown.keys() == {"containers", "imageRegistryCredentials"}


def test_the_newest_version_is_the_one_that_was_read_of_the_vault() -> None:
    text = module.files(NEWEST, knowing(NEWEST, VERSION))["azure.tf"]
    assert readers(text) == {"azure_east_secret_HF_TOKEN": ("llm-vault.vault.azure.net", f"hf/{VERSION}")}
    assert f'"arriero-secret-HF_TOKEN" = "llm-vault/hf/{VERSION}"' in text
    assert "imageRegistryCredentials" not in text


def test_a_version_that_nobody_can_tell_is_refused() -> None:
    """As `arriero up` does, where no group stands that has one."""
    lost = knowing(NEWEST, Problem("the vault does not answer", "try again"))
    with pytest.raises(
        Refused, match=r"sites\.azure-east\.environment_from\.HF_TOKEN: llm-vault/hf: the vault does not"
    ):
        module.files(NEWEST, lost)


def test_groups_that_stand_are_imported_and_nothing_is_imported_that_only_reads(tmp_path: Path) -> None:
    for number, name in enumerate(name for name in SPECS if "Key Vault" in name or "a login" in name):
        (tmp_path / str(number)).mkdir()
        wish = spec(SPECS[name])
        read = written(wish, azure_as_wished(wish, "azure-east"), tmp_path / str(number))
        assert set(read.imports) == set(read.resources)
        address = 'azapi_resource.azure_east["llm-azure-east-r1-1"]'
        assert read.imports[address] == "/azure.container_group/llm-azure-east-r1-1?api-version=2025-09-01"
