"""Reads what runs on this machine: the servers' state files, and /proc for whether they still do."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Collection
from pathlib import Path

from arriero.clouds.local import adopted
from arriero.clouds.local.state import ServerState, read_servers, site_folder
from arriero.plan.model import RELEASE_TAG, Resource, SiteFacts, SiteRef, TargetFacts, TargetState

_ANSWER_SECONDS = 0.5
_LOG_LINES = 3


def account() -> str:
    """A machine's own name stands for its account."""
    return socket.gethostname()


def read_site(ref: SiteRef) -> SiteFacts:
    """Servers that ended are here too, as not running: the plan starts them anew or clears them away."""
    servers = read_servers(site_folder(ref.service, ref.site))
    newest = max((_release(server) or 0 for server in servers), default=0)
    return SiteFacts(
        ref.site,
        "local",
        "",
        account=account(),
        resources=tuple(map(_resource, servers)),
        targets=(*(_target(ref, server) for server in servers), *adopted.targets(ref, _state)),
        count=sum(_release(server) == newest for server in servers),
    )


def read_targets(ref: SiteRef) -> tuple[TargetFacts, ...]:
    servers = read_servers(site_folder(ref.service, ref.site))
    return (*(_target(ref, server) for server in servers), *adopted.targets(ref, _state))


def resident(address: str) -> tuple[str, ...]:
    """The models that the server there has in memory; none where it does not say."""
    connection = http.client.HTTPConnection(address, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", "/api/ps", headers={"Host": "localhost"})
        return tuple(sorted(str(model["name"]) for model in json.load(connection.getresponse())["models"]))
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return ()
    finally:
        connection.close()


def other_sites(service: str, known: Collection[str]) -> tuple[SiteRef, ...]:
    """Sites of the service that have servers here although the spec no longer names them."""
    folder = site_folder(service, "")
    names = sorted(one.name for one in folder.iterdir() if one.is_dir()) if folder.is_dir() else []
    left = [name for name in names if name not in known and read_servers(folder / name)]
    return tuple(SiteRef(service, name, "local", "") for name in left)


def _resource(server: ServerState) -> Resource:
    return Resource(
        "local.server",
        server.name,
        {
            "running": server.is_alive,
            "host": server.host,
            "environment": dict(server.environment),
            "sidecar": None if server.sidecar is None else dict(server.sidecar),
            "stop_seconds": server.stop_seconds,
        },
        id=str(server.process.pid),
        tags=server.tags,
        details={"address": server.address, "log": server.log, "command": server.command},
    )


def _target(ref: SiteRef, server: ServerState) -> TargetFacts:
    is_alive = server.is_alive
    return TargetFacts(
        id=server.name,
        site=ref.site,
        state=_state(server.address) if is_alive else "stopped",
        address=server.address,
        release=_release(server),
        resource=server.name,
        pid=server.process.pid if is_alive else None,
        reason="" if is_alive else _why_it_ended(server),
    )


def _why_it_ended(server: ServerState) -> str:
    which, log = ("its sidecar", _sidecar_log(server)) if server.process.is_alive else ("its process", Path(server.log))
    return f"{which} ended; the end of its log: {_last_lines(log)}"


def _sidecar_log(server: ServerState) -> Path:
    return Path(server.log).with_suffix(".sidecar.log")


def _state(address: str) -> TargetState:
    connection = http.client.HTTPConnection(address, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", "/")
        return "ready" if connection.getresponse().status == 200 else "starting"
    except (OSError, http.client.HTTPException):
        return "starting"
    finally:
        connection.close()


def _release(server: ServerState) -> int | None:
    text = server.tags.get(RELEASE_TAG, "")
    return int(text) if text.isdecimal() else None


def _last_lines(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
    except FileNotFoundError:
        return "there is none"
    return " / ".join(lines) or "it is empty"
