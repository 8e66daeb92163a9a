"""Blobs of storage accounts: the calls that a ledger makes, as Azure answers them.

Put, get, head, delete with If-Match and If-None-Match, and list by prefix, each signed with a key of the account
(Shared Key). A container is there if Resource Manager knows it. All of it happens under the state's lock, so that a
condition and its write are one. Held against Azurite by `tests/rehearse/azure/test_blobs.py`. Sources: Microsoft's
pages "Authorize with Shared Key" and "Specifying conditional headers for Blob service operations".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

from arriero.rehearse.azure import accounts
from arriero.rehearse.azure.answers import Answer, Request
from arriero.rehearse.azure.ids import ResourceId
from arriero.rehearse.azure.world import World

SUFFIX = ".blob.core.windows.net"
_TYPE = "microsoft.storage/storageaccounts"
_SIGNED = (
    *("content-encoding", "content-language", "content-length", "content-md5", "content-type", "date"),
    *("if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range"),
)
_PAGE = 5000


@dataclass(frozen=True, slots=True)
class Blob:
    data: bytes
    tag: str
    at: datetime


class Blobs:
    """All blobs of the subscription, kept as files in `folder`: a line of JSON, then the content."""

    def __init__(self, folder: Path, world: World) -> None:
        self._folder, self._world = folder, world

    def region(self, request: Request) -> str:
        """The account's; empty where there is no such account."""
        found = self._account(request)
        return str(self._world.state.resources[found.key]["location"]) if found else ""

    def answer(self, request: Request) -> Answer:
        """Answers a request to `<account>.blob.core.windows.net`; to be called under the state's lock."""
        account = self._account(request)
        if account is None:
            return refusal(404, "AccountNotFound", "The specified account does not exist.")
        if not _is_signed(request, account):
            message = "Server failed to authenticate the request. Make sure the value of Authorization header is right."
            return refusal(403, "AuthenticationFailed", message)
        container, _, name = request.path.strip("/").partition("/")
        if f"{account.key}/blobservices/default/containers/{container}" not in self._world.state.resources:
            return refusal(404, "ContainerNotFound", "The specified container does not exist.")
        folder = self._folder / account.name / container
        if not name:
            return _list(folder, request)
        return _METHODS[request.method](folder / quote(name, safe=""), request)

    def forget(self, account: str) -> None:
        """The account is gone, and its blobs with it."""
        for file in sorted((self._folder / account).rglob("*"), reverse=True):
            file.unlink() if file.is_file() else file.rmdir()

    def _account(self, request: Request) -> ResourceId | None:
        wanted = request.host.removesuffix(SUFFIX)
        found = (ResourceId.parse(key) for key in self._world.state.resources)
        return next((one for one in found if one and one.type.lower() == _TYPE and one.name == wanted), None)


def refusal(status: int, code: str, message: str) -> Answer:
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Answer(status, None, {"Content-Type": "application/xml", "x-ms-error-code": code}, body.encode())


def signature(request: Request, account: str, key: str) -> str:
    """What stands in the Authorization header after `SharedKey <account>:`."""
    values = [request.headers.get(name, "") for name in _SIGNED]
    values[2] = "" if values[2] == "0" else values[2]
    own = sorted((name, value.strip()) for name, value in request.headers.items() if name.startswith("x-ms-"))
    headers = "".join(f"{name}:{value}\n" for name, value in own)
    resource = f"/{account}{quote(request.path)}" + "".join(f"\n{k}:{v}" for k, v in sorted(request.query.items()))
    text = "\n".join([request.method, *values, ""]) + headers + resource
    return base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()


def _is_signed(request: Request, account: ResourceId) -> bool:
    given = request.headers.get("authorization", "")
    rights = (signature(request, account.name, accounts.key(account, f"key{n}")) for n in (1, 2))
    return any(hmac.compare_digest(given, f"SharedKey {account.name}:{right}") for right in rights)


