"""The emulated blobs answer the calls that a ledger makes as Azurite, Microsoft's own emulator, answers them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from running_azure import Azure

from arriero.clouds.azure import ledger
from arriero.clouds.azure.connection import connect
from arriero.plan import stores
from arriero.releases import objects
from arriero.releases.objects import Objects
from arriero.releases.store import Absent, Conflict, StoreError

VERSION = "2023-05-01"
# Azurite's own account, the same everywhere: https://learn.microsoft.com/azure/storage/common/storage-use-azurite
ACCOUNT, KEY = (
    "devstoreaccount1",
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
)


def make_account(name: str) -> None:
    """What the role `azure_ledger` makes, by Resource Manager."""
    import azure.core.rest as rest

    arm: Any = connect()
    group = f"https://management.azure.com/subscriptions/{arm.subscription}/resourceGroups/llm.ledger"
    account = f"{group}/providers/Microsoft.Storage/storageAccounts/{name}"
    bodies: dict[str, dict[str, Any]] = {
        f"{group}?api-version=2022-09-01": {"location": "eastus"},
        f"{account}?api-version={VERSION}": {
            "location": "eastus",
            "sku": {"name": "Standard_LRS"},
            "kind": "StorageV2",
            "properties": {"allowBlobPublicAccess": False, "minimumTlsVersion": "TLS1_2"},
        },
        f"{account}/blobServices/default/containers/ledger?api-version={VERSION}": {"properties": {}},
    }
    for url, body in bodies.items():
        arm._client.send_request(rest.HttpRequest("PUT", url, json=body)).raise_for_status()


@pytest.fixture
def ours(azure: Azure) -> Iterator[Objects]:
    with azure.entered():
        make_account("arrieroledger")
        yield objects.in_blob("arrieroledger", ledger.key("llm", "arrieroledger").reveal())


@pytest.fixture
def azurites(tmp_path: Path) -> Iterator[Objects]:
    program = os.environ.get("ARRIERO_AZURITE") or shutil.which("azurite-blob")
    if program is None:
        pytest.skip("no azurite-blob: npm install azurite, and name it in ARRIERO_AZURITE")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--blobPort", str(port), "--location", str(tmp_path), "--disableTelemetry", "--skipApiVersionCheck"]
    with subprocess.Popen([program, *options, "--silent"], stdout=subprocess.DEVNULL) as process:
        try:
            wait_for_port(port)
            yield Objects("azure", azurite_store(port))
        finally:
            process.terminate()


def wait_for_port(port: int) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("azurite does not listen")


def azurite_store(port: int) -> Any:
    from azure.storage.blob import BlobServiceClient
    from obstore.store import AzureStore

    endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
    BlobServiceClient(endpoint, credential=KEY).create_container("ledger")
    return AzureStore(
        "ledger", account_name=ACCOUNT, account_key=KEY, endpoint=endpoint, client_options={"allow_http": True}
    )


def judge(store: Objects) -> None:
    """The calls of a ledger, one after the other, and a race."""
    assert list(store.names()) == []
    assert store.read("head.json") is None
    first = store.create("head.json", b"one")
    with pytest.raises(Conflict):
        store.create("head.json", b"other")
    second = store.replace("head.json", b"two", first)
    assert second != first
    with pytest.raises(Conflict):
        store.replace("head.json", b"three", first)
    with pytest.raises(Conflict):
        store.replace("nothing.json", b"x", first)
    found = store.read("head.json")
    assert found is not None
    assert (found.data, found.tag) == (b"two", second)
    # The same content again is another write: its tag is new.
    assert store.replace("head.json", b"two", second) not in (first, second)
    store.overwrite("head.json", b"four")
    for number in range(3):
        store.create(f"releases/{number:08d}-00000001.json", b"{}")
    assert list(store.names("releases/")) == [f"releases/{number:08d}-00000001.json" for number in range(3)]
    assert len(store.names()) == 4
    race(store, lambda n: store.create("race.json", str(n).encode()))
    tag = store.read("race.json").tag  # type: ignore[union-attr]
    race(store, lambda n: store.replace("race.json", f"again {n}".encode(), tag))


def race(store: Objects, write: Callable[[int], str]) -> None:
    def tried(number: int) -> bool:
        try:
            write(number)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(tried, range(16))) == 1


def test_ours_answer_as_the_ledger_needs_it(ours: Objects) -> None:
    judge(ours)


@pytest.mark.wide
def test_azurites_answer_the_same(azurites: Objects) -> None:
    judge(azurites)


def test_a_wrong_key_and_what_is_not_there_are_refused(azure: Azure, ours: Objects) -> None:
    with pytest.raises(StoreError, match="403 Forbidden"):
        objects.in_blob("arrieroledger", "bm90LXRoZS1rZXk=").read("head.json")
    with pytest.raises(Absent):
        objects.in_blob("arrieronowhere", KEY).names()


def test_the_account_is_read_as_it_is_wished(azure: Azure, ours: Objects) -> None:
    found = ledger.read_store("llm", "arrieroledger", "eastus")
    assert [resource.kind for resource in found.resources] == [
        "azure.resource_group",
        "azure.storage_account",
        "azure.blob_container",
    ]
    wish = stores.wanted("azure", "llm", "arrieroledger", "eastus")
    assert found.resources[1].properties["is_private"] is wish[1].properties["is_private"] is True
