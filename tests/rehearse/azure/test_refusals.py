"""What the emulated Azure refuses, as data: tests/cases/azure-refusals."""

from __future__ import annotations

import gzip
import json
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st
from running_azure import container, group, patched

from arriero.clock import ManualClock
from arriero.rehearse.azure import group_rules, resources, schemas, tags, types
from arriero.rehearse.azure.answers import ArmError, Request
from arriero.rehearse.azure.ids import ResourceId, group_key
from arriero.rehearse.azure.secrets import Seal, hidden
from arriero.rehearse.azure.world import SUBSCRIPTION, World

CASES = Path(__file__).parents[2] / "cases" / "azure-refusals"
RG = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"


def cases(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((CASES / name).read_text())
    return found


def put(world: World, name: str, body: dict[str, Any], version: str = "2025-09-01") -> Any:
    path = f"{RG}/providers/Microsoft.ContainerInstance/containerGroups/{name}"
    raw = json.dumps(body).encode()
    request = Request.of("PUT", "management.azure.com", f"{path}?api-version={version}", {}, raw)
    resource = ResourceId.parse(path)
    assert resource
    return resources.answer(world, request, resource)


def test_a_network_with_a_wrong_subnet_is_not_made_at_all(world: World) -> None:
    space = {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}
    subnets = [{"name": "in", "properties": {"addressPrefix": "10.0.1.0/24"}}]
    subnets.append({"name": "twice", "properties": {"addressPrefix": "10.0.1.128/25"}})
    path = f"{RG}/providers/Microsoft.Network/virtualNetworks/net"
    raw = json.dumps({"location": "eastus", "properties": {**space, "subnets": subnets}}).encode()
    resource = ResourceId.parse(path)
    assert resource
    with pytest.raises(ArmError) as caught:
        resources.answer(world, Request.of("PUT", "h", f"{path}?api-version=2024-03-01", {}, raw), resource)
    assert caught.value.code == "NetcfgSubnetRangesOverlap"
    assert list(world.state.resources) == [group_key(SUBSCRIPTION, "rg")]


@pytest.mark.parametrize("case", cases("groups.json"), ids=lambda case: case["name"])
def test_a_group_that_cannot_be_is_refused(world: World, case: dict[str, Any]) -> None:
    with pytest.raises(ArmError) as caught:
        put(world, "g", patched(group(), case["patch"]))
    assert (caught.value.code, case["says"] in caught.value.message) == (case["code"], True), caught.value.message
    assert not world.state.runs


@pytest.mark.parametrize("case", cases("tags.json"), ids=lambda case: f"{case['type']} {case['tags']}")
def test_tags_are_refused_where_the_type_cannot_carry_them(case: dict[str, Any]) -> None:
    code = ""
    try:
        tags.check(case["type"], case["tags"])
    except ArmError as error:
        code = error.code
    assert code == case["code"]


def test_fifty_tags_are_the_most() -> None:
    tags.check("Microsoft.Network/virtualNetworks", {f"t{n}": "" for n in range(50)})
    with pytest.raises(ArmError, match="maximum of '50'"):
        tags.check("Microsoft.Network/virtualNetworks", {f"t{n}": "" for n in range(51)})


@pytest.mark.parametrize(
    ("patch", "allowed"),
    [
        ({"/containers/0/properties/image": "acme/llm:2"}, True),
        ({"/containers/0/properties/environmentVariables": [{"name": "A", "value": "b"}]}, True),
        ({"/containers/0/properties/resources/requests/cpu": 2}, False),
        ({"/containers/0/properties/resources/requests/memoryInGB": 3}, False),
        ({"/restartPolicy": "Never"}, False),
        ({"/osType": "Windows"}, False),
    ],
)
def test_an_update_in_place_takes_what_azure_takes(world: World, patch: dict[str, Any], allowed: bool) -> None:
    assert put(world, "g", group()).status == 201
    if allowed:
        assert put(world, "g", patched(group(), patch)).status == 200
        return
    with pytest.raises(ArmError) as caught:
        put(world, "g", patched(group(), patch))
    assert caught.value.code == "InvalidContainerGroupUpdate"


def test_a_hundred_creations_in_five_minutes_are_the_most(world: World, clock: ManualClock) -> None:
    world.state.creates["eastus"] = [clock.now().timestamp()] * 100
    with pytest.raises(ArmError) as caught:
        put(world, "g", group())
    assert (caught.value.status, caught.value.headers) == (429, {"Retry-After": "301"})
    clock.sleep(301)
    assert put(world, "g", group()).status == 201


def test_three_hundred_creations_an_hour_are_the_most(world: World, clock: ManualClock) -> None:
    world.state.creates["eastus"] = [clock.now().timestamp()] * 300
    clock.sleep(3000)
    with pytest.raises(ArmError) as caught:
        put(world, "g", group())
    assert caught.value.headers == {"Retry-After": "601"}


def test_a_hundred_groups_a_region_are_the_most(world: World) -> None:
    small = container()
    small["properties"]["resources"]["requests"]["cpu"] = 0.1
    for n in range(100):
        world.state.creates.clear()
        put(world, f"g{n}", group(small))
    world.state.creates.clear()
    with pytest.raises(
        ArmError, match=r"quota 'ContainerGroups' exceeded in region 'eastus'. Limit: '100', Usage: '100'"
    ):
        put(world, "more", group(small))
    assert put(world, "other", group(small, location="westus2")).status == 201


@pytest.mark.parametrize(
    ("path", "version", "code"),
    [
        ("Microsoft.ContainerInstance/containerGroups/g", "1999-01-01", "NoRegisteredProviderFound"),
        ("Microsoft.ContainerInstance/boats/g", "2025-09-01", "InvalidResourceType"),
        ("Acme.Boats/boats/g", "2025-09-01", "InvalidResourceNamespace"),
    ],
)
def test_unknown_types_and_versions_are_refused(path: str, version: str, code: str) -> None:
    found = ResourceId.parse(f"{RG}/providers/{path}")
    assert found
    with pytest.raises(ArmError) as caught:
        types.check_type(found.type, version, "eastus")
    assert caught.value.code == code


def test_the_index_of_schemas_says_what_the_files_say() -> None:
    folder = files("arriero.rehearse.azure") / "schemas"
    index = json.loads((folder / "index.json").read_text())
    for entry in index.values():
        for version, (name, section, definition) in entry["versions"].items():
            own = folder / name
            schema = json.loads(
                own.read_bytes() if own.is_file() else gzip.decompress((folder / f"{name}.gz").read_bytes())
            )
            properties = schema[section][definition]["properties"]
            assert (properties["type"]["enum"], properties["apiVersion"]["enum"]) == ([entry["type"]], [version])


def test_judging_is_quick_once_a_schema_is_read() -> None:
    body = group()
    schemas.check("Microsoft.ContainerInstance/containerGroups", "2025-09-01", ("g",), body)
    began = time.process_time()
    for _ in range(20):
        schemas.check("Microsoft.ContainerInstance/containerGroups", "2025-09-01", ("g",), body)
    assert (time.process_time() - began) / 20 < 0.05


_json = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | (st.dictionaries(st.sampled_from(["name", "secureValue", "password", "secret", "x"]), inner, max_size=3))
    ),
    max_leaves=8,
)


