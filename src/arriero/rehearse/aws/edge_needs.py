"""What calls about the name of a site's targets are about: its private zone, and the name in it. Both by id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from moto.backends import get_backend

from arriero.rehearse.aws.calls import Call


def zone(call: Call, account: str) -> Iterable[str]:
    """Of a call about the zone, or about a name that is made in it; `new` for one that is being made."""
    return [_arn(call, account, f"namespace/{call.fields.get('NamespaceId') or call.fields.get('Id') or 'new'}")]


def name(call: Call, account: str) -> Iterable[str]:
    return [_arn(call, account, f"service/{call.fields.get('Id') or 'new'}")]


def tags_of(call: Call, account: str, arn: str) -> Mapping[str, str]:
    """Of what has such an ARN; none if there is no such thing."""
    backend: Any = get_backend("servicediscovery")[account][call.region]
    return {tag["Key"]: tag["Value"] for tag in backend.list_tags_for_resource(arn)["Tags"]}


def _arn(call: Call, account: str, name: str) -> str:
    return f"arn:aws:servicediscovery:{call.region}:{account}:{name}"
