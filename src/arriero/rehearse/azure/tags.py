"""Which tags each resource type refuses.

Source: Microsoft's page "Use tags to organize your Azure resources", section Limitations: 50 tags, names of 512
characters (storage accounts 128), values of 256, none of <>%&\\?/ in a name; 15 tags on Automation, CDN and DNS; no `:`
or `#` in names on Front Door; no spaces, brackets or leading digits in names on DNS zones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from arriero.rehearse.azure.answers import ArmError

_FIFTEEN_ONLY = (
    "microsoft.cdn/",
    "microsoft.network/dnszones",
    "microsoft.network/privatednszones",
    "microsoft.automation/",
)
_DNS = ("microsoft.network/dnszones", "microsoft.network/privatednszones")
_FORBIDDEN = re.compile(r"[<>%&\\?/]")
_FORBIDDEN_FRONT_DOOR = re.compile(r"[<>%&\\?/#:]")
_FORBIDDEN_DNS = re.compile(r"[<>%&\\?/:\s()]|^\d")


def check(resource_type: str, tags: Any) -> None:
    """Raises what Resource Manager answers to tags that the type cannot carry."""
    lower = resource_type.lower()
    if not isinstance(tags, Mapping) or not all(isinstance(value, str) for value in tags.values()):
        raise ArmError(400, "InvalidTagsFormat", "The tags must be an object of names with text values.")
    most = 15 if lower.startswith(_FIFTEEN_ONLY) else 50
    if len(tags) > most:
        message = f"The number of tags '{len(tags)}' exceeds the maximum of '{most}' for '{resource_type}'."
        raise ArmError(400, "TooManyTags", message)
    longest = 128 if lower == "microsoft.storage/storageaccounts" else 512
    _refuse(
        tags, lambda name: not 0 < len(name) <= longest, "InvalidTagNameLength", f"have not 1 to {longest} characters"
    )
    _refuse(
        tags, lambda name: len(tags[name]) > 256, "InvalidTagValueLength", "have a value of more than 256 characters"
    )
    forbidden = _forbidden(lower)
    _refuse(tags, lambda name: bool(forbidden.search(name)), "InvalidTagNameCharacters", "contain invalid characters")
    reserved = ("microsoft", "azure", "windows")
    _refuse(tags, lambda name: name.lower().startswith(reserved), "ReservedTagName", "begin with a reserved prefix")


def _forbidden(lower: str) -> re.Pattern[str]:
    if lower.startswith("microsoft.cdn/"):
        return _FORBIDDEN_FRONT_DOOR
    return _FORBIDDEN_DNS if lower.startswith(_DNS) else _FORBIDDEN


def _refuse(tags: Mapping[str, str], is_wrong: Callable[[str], bool], code: str, what: str) -> None:
    if wrong := [name for name in tags if is_wrong(name)]:
        raise ArmError(400, code, f"The following tag names {what}: '{', '.join(wrong)}'.")
