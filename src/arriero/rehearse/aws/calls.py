"""One API call as it came in: who calls, what, in which region; read from the request alone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

import botocore.session
from botocore.exceptions import UnknownServiceError
from moto.core.request import Request
from moto.core.routing import get_service_router
from werkzeug.exceptions import NotFound

# Services whose endpoint is one for all regions: a fault of one region does not reach them.
GLOBAL_SERVICES = frozenset({"iam", "route53", "cloudfront", "organizations"})

_SCOPE = re.compile(r"Credential=(?P<key>[^/]+)/[^/]*/(?P<region>[^/]*)/(?P<service>[^/]*)/aws4_request")
# Services whose signatures carry another name than the SDK's.
_MODELS = {"elasticloadbalancing": "elbv2", "monitoring": "cloudwatch", "elasticfilesystem": "efs"}
_READS = (
    "Assume",
    "BatchGet",
    "Check",
    "Describe",
    "Filter",
    "Get",
    "Head",
    "List",
    "Lookup",
    "Query",
    "Scan",
    "Select",
)
_NAMES = (
    *("service", "serviceName", "clusterName", "family", "task", "taskDefinition", "cluster", "resourceArn"),
    *("logGroupName", "repositoryName", "RoleName", "PolicyName", "GroupName", "GroupId", "VpcId", "SubnetId"),
    *("RouteTableId", "InternetGatewayId", "ResourceId.1", "CidrBlock", "SecretId", "Name", "name"),
)


@dataclass(frozen=True, slots=True)
class Call:
    """`service` is the name in the signature's scope (`ecs`, `ec2`, `elasticloadbalancing`…); `key` the access key id.

    `protocol` is how that service speaks: json, query, ec2, rest-json, rest-xml or smithy-rpc-v2-cbor. `fields` is the
    body's top level, and never written down.
    """

    service: str
    region: str
    action: str
    name: str
    key: str
    client: str
    protocol: str
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def label(self) -> str:
        return f"{self.service}:{self.action}"

    @property
    def writes(self) -> bool:
        return not self.action.startswith(_READS)

    @property
    def is_regional(self) -> bool:
        return self.service not in GLOBAL_SERVICES


def read_call(environ: Mapping[str, Any], body: bytes) -> Call:
    """What the request says; fields that it does not say are empty."""
    presigned = parse_qs(environ.get("QUERY_STRING", "")).get("X-Amz-Credential", [""])[0]
    scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION") or f"Credential={presigned}")
    service, region, key = (scope["service"].lower(), scope["region"], scope["key"]) if scope else ("", "", "")
    fields = _fields(environ, body)
    return Call(
        service=service,
        region=region,
        action=_action(environ, fields, service),
        name=_name(environ, fields),
        key=key,
        client=environ.get("HTTP_USER_AGENT", ""),
        protocol=_protocol(service),
        fields=fields,
    )


def _fields(environ: Mapping[str, Any], body: bytes) -> dict[str, Any]:
    """The body's top level, JSON or form; of a list of objects to delete, whether it names versions.

    Empty for other bodies (objects on their way to S3).
    """
    kind = environ.get("CONTENT_TYPE", "")
    if environ.get("REQUEST_METHOD") == "POST" and "delete" in parse_qs(environ.get("QUERY_STRING", ""), True):
        versions, objects = body.count(b"<VersionId>"), body.count(b"<Key>")
        return {name: True for name, is_so in (("VersionId", versions), ("unversioned", objects > versions)) if is_so}
    if "json" in kind:
        try:
            found = json.loads(body or b"{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}
    if "form-urlencoded" in kind:
        return {name: values[0] for name, values in parse_qs(body.decode(errors="replace")).items()}
    return {}


def _action(environ: Mapping[str, Any], fields: Mapping[str, Any], service: str) -> str:
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return str(target).rsplit(".", 1)[-1]
    if action := fields.get("Action"):
        return str(action)
    try:
        operation, _ = get_service_router(_MODELS.get(service, service)).match(Request(dict(environ)))
        return str(operation.name)
    except (NotFound, NotImplementedError, ValueError, UnknownServiceError):
        return str(environ.get("REQUEST_METHOD", "")).title()


def _name(environ: Mapping[str, Any], fields: Mapping[str, Any]) -> str:
    for name in _NAMES:
        value = fields.get(name)
        if isinstance(value, str) and value:
            return value
    path = str(environ.get("PATH_INFO", "/"))
    return "" if path == "/" else path


@lru_cache
def _protocol(service: str) -> str:
    try:
        model = botocore.session.get_session().get_service_model(_MODELS.get(service, service))
    except UnknownServiceError:
        return "json"
    return str(model.metadata["protocol"])
