"""A case of `cases/policy`: a spec, and if need be a scan's report and what was changed by hand; then what is said.

<the spec>
===== scan
<what policy.scan names>
===== facts
<site> <kind> <property, dotted> <JSON>      the site is as wished but for these
<site> problem <words>
<site> front_door <id>                       what the service's Front Door says in X-Azure-FDID
===== says
<one line a finding, one a way in>
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from arriero.cli.checking import line_of
from arriero.errors import Problem
from arriero.plan import place
from arriero.plan.model import Facts, Resource, SiteFacts, TargetFacts
from arriero.policy.check import check
from arriero.spec.load import load
from arriero.spec.model import Spec

TODAY = date(2026, 11, 24)
PARTS = re.compile(r"^===== (\w+)\n", re.MULTILINE)


def parts(text: str) -> dict[str, str]:
    first, *rest = PARTS.split(text)
    return {"spec": first, **dict(zip(rest[::2], rest[1::2], strict=True))}


def said(text: str, folder: Path) -> list[str]:
    """What a check of the case says; the files are written into `folder`, which is where the test stands."""
    case = parts(text)
    (folder / "arriero.yaml").write_text(case["spec"])
    if "scan" in case:
        (folder / "trivy.json").write_text(case["scan"])
    loaded = load(Path("arriero.yaml"), None, {})
    facts = as_wished(loaded.spec, case["facts"]) if "facts" in case else None
    verdict = check(loaded.spec, folder, TODAY, facts)
    return [*(line_of(finding, loaded) for finding in verdict.findings), *map(str, verdict.ways)]


def as_wished(spec: Spec, edits: str) -> Facts:
    """Every site as its plan wants it, but for the edits."""
    nothing = Facts(spec.name, {n: SiteFacts(n, s.cloud, s.region) for n, s in spec.sites.items()})
    sites = {
        planned.site: replace(
            nothing.sites[planned.site], resources=tuple(_edited(planned.site, planned.wanted, edits))
        )
        for planned in place.plan(spec, nothing).sites
    }
    for line in edits.splitlines():
        site, what, rest = line.split(" ", 2)
        if what == "problem":
            sites[site] = replace(sites[site], problem=Problem(rest), resources=())
        if what == "front_door":
            sites[site] = replace(sites[site], front_door=rest)
        if what == "target":
            sites[site] = replace(sites[site], targets=(TargetFacts("t", site, "ready", rest),))
    return Facts(spec.name, sites)


def _edited(site: str, wanted: tuple[Resource, ...], edits: str) -> Iterator[Resource]:
    rows = [line.split(" ", 3) for line in edits.splitlines() if line.startswith(f"{site} ") and line.count(" ") > 2]
    for resource in wanted:
        properties: Mapping[str, Any] = resource.properties
        for _, kind, path, value in rows:
            if kind == resource.kind:
                properties = _with(properties, path.split("."), frozen(json.loads(value)))
        yield replace(resource, properties=properties)


def _with(values: Mapping[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    return {**values, path[0]: _with(values[path[0]], path[1:], value) if len(path) > 1 else value}


def frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: frozen(part) for key, part in value.items()}
    return tuple(map(frozen, value)) if isinstance(value, list) else value
