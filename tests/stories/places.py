"""A whole project on its own stage, driven by the command line as a user would."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
LIMIT_SECONDS = 240


@dataclass
class Command:
    """How one call of `arriero` ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Place:
    """A project folder with a stage of its own."""

    folder: Path
    always: dict[str, str] = field(default_factory=dict)
    """What every call finds in its environment, besides the test's own."""

    def arriero(self, *arguments: str, **environment: str) -> Command:
        ended = subprocess.run(
            [sys.executable, "-m", "arriero", *arguments],
            cwd=self.folder,
            env={**os.environ, **self.always, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
        return Command(ended.returncode, ended.stdout, ended.stderr)

    @property
    def stage(self) -> Path:
        return self.folder / ".arriero" / "stage"

    @property
    def runs(self) -> list[Path]:
        return sorted((self.folder / ".arriero" / "runs").glob("*"))

    def environment(self) -> dict[str, str]:
        """What leads boto3 and the Azure SDKs to the stage."""
        found: dict[str, str] = self.arriero("env", "--json").json["environment"]
        return found

    def play(self, playbook: str) -> str:
        """What plain ansible-playbook says of one of the collection's playbooks, with the project's own inventory."""
        (self.folder / "fleet.arriero.yml").write_text("plugin: arriero.fleet.fleet\n")
        command = [Path(sys.executable).with_name("ansible-playbook"), "-i", "fleet.arriero.yml", playbook]
        whole = {**os.environ, **self.environment()}
        played = subprocess.run(command, cwd=self.folder, env=whole, capture_output=True, text=True, check=False)
        return played.stdout + played.stderr

    def calls(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.stage / "requests.jsonl").read_text().splitlines()]

    def states(self) -> dict[str, str]:
        """The state of every site, by its name."""
        return {site["name"]: site["state"] for site in self.arriero("status", "--json").json["sites"]}

    def files_with(self, values: Iterable[str]) -> dict[str, set[str]]:
        """For each value the files of the project's state that hold it, named from `.arriero` on."""
        state = self.folder / ".arriero"
        contents = {str(f.relative_to(state)): f.read_bytes() for f in state.rglob("*") if f.is_file()}
        assert len(contents) > 10
        return {value: {name for name, text in contents.items() if value.encode() in text} for value in values}


@dataclass
class Onlooker:
    """Reads every process's command line over and over, and keeps all that it has seen."""

    seen: set[bytes] = field(default_factory=set)
    rounds: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    def look(self) -> None:
        while not self._over.wait(0.05):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(path.read_bytes())
                except OSError:  # it ended meanwhile
                    continue
            self.rounds += 1

    def __enter__(self) -> Onlooker:
        self._thread = threading.Thread(target=self.look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def wait_for(condition: Callable[[], bool], seconds: float, every: float = 0.2) -> bool:
    """Real processes take real time: looks until it is so, or the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(every)
    return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def open_spec(folder: Path, spec: str) -> Iterator[Place]:
    """As `open_place`, with the spec's text."""
    (folder / "spec.txt").write_text(spec)
    yield from open_place(folder, folder / "spec.txt")


def open_place(folder: Path, spec: Path) -> Iterator[Place]:
    shutil.copy(spec, folder / "arriero.yaml")
    place = Place(folder)
    try:
        yield place
    finally:
        place.arriero("down", "--purge", "--yes")
        place.arriero("rehearse", "stop")