def _put(file: Path, request: Request) -> Answer:
    found = _read(file)
    if request.headers.get("if-none-match") == "*" and found:
        return refusal(409, "BlobAlreadyExists", "The specified blob already exists.")
    if (wanted := request.headers.get("if-match")) and not (found and wanted in ("*", found.tag)):
        return _unmet()
    now = datetime.now(UTC)
    count = int(found.tag.strip('"')[2:], 16) if found else 0x8DD0000000000000
    blob = Blob(request.raw, f'"0x{max(count + 1, int(now.timestamp() * 1e7)):X}"', now)
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(".new")
    fresh.write_bytes(json.dumps({"tag": blob.tag, "at": now.isoformat()}).encode() + b"\n" + blob.data)
    fresh.replace(file)
    return Answer(201, None, _headers(blob), b"")


def _get(file: Path, _: Request) -> Answer:
    found = _read(file)
    if found is None:
        return refusal(404, "BlobNotFound", "The specified blob does not exist.")
    headers = {**_headers(found), "Content-Type": "application/octet-stream", "x-ms-blob-type": "BlockBlob"}
    return Answer(200, None, headers, found.data)


def _delete(file: Path, request: Request) -> Answer:
    found = _read(file)
    if found is None:
        return refusal(404, "BlobNotFound", "The specified blob does not exist.")
    if (wanted := request.headers.get("if-match")) and wanted not in ("*", found.tag):
        return _unmet()
    file.unlink()
    return Answer(202, None, {}, b"")


_METHODS = {"PUT": _put, "GET": _get, "HEAD": _get, "DELETE": _delete}


def _list(folder: Path, request: Request) -> Answer:
    """In pages of at most 5,000, by name; the marker is the name to go on with."""
    if request.method != "GET" or request.query.get("comp") != "list":
        return refusal(400, "InvalidQueryParameterValue", "This operation on a container is not emulated.")
    prefix, marker = request.query.get("prefix", ""), request.query.get("marker", "")
    size = int(request.query.get("maxresults") or _PAGE)
    all_names = sorted(unquote(file.name) for file in folder.glob("*") if file.name != ".new")
    names = [name for name in all_names if name.startswith(prefix) and name >= marker]
    page, rest = names[:size], names[size : size + 1]
    blobs = "".join(_listed(name, _read(folder / quote(name, safe=""))) for name in page)
    head = f'<EnumerationResults ServiceEndpoint="https://{request.host}/" ContainerName="{folder.name}">'
    text = (
        f"{head}<Blobs>{blobs}</Blobs><NextMarker>{escape(rest[0]) if rest else ''}</NextMarker></EnumerationResults>"
    )
    body = f'<?xml version="1.0" encoding="utf-8"?>{text}'
    return Answer(200, None, {"Content-Type": "application/xml"}, body.encode())


def _listed(name: str, blob: Blob | None) -> str:
    assert blob is not None
    kind = "<Content-Type>application/octet-stream</Content-Type><BlobType>BlockBlob</BlobType>"
    size = f"{kind}<Content-Length>{len(blob.data)}</Content-Length>"
    when = format_datetime(blob.at, usegmt=True)
    inner = f"<Last-Modified>{when}</Last-Modified><Etag>{escape(blob.tag)}</Etag>{size}"
    return f"<Blob><Name>{escape(name)}</Name><Properties>{inner}</Properties></Blob>"


def _unmet() -> Answer:
    return refusal(412, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met.")


def _headers(blob: Blob) -> Mapping[str, str]:
    return {"ETag": blob.tag, "Last-Modified": format_datetime(blob.at, usegmt=True)}


def _read(file: Path) -> Blob | None:
    if not file.is_file():
        return None
    head, _, data = file.read_bytes().partition(b"\n")
    told = json.loads(head)
    return Blob(data, told["tag"], datetime.fromisoformat(told["at"]))
