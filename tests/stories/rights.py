"""Exported permissions held against the calls of a stage: what each call needed, and what the files allow."""

from __future__ import annotations

import json
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

from places import Place

from arriero.rehearse.permissions import AwsPolicies, AzureRole, Need

Documents = dict[str, dict[str, Any]]
_LISTS = ("Action", "Actions", "DataActions")


def documents(folder: Path) -> Documents:
    return {path.name: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def needs_of(calls: Iterable[dict[str, Any]]) -> list[tuple[str, Need]]:
    """Each different permission once, with its cloud."""
    found = {(call["cloud"], json.dumps(need, sort_keys=True)) for call in calls for need in call.get("needs", ())}
    return [(cloud, Need.of(json.loads(text))) for cloud, text in sorted(found)]


def unknown(calls: Iterable[dict[str, Any]]) -> set[str]:
    """What no table says the needs of."""
    return {call["action"] for call in calls if any(need.get("unknown") for need in call.get("needs", ()))}


def refused(given: Documents, needs: list[tuple[str, Need]]) -> list[Need]:
    aws = AwsPolicies(document for name, document in given.items() if name.startswith("aws"))
    azure = AzureRole(*(document for name, document in given.items() if name.startswith("azure")))
    return [need for cloud, need in needs if not (aws if cloud == "aws" else azure).allows(need)]


def actions_of(given: Documents) -> set[str]:
    parts = [part for document in given.values() for part in (document, *document.get("Statement", ()))]
    return {action for part in parts for name in _LISTS for action in part.get(name, ())}


def only_without(given: Documents, action: str) -> Documents:
    return {name: without(document, action) for name, document in given.items()}


def without(document: dict[str, Any], action: str) -> dict[str, Any]:
    less = deepcopy(document)
    for part in (less, *less.get("Statement", ())):
        for name in _LISTS:
            if name in part:
                part[name] = [each for each in part[name] if each != action]
    return less


def put(given: Documents, folder: Path) -> None:
    folder.mkdir()
    for name, document in given.items():
        (folder / name).write_text(json.dumps(document))


def fails_without(place: Place, *actions: str) -> None:
    """Exports to `iam`, and deploys under all of it but these actions, which fails and names each."""
    assert place.arriero("export", "iam", "--out", "iam").code == 0
    given = documents(place.folder / "iam")
    for action in actions:
        given = only_without(given, action)
    put(given, place.folder / "less")
    assert place.arriero("rehearse", "start", "--permissions", "less").code == 0
    up = place.arriero("up", "--yes")
    assert up.code == 1
    for action in actions:
        assert action in up.err + up.out, up.err + up.out
    assert "Traceback" not in up.err + up.out


def spare_of(given: Documents, calls: Iterable[dict[str, Any]]) -> set[str]:
    """Actions that none of the calls needs, which are all known, and allowed."""
    calls = list(calls)
    assert unknown(calls) == set()
    needs = needs_of(calls)
    assert refused(given, needs) == []
    return {action for action in actions_of(given) if not refused(only_without(given, action), needs)}
