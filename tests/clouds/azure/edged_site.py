"""A site at Azure with edges, as a test asks it: its spec, its keys in a vault, and questions through its ingress."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from azure_sites import Azure, site

from arriero.rehearse.azure.world import SUBSCRIPTION
from arriero.spec.model import ResolvedSite
from key_vault import GROUP, MANAGEMENT, VAULT, Hand
from way_in import connected_by_name, key_and_hashes

IDENTITY = f"/subscriptions/{SUBSCRIPTION}{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/llm-edge"
QUESTION = {"model": "llama2", "prompt": "hello", "stream": False}


class Keyed:
    """The secret that holds the keys, who may read it, and the text of one of them."""

    def __init__(self, hand: Hand, folder: Path) -> None:
        self.key, self.hashes = key_and_hashes(folder)
        hand.make_vault()
        hand.keep("llm-keys", self.hashes)
        path = IDENTITY.removeprefix(f"/subscriptions/{SUBSCRIPTION}")
        made = hand.ask("PUT", hand.managed(path), {"location": "eastus"}, "2023-01-31", MANAGEMENT)
        assert made.status_code < 300, made.text
        self.address = f"{VAULT}/secrets/llm-keys"

    @property
    def edges(self) -> dict[str, Any]:
        return {"keys": self.address, "identity": IDENTITY}

    def wish(self, count: int = 2, allow_from: tuple[str, ...] = (), **more: Any) -> ResolvedSite:
        own = {"deploy": {"stop_within": "5s"}, **more}
        return site(**own, ingress={"edges": {**self.edges, "count": count, "allow_from": list(allow_from)}})


def place(azure: Azure) -> tuple[str, str]:
    """The name of the edges, and the address of their ingress."""
    found = azure.read()
    app, around = found.find("azure.edges"), found.find("azure.edge_environment")
    assert app
    assert around
    return str(app.details["host"]), str(around.details["address"])


def asked(azure: Azure, key: str = "", path: str = "/api/generate", **more: Any) -> http.client.HTTPResponse:
    connection = connected_by_name(azure.folder, *place(azure))
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    connection.request("POST", path, json.dumps({**QUESTION, **more}), headers)
    return connection.getresponse()


def processes(azure: Azure, container: str) -> Mapping[int, str]:
    """The addresses of those that run, by their process."""
    return {row.pid: row.address for row in azure.emulator.containers() if row.container == container}
