"""Servers on this machine more and fewer, for the controller: copies of one that runs, and by name those that go.

A server is started and ended by the program that a deployment does it with, the module `arriero.fleet.server`, run as
a process of its own: what it starts outlives it and the controller.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import arriero
from arriero.clouds.local import facts
from arriero.clouds.local.state import ServerState, read_servers, site_folder
from arriero.clouds.scaling import Require, Standing
from arriero.errors import CloudError, Problem
from arriero.plan.model import RELEASE_TAG, SiteRef

_MODULE = "deploy/ansible/ansible_collections/arriero/fleet/plugins/modules/server.py"
_COPIED = ("command", "environment", "sidecar", "host", "port", "tags", "stop_seconds")
_START_SECONDS, _SPARE_SECONDS = 60, 30


def read(ref: SiteRef) -> Standing:
    """The servers that run of the release that was deployed last; adopted ones count, and never go."""
    alive = _alive(ref)
    names = {server.name for server in alive}
    found = tuple(target for target in facts.read_targets(ref) if target.id in names)
    return Standing(
        ref.site,
        len(alive) + len(ref.adopt),
        found,
        obstacle="" if alive else "no server runs that another one could be made from; run arriero up",
    )


def start(ref: SiteRef, standing: Standing, more: int, require: Require) -> Sequence[str]:
    """One after the other, each until it answers. What those that run have in memory is loaded before the first request
    comes.
    """
    pattern = next(iter(_alive(ref)), None)
    if pattern is None:
        raise CloudError(ref.site, Problem(standing.obstacle or "no server runs there", "run arriero up"))
    first = next((models for server in _alive(ref) if (models := facts.resident(server.address))), ())
    names = _free_names(pattern, [server.name for server in read_servers(site_folder(ref.service, ref.site))], more)
    known: Mapping[str, Any] = json.loads(pattern.file.read_text(encoding="utf-8"))
    for name in names:
        require()
        copied = {key: known[key] for key in _COPIED}
        how = {"state": "present", "first": list(first), "start_seconds": _START_SECONDS}
        _run(ref, {**copied, "name": name, **how}, _START_SECONDS)
    return names


def stop(ref: SiteRef, standing: Standing, leaving: Sequence[str], require: Require) -> None:  # noqa: ARG001
    for server in _alive(ref):
        if server.name in leaving:
            require()
            _run(
                ref, {"name": server.name, "state": "absent", "stop_seconds": server.stop_seconds}, server.stop_seconds
            )


def _alive(ref: SiteRef) -> list[ServerState]:
    servers = [server for server in read_servers(site_folder(ref.service, ref.site)) if server.is_alive]
    newest = max(map(_release, servers), default=0)
    return [server for server in servers if _release(server) == newest]


def _release(server: ServerState) -> int:
    text = server.tags.get(RELEASE_TAG, "")
    return int(text) if text.isdecimal() else 0


def _free_names(pattern: ServerState, taken: Sequence[str], more: int) -> list[str]:
    """As a deployment would go on counting."""
    stem = re.sub(r"-\d+$", "", pattern.name)
    free = (name for n in range(1, len(taken) + more + 1) if (name := f"{stem}-{n}") not in taken)
    return [name for name, _ in zip(free, range(more), strict=False)]


def _run(ref: SiteRef, arguments: Mapping[str, Any], seconds: float) -> None:
    """Arguments go in by standard input: an environment may hold what no command line should show."""
    asked = {"service": ref.service, "site": ref.site, **arguments}
    told = json.dumps({"ANSIBLE_MODULE_ARGS": asked}).encode()
    command = [sys.executable, str(Path(arriero.__file__).parent / _MODULE)]
    try:
        done = subprocess.run(command, input=told, capture_output=True, timeout=seconds + _SPARE_SECONDS, check=False)
        answer = json.loads(done.stdout.splitlines()[-1])
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired) as error:
        raise CloudError(ref.site, Problem(f"{asked['name']} can't be set: {type(error).__name__}")) from error
    if answer.get("failed"):
        raise CloudError(ref.site, Problem(str(answer.get("msg", "the server's module failed"))[:500]))
