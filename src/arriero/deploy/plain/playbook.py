"""What the role `release` does: starts a keeper before anything is touched, and hears from it how the release ended.

Both run in a worker of Ansible, which ends with its task; so the lease is held by a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from arriero.clock import SystemClock
from arriero.clouds.local import process
from arriero.deploy.plain import book
from arriero.deploy.project import Project
from arriero.errors import ArrieroError, Problem

# Taking the lease includes waiting out a dead holder, and ending it reads every site.
WITHIN_SECONDS = 900.0
LOOK_SECONDS = 0.1


def begin(told: Mapping[str, Any], sites: Sequence[str], player: int) -> str:
    """Returns what was begun, in words. Raises ArrieroError with the keeper's, when there is no lease to be had."""
    ours = book.Book.of(told)
    Project(Path(ours.spec)).make_state()
    folder = book.folder(Path(ours.spec), player)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in folder.iterdir():
        left.unlink()
    request = {"book": dict(ours.as_json()), "sites": list(sites), "player": player}
    with (folder / "keeper.log").open("wb") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "arriero.pipeline.keeper"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
            text=False,
        )
    assert keeper.stdin is not None
    keeper.stdin.write(json.dumps(request).encode())
    keeper.stdin.close()
    (folder / "keeper.pid").write_text(str(keeper.pid))
    return _heard(folder, "begun.json", keeper.pid)


def end(spec: Path, player: int) -> str:
    """Returns how it ended, in words. Raises ArrieroError where a site is not as it should be, or the lease is lost."""
    folder = book.folder(spec, player)
    (folder / "end").touch()
    return _heard(folder, "ended.json", int((folder / "keeper.pid").read_text()))


def _heard(folder: Path, name: str, keeper: int) -> str:
    """What the keeper says, in that file; it appears whole."""
    clock = SystemClock()
    deadline = clock.monotonic() + WITHIN_SECONDS
    while clock.monotonic() < deadline:
        is_alive = process.find(keeper) is not None
        if (folder / name).exists():
            told = json.loads((folder / name).read_text())
            if told["problems"]:
                raise ArrieroError([Problem(**problem) for problem in told["problems"]])
            return str(told["said"])
        if not is_alive:
            break
        clock.sleep(LOOK_SECONDS)
    log = folder / "keeper.log"
    raise ArrieroError(Problem("the keeper of the lease ended without a word", "read its log", file=str(log)))
