"""The ledger's stores on a stage: made by plain calls, and opened from the environment that leads there."""

from __future__ import annotations

import os
from typing import Any

import boto3

from arriero.clouds.azure import ledger
from arriero.clouds.azure.connection import connect
from arriero.releases import objects
from arriero.releases.objects import Objects

BUCKET, REGION = "arriero-many", "us-east-1"
ACCOUNT, KEY = "arrieromany", "ARRIERO_TEST_ACCOUNT_KEY"
_VERSION = "2023-05-01"


def make() -> dict[str, str]:
    """Makes both, as the roles do; returns what `stores` needs in the environment besides."""
    import azure.core.rest as rest

    boto3.client("s3", region_name=REGION).create_bucket(Bucket=BUCKET)
    arm: Any = connect()
    group = f"https://management.azure.com/subscriptions/{arm.subscription}/resourceGroups/many.ledger"
    account = f"{group}/providers/Microsoft.Storage/storageAccounts/{ACCOUNT}"
    tls = {"allowBlobPublicAccess": False, "minimumTlsVersion": "TLS1_2"}
    kind = {"location": "eastus", "sku": {"name": "Standard_LRS"}, "kind": "StorageV2", "properties": tls}
    bodies: dict[str, dict[str, Any]] = {
        f"{group}?api-version=2022-09-01": {"location": "eastus"},
        f"{account}?api-version={_VERSION}": kind,
        f"{account}/blobServices/default/containers/ledger?api-version={_VERSION}": {"properties": {}},
    }
    for url, body in bodies.items():
        arm._client.send_request(rest.HttpRequest("PUT", url, json=body)).raise_for_status()
    return {KEY: ledger.key("many", ACCOUNT).reveal()}


def stores() -> tuple[Objects, Objects]:
    """The bucket, which has the authority, and the account's container."""
    keys = {"access_key_id": os.environ["AWS_ACCESS_KEY_ID"], "secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"]}
    there = {**keys, "token": None, "expires_at": None}
    return objects.in_s3(BUCKET, REGION, lambda: there), objects.in_blob(ACCOUNT, os.environ[KEY])
