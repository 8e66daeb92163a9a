"""The ledger's bucket: what it is like, and the credentials with which objects are read and written in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from botocore.exceptions import ClientError

from arriero.clouds.aws.clients import HOME_REGION, clients
from arriero.clouds.aws.errors import LOGIN, door
from arriero.errors import CloudError, Problem
from arriero.events import Json
from arriero.plan.model import SERVICE_TAG, Resource, StoreFacts

_NOT_THERE = ("NoSuchBucket", "404", "NoSuchTagSet", "NoSuchPublicAccessBlockConfiguration")
_BLOCKS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
_LIFE = timedelta(minutes=15)


def read_store(_: str, name: str, region: str) -> StoreFacts:
    """The bucket, by four calls side by side. Raises CloudError, also where it is somebody else's."""
    with door("", region), ThreadPoolExecutor(4, thread_name_prefix="bucket") as pool:
        s3 = clients().get("s3", region)
        calls = (s3.get_bucket_location, s3.get_bucket_tagging, s3.get_bucket_versioning, s3.get_public_access_block)
        place, tagging, versioning, block = pool.map(lambda call: _answer(call, name), calls)
    if place is None:
        return StoreFacts("aws", name, region)
    where = str(place["LocationConstraint"] or HOME_REGION)
    tags = {tag["Key"]: tag["Value"] for tag in (tagging or {}).get("TagSet", ())}
    properties = {
        "location": where,
        "versioning": (versioning or {}).get("Status") == "Enabled",
        "is_private": all((block or {}).get("PublicAccessBlockConfiguration", {}).get(each) for each in _BLOCKS),
        "tags": {SERVICE_TAG: tags.get(SERVICE_TAG)},
    }
    return StoreFacts("aws", name, where, (Resource("aws.bucket", name, properties, tags=tags),))


def credentials() -> Callable[[], Mapping[str, Any]]:
    """Asked anew before they end; a role's or a session's are renewed by the SDK. Raises CloudError without any."""
    found = clients().credentials()
    if found is None:
        raise CloudError("", Problem("there are no AWS credentials", LOGIN))

    def give() -> Mapping[str, Any]:
        now = found.get_frozen_credentials()
        expires = datetime.now(UTC) + _LIFE if now.token else None
        return {
            "access_key_id": now.access_key,
            "secret_access_key": now.secret_key,
            "token": now.token,
            "expires_at": expires,
        }

    return give


def store_variables(service: str, found: StoreFacts) -> dict[str, Json]:
    """What the role `aws_ledger` needs."""
    tags: dict[str, Json] = {SERVICE_TAG: service}
    return {"aws_ledger_bucket": found.name, "aws_ledger_region": found.region, "aws_ledger_tags": tags}


def _answer(call: Callable[..., Any], bucket: str) -> Mapping[str, Any] | None:
    try:
        return cast("Mapping[str, Any]", call(Bucket=bucket))
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _NOT_THERE:
            return None
        raise