@given(_json)
def test_sealing_comes_back_and_hides_every_secret(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    seal = Seal.__new__(Seal)
    seal._fernet = Fernet(b"A" * 43 + b"=")
    assert seal.unseal(seal.seal(value)) == value
    assert not {"secureValue", "password"} & set(_keys(hidden(value)))


def _keys(value: Any) -> list[str]:
    if isinstance(value, list):
        return [key for inner in value for key in _keys(inner)]
    if isinstance(value, dict):
        return [*value, *(key for inner in value.values() for key in _keys(inner))]
    return []


_part = st.from_regex(r"[A-Za-z][A-Za-z0-9._-]{0,8}", fullmatch=True)


@given(st.lists(st.tuples(_part, _part), min_size=1, max_size=3))
def test_an_id_taken_apart_is_the_id(pairs: list[tuple[str, str]]) -> None:
    path = f"{RG}/providers/Acme.Boats/" + "/".join(f"{kind}/{name}" for kind, name in pairs)
    found = ResourceId.parse(path)
    assert found is not None
    assert (found.path, found.group, found.names) == (path, "rg", tuple(name for _, name in pairs))
    assert found.is_child == (len(pairs) > 1)


def test_the_limits_are_those_of_the_facts() -> None:
    assert (group_rules.MOST_CPU, group_rules.MOST_MEMORY_GB, group_rules.MOST_PORTS) == (31, 240, 5)
