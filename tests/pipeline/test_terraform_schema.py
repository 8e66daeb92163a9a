"""Every resource type, argument and required field of the exported module against the providers' own schemas.

No provider can be run here. What their schemas say is held against each word that is written; that a real `terraform
plan` finds nothing to change after the imports is proven by nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hcl2
import pytest
from provider_schema import OF_TERRAFORM, Body, schema, version, wheel
from terraform_module import Module
from terraform_specs import SPECS, nothing, spec
from test_terraform import standing, written

from arriero.pipeline.terraform import module
from arriero.rehearse.azure import schemas
from arriero.rehearse.azure.answers import ArmError

pytestmark = [
    pytest.mark.wide,
    pytest.mark.skipif(
        not all(map(wheel, ("aws", "azurerm", "azapi"))),
        reason="the providers' schemas are not there; python -m pip download -r requirements/terraform.txt",
    ),
]

BY_AZAPI = (
    "storage at Azure",
    "spares",
    "container apps",
    "virtual machines",
    "edges at Azure",
    "Key Vault",
    "a login",
)


def blocks(folder: Path, kind: str = "resource") -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each resource as it is written, by python-hcl2, or each ephemeral one: type, label, body."""
    for file in ("aws.tf", "azure.tf"):
        for block in hcl2.loads((folder / file).read_text()).get(kind, []):
            for of_type, labelled in block.items():
                for label, body in labelled.items():
                    yield of_type.strip('"'), label.strip('"'), body


def faults(where: str, body: dict[str, Any], known: Body, is_top: bool = True) -> Iterator[str]:
    own = set(body) - {"__is_block__"} - (OF_TERRAFORM if is_top else set())
    yield from (f"{where}: no argument {name}" for name in sorted(own - known.arguments))
    yield from (f"{where}: {name} is required" for name in sorted(known.required - own))
    for name, inner in known.inner.items():
        for each in body.get(name, []) if isinstance(body.get(name), list) else []:
            if isinstance(each, dict):
                yield from faults(f"{where}.{name}", each, inner, is_top=False)


@pytest.mark.parametrize(
    "name",
    [
        "as it comes",
        "a probe through the sidecar",
        "a probe without a sidecar",
        "others may reach it",
        "more storage than is included",
        "models from storage",
        "behind one that the internet reaches",
        "behind edges",
        "behind a Front Door with names and a firewall",
        "sites of both clouds behind a Front Door",
        "on machines with GPUs",
        "on private machines with GPUs, which the cloud scales",
        "on machines with GPUs that ECS keeps",
        "models from storage at Azure, through a private endpoint",
        "spares in a standby pool",
        "on container apps with GPUs",
        "on virtual machines with GPUs at Azure",
        "behind edges at Azure",
        "secrets of Key Vault",
        "Azure's alerts scale",
    ],
)
def test_the_providers_know_every_word_and_miss_none(name: str, tmp_path: Path) -> None:
    wish = spec(SPECS[name])
    written(wish, nothing(wish), tmp_path)
    found = []
    for kind in ("resource", "ephemeral", "data"):
        for of_type, label, body in blocks(tmp_path, kind):
            known = schema(of_type, kind)
            assert known, f"the provider has no {kind} {of_type}"
            found += list(faults(f"{of_type}.{label}", body, known))
    assert found == []


@pytest.mark.parametrize("name", [name for name in SPECS if any(each in name for each in BY_AZAPI)])
def test_what_azapi_sends_is_as_microsofts_own_schemas_have_it(name: str, tmp_path: Path) -> None:
    """What Terraform alone will know, a revision and keys, is put in first."""
    wish = spec(SPECS[name])
    sent = [each for each in written(wish, nothing(wish), tmp_path).known.values() if "parent_id" in each]
    assert sent
    for each in sent:
        of_type, _, version = each["type"].partition("@")
        assert schemas.judging_version(of_type, version) == version
        hidden = each.get("sensitive_body", {}).get("properties", {})  # whole lists, which come out the same if merged
        body = {**each["body"], "properties": {**each["body"]["properties"], **hidden}}
        whole = {"location": each["location"], "tags": each["tags"], **known_later(body), **as_sent(each)}
        schemas.check(of_type, version, (each["name"],), whole)
        with pytest.raises(ArmError, match="The request content was invalid"):
            schemas.check(of_type, version, (each["name"],), {**whole, "properties": "none"})


def as_sent(values: dict[str, Any]) -> dict[str, Any]:
    """The block `identity` as azapi sends it."""
    if "identity" not in values:
        return {}
    told = values["identity"]
    return {"identity": {"type": told["type"], "userAssignedIdentities": {each: {} for each in told["identity_ids"]}}}


def known_later(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: known_later(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [known_later(each) for each in value]
    return {"revision": 1}.get(name, "known later") if value is None else value


def test_a_wrong_word_would_be_found(tmp_path: Path) -> None:
    """The check itself: an argument too many, one too few, and both of them in a nested block."""
    known = schema("azurerm_container_group")
    assert known
    body = {"name": "a", "container": [{"name": "b", "image": "c", "cpu": 1, "colour": "red"}], "colour": "red"}
    assert sorted(faults("x", body, known)) == [
        "x.container: memory is required",
        "x.container: no argument colour",
        "x: location is required",
        "x: no argument colour",
        "x: os_type is required",
        "x: resource_group_name is required",
    ]
    assert schema("aws_no_such_thing") is None


def test_the_pinned_versions_are_those_whose_schemas_were_read() -> None:
    pinned = {name: number for name, _, number in (*module.PROVIDERS.values(), module.AZAPI)}
    assert pinned == {name: version(name) for name in ("aws", "azurerm", "azapi")}


def test_two_readers_find_the_same_resources_and_imports(tmp_path: Path) -> None:
    wish = spec({"size": {"storage": "20GiB"}})
    read: Module = written(wish, standing(wish), tmp_path)
    assert {f"{kind}.{label}" for kind, label, _ in blocks(tmp_path)} == {
        address.partition("[")[0] for address in read.resources
    }
    imports = hcl2.loads((tmp_path / "imports.tf").read_text())["import"]
    assert {each["to"].removeprefix("${").removesuffix("}"): each["id"].strip('"') for each in imports} == read.imports
