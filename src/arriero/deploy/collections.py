"""The Ansible collections in use, brought once into the environment that `arriero` runs in.

They are GPL-3.0 and 12 MB of a 54 MB wheel: so they are fetched at set-up, by hash, and are not part of this package.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from arriero.clock import Clock, SystemClock
from arriero.deploy import stand_ins
from arriero.errors import ArrieroError, Problem
from arriero.events import Event, Listener, ignore

COLLECTIONS = ("amazon.aws", "community.aws", "azure.azcollection")
LOCK = Path(__file__).with_name("collections.lock")
MARKER = "installed.json"

# What Ansible needs of a collection, and its licence; tests, changelogs and CI files stay behind.
_KEPT = ("plugins", "meta", "MANIFEST.json", "README.md", "COPYING", "LICENSE")

Fetch = Callable[[Path, Path], Path]


@dataclass(frozen=True, slots=True)
class Report:
    """What a set-up did; `bytes_on_disk` counts collections and stand-ins."""

    path: Path
    was_there: bool
    bytes_on_disk: int

    @property
    def sentence(self) -> str:
        verb = "were there already" if self.was_there else "are installed"
        return f"The Ansible collections {verb}: {self.path} ({self.bytes_on_disk / 1e6:.0f} MB)"


def install(
    prefix: Path | None = None,
    listener: Listener = ignore,
    *,
    lock: Path = LOCK,
    fetch: Fetch | None = None,
    clock: Clock | None = None,
) -> Report:
    """Brings the collections that `lock` names, unless they are there; all of them, or nothing is changed.

    `fetch(lock, folder)` returns a wheel whose hash it has checked; the default asks pip. Raises ArrieroError.
    """
    prefix = prefix or Path(sys.prefix)
    where = collections_path(prefix)
    was_there = is_installed(prefix, lock)
    if not was_there:
        now = (clock or SystemClock()).now()
        listener(Event("step.started", now, fields={"text": "Fetching the Ansible collections (54 MB)"}))
        _install(where, lock, fetch or download)
    # Written anew each time: a real SDK that was installed meanwhile needs no stand-in any more.
    stand_ins.write(where, prefix)
    return Report(where, was_there, _size(where) + _size(stand_ins.folder(prefix)))


def collections_path(prefix: Path | None = None) -> Path:
    """The folder for ANSIBLE_COLLECTIONS_PATH: it holds `ansible_collections`."""
    return (prefix or Path(sys.prefix)) / "share/arriero/collections"


def is_installed(prefix: Path | None = None, lock: Path = LOCK) -> bool:
    marker = collections_path(prefix) / MARKER
    return marker.is_file() and bool(json.loads(marker.read_text()).get("lock") == lock.read_text())


def missing(prefix: Path | None = None) -> Problem | None:
    """What to tell a user whose set-up is not complete; None when it is."""
    if is_installed(prefix):
        return None
    return Problem("the Ansible collections are not installed", "run: arriero setup")


def download(lock: Path, folder: Path) -> Path:
    """The wheel that `lock` names, fetched by pip, which refuses any other hash."""
    options = ["--quiet", "--disable-pip-version-check", "--progress-bar", "off", "--only-binary", ":all:"]
    command = [sys.executable, "-m", "pip", "download", *options, "--no-deps", "--require-hashes"]
    done = subprocess.run([*command, "-d", folder, "-r", lock], capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        remedy = "see that the package index can be reached, then run: arriero setup"
        raise ArrieroError(Problem(f"the Ansible collections could not be fetched: {reason}", remedy))
    return wheels[0]


def _install(where: Path, lock: Path, fetch: Fetch) -> None:
    where.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".collections-", dir=where.parent) as name:
        fresh = Path(name) / "collections"
        with _opened(fetch(lock, Path(name))) as wheel:
            _extract(wheel, fresh)
        (fresh / MARKER).write_text(json.dumps({"lock": lock.read_text(), "collections": COLLECTIONS}, indent=2))
        _replace(where, fresh, Path(name) / "former")


@contextmanager
def _opened(path: Path) -> Iterator[ZipFile]:
    try:
        with ZipFile(path) as wheel:
            yield wheel
    except BadZipFile as error:
        raise ArrieroError(Problem(f"{path.name} is no wheel: {error}", "run: arriero setup")) from error


def _extract(wheel: ZipFile, folder: Path) -> None:
    """The kept files, byte for byte, and the lines of the wheel's RECORD that prove it."""
    names = [name for name in wheel.namelist() if _is_kept(name)]
    found = {".".join(name.split("/")[1:3]) for name in names}
    if lacking := sorted(set(COLLECTIONS) - found):
        raise ArrieroError(Problem(f"the wheel does not hold {', '.join(lacking)}", "correct the lock file"))
    wheel.extractall(folder, names)
    record = next(name for name in wheel.namelist() if name.endswith(".dist-info/RECORD"))
    lines = wheel.read(record).decode().splitlines(keepends=True)
    kept = set(names)
    (folder / "RECORD").write_text("".join(line for line in lines if line.split(",")[0] in kept))


def _is_kept(name: str) -> bool:
    top, *parts = name.split("/")
    is_file = top == "ansible_collections" and len(parts) > 2 and not name.endswith("/")
    return is_file and ".".join(parts[:2]) in COLLECTIONS and parts[2] in _KEPT


def _replace(where: Path, fresh: Path, former: Path) -> None:
    """Two renames in one folder: whoever looks meanwhile finds the old, nothing, or the new, but no half of it."""
    if where.exists():
        where.rename(former)
    fresh.rename(where)
    shutil.rmtree(former, ignore_errors=True)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
