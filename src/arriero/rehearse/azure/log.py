"""The record of calls: a line of JSON each, shared with the other clouds of the stage; no bodies, so no secrets."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from arriero.clock import Clock
from arriero.rehearse.azure.answers import Request
from arriero.rehearse.azure.ids import ResourceId
from arriero.rehearse.permissions import Need

_READING_ACTIONS = ("list", "checknameavailability", "sharedkeys", "query")


class RequestLog:
    """Appends whole lines (one write each), so that several writers never mix."""

    def __init__(self, file: Path, clock: Clock) -> None:
        self._clock = clock
        self._file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def request(self, request: Request, region: str, status: int, note: str = "", needs: Iterable[Need] = ()) -> None:
        """A call to Resource Manager or Entra ID; `note` says by what the body was judged, if it had one."""
        action, name = named(request)
        line: dict[str, object] = {
            "region": region,
            "action": action,
            "name": name,
            "client": request.headers.get("user-agent", ""),
        }
        line |= {"writes": is_writing(request), "status": status, "needs": [need.as_json() for need in needs]}
        self._write({**line, **({"judged": note} if note else {})})

    def refused_host(self, host: str) -> None:
        line = {"region": "", "action": "CONNECT", "name": host, "client": "", "writes": False, "status": 403}
        self._write(line)

    def close(self) -> None:
        os.close(self._file)

    def _write(self, line: Mapping[str, object]) -> None:
        whole = {"at": self._clock.now().isoformat(), "cloud": "azure", **line}
        os.write(self._file, json.dumps(whole).encode() + b"\n")


def named(request: Request) -> tuple[str, str]:
    """The action ("PUT Microsoft.Network/virtualNetworks", "PUT blob") and the name of what it is done to."""
    if request.host.endswith(".blob.core.windows.net"):
        return f"{request.method} blob", request.path.strip("/")
    if request.host.endswith(".vault.azure.net"):
        return (
            f"{request.method} secret{' versions' if request.path.endswith('/versions') else ''}",
            request.path.strip("/"),
        )
    if request.host == "api.loganalytics.io":
        return f"{request.method} query", ["", *request.path.strip("/").split("/")][-2]
    found = ResourceId.parse(request.path)
    if found:
        return f"{request.method} {found.type}", found.names[-1] if found.names else ""
    parts = request.path.strip("/").split("/")
    if len(parts) >= 3 and parts[2].lower() == "resourcegroups":
        tail = "/".join(["Microsoft.Resources/resourceGroups", *parts[4:]])
        return f"{request.method} {tail}", parts[3] if len(parts) > 3 else ""
    return f"{request.method} {'/'.join(parts[2:] if parts[0].lower() == 'subscriptions' else parts[1:])}", ""


def is_writing(request: Request) -> bool:
    if request.method == "POST":
        last = request.path.rsplit("/", 1)[-1].lower()
        return not last.startswith(_READING_ACTIONS) and last != "token"
    return request.method in ("PUT", "PATCH", "DELETE")
