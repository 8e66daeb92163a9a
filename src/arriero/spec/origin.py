"""A spec written out again: resolved, and with where each value comes from. Secrets are shown as bullets."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any

from ruamel.yaml import YAML

from arriero.spec.document import KeyPath, Place, dotted
from arriero.spec.load import Loaded
from arriero.spec.model import Spec


def rows(loaded: Loaded) -> list[tuple[str, str, str]]:
    """Every value of the resolved spec: its key, itself as text, and `file:line`, with `(overlay)`, or `default`."""
    leaves = _leaves(_plain(loaded.spec), ())
    return [(dotted(path), _shown(value), _origin(loaded, path)) for path, value in leaves]


def dump(spec: Spec) -> str:
    """The resolved spec as YAML, defaults included; loading it gives the same spec again (but for secrets)."""
    stream = StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.allow_unicode = True
    yaml.dump(_plain(spec), stream)
    return stream.getvalue()


def _plain(spec: Spec) -> dict[str, Any]:
    plain: dict[str, Any] = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    # A site's own sections keep only what it says itself: the rest of them is the service's, not a default.
    written = spec.model_dump(mode="json", by_alias=True, exclude_unset=True)["sites"]
    for name, site in plain["sites"].items():
        for section in ("size", "scale", "ollama", "network"):
            if section in site:
                site[section] = written[name][section]
    return plain


def _leaves(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from _leaves(child, (*path, key))
    elif isinstance(value, list) and value:
        for index, child in enumerate(value):
            yield from _leaves(child, (*path, index))
    else:
        yield path, value


def _shown(value: Any) -> str:
    return {"{}": "none", "[]": "none"}.get(str(value), str(value))


def _origin(loaded: Loaded, path: KeyPath) -> str:
    place: Place | None = loaded.origins.get(dotted(path))
    if place is None:
        return "default"
    return f"{place.file}:{place.line}" + (" (overlay)" if place.source == "overlay" else "")
