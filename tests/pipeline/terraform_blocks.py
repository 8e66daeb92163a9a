"""A Terraform module as tfparse evaluates it: blocks by type, to be taken out as they are understood."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tfparse

Values = dict[str, Any]
Key = tuple[str, str]
# Kind and name of a resource of the plan, its properties and its tags.
Read = Iterator[tuple[str, str, Values, Values]]

IMPORT = re.compile(r'import \{\n  to = (\S+?)(\[".*"\])?\n  id = "(.*)"\n\}')
ADDRESS = re.compile(
    r'(?:azurerm_container_group|azapi_resource)\.\w+\["([\w-]+)"\]\.(?:ip_address|output\.properties\.ipAddress\.ip)'
)
READER = re.compile(
    r'ephemeral "azapi_data_plane_resource" "(\w+)" \{\n'
    r'  type +=.*\n  parent_id += "([\w-]+)\.vault\.azure\.net"\n  name += "([\w/-]+)"\n'
)
ALERTS_KEY = re.compile(r"\$\{urlencode\(trimspace\(var\.(\w+)\)\)\}")
WATCHED = re.compile(r"(?:azurerm_container_group|azapi_resource)\.\w+\[each\.value\.target\]\.id")
EDGES = re.compile(r'resource "azapi_resource" "(\w+)_edges" \{\n  type +=.*\n  name += "([\w-]+)"\n')
DOOR_ID = "11111111-2222-3333-4444-555555555555"
"""What a Front Door is taken to say of itself, where it is."""
DOMAIN = re.compile(r"\$\{(azapi_resource\.\w+)\.output\.properties\.defaultDomain\}")
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Module:
    """All `resource` blocks of a folder, `for_each` unrolled, references as `type.label`."""

    def __init__(self, folder: Path) -> None:
        with TemporaryDirectory() as copy:
            for file in folder.glob("*.tf"):
                (Path(copy) / file.name).write_text(_with_what_comes(file.read_text()))
            parsed = tfparse.load_from_path(copy)
        rows = [each for kind, found in parsed.items() if kind not in ("provider", "terraform") for each in found]
        self.providers: list[Values] = parsed.get("provider", [])
        names = {each["id"]: each["__tfmeta"]["path"].partition("[")[0] for each in rows}
        self.resources = {each["__tfmeta"]["path"]: _plain(each, names) for each in rows}
        # The same by what references name, `for_each` not unrolled; nothing is taken out of these.
        self.known = {address.partition("[")[0]: dict(values) for address, values in self.resources.items()}
        self.imports = {
            address + (key or ""): identity
            for address, key, identity in IMPORT.findall((folder / "imports.tf").read_text())
        }

    def of(self, kind: str, end: str = "") -> Iterator[tuple[str, Values]]:
        """Each resource of a type, with its address, which has that end; taken out, so that what nobody asks for is
        left.
        """
        for address in [a for a in self.resources if a.startswith(f"{kind}.") and a.endswith(end)]:
            yield address, self.resources.pop(address)


def _with_what_comes(text: str) -> str:
    """What only a provider can tell, as a text that says what it is of: tfparse would give nothing for the whole."""
    for label, vault, name in READER.findall(text):
        value = f"ephemeral.azapi_data_plane_resource.{label}.output.value"
        text = re.sub(rf"jsondecode\({value}\)\.(\w+)", rf'"\1 of {vault}/{name}"', text)
        text = text.replace(value, f'"value of {vault}/{name}"')
    text = WATCHED.sub('"${each.value.target}"', ALERTS_KEY.sub(r"value of \1", text))
    text = text.replace("azurerm_cdn_frontdoor_profile.front_door.resource_guid", f'"{DOOR_ID}"')
    for label, name in EDGES.findall(text):
        text = text.replace(f"${{azapi_resource.{label}_edges.name}}", name)
    return DOMAIN.sub(r"domain.of.\1", ADDRESS.sub(r'"address of \1"', text))


def _plain(value: Any, names: Mapping[str, str], is_block: bool = True) -> Any:
    """Without tfparse's own: of a block that is `id` among others, and within a body of azapi an argument."""
    if isinstance(value, dict):
        left_out = ("__tfmeta", "id", "provider", "for_each", "lifecycle") if is_block else ()
        bodies = ("body", "sensitive_body") if is_block else tuple(value)
        return {
            key: _plain(each, names, is_block=key not in bodies) for key, each in value.items() if key not in left_out
        }
    if isinstance(value, list):
        return [_plain(each, names, is_block) for each in value]
    return _named(value, names) if isinstance(value, str) else value


def _named(value: str, names: Mapping[str, str]) -> str:
    """Ids stand alone, or in the JSON of an output."""
    if '"' not in value:
        return names.get(value, value)
    return _ID.sub(lambda found: names.get(found[0], found[0]), value)


def many(values: Values, name: str) -> list[Values]:
    """Nested blocks: tfparse gives one as itself and several as a list."""
    found = values.pop(name, [])
    return found if isinstance(found, list) else [found]


def done(values: Values) -> None:
    assert not values, f"an argument that the plan does not know: {values}"
