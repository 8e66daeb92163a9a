"""Marks that stand for secrets, looked for in whatever form programs write text: in files, processes and messages.

A mark has a core of letters and digits, which stays as it is in JSON, an address, HTML or a shell's line; what changes
it is base64, in which it looks different by the place where it begins, and hexadecimal. Nothing here shows a mark: a
finding says whose it is, where, at which byte and in what form.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import os
import re
import threading
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from urllib.parse import quote

SIGN = "qzPlanted"
# What the forms of text differ by; ASCII, for it goes into headers and files that take no more.
ROUGH = '"\\/+&=<x'
LEAST = 16


@dataclass(frozen=True, order=True)
class Finding:
    """`place` is what a table can name, `where` the very file or process, `offset` the byte in it."""

    mark: str
    place: str
    where: str
    offset: int
    form: str

    def __str__(self) -> str:
        return f"{self.mark} {self.form} in {self.where} at byte {self.offset}"


class Marks:
    """Those that are planted here, and those that the product made and that are known by now."""

    def __init__(self) -> None:
        self._needles: dict[bytes, tuple[str, str]] = {}
        self._signs: dict[bytes, str] = forms(SIGN)
        self.names: set[str] = set()

    def __repr__(self) -> str:
        return f"Marks({', '.join(sorted(self.names))})"

    def plant(self, name: str, rough: str = ROUGH) -> str:
        """A new one, with a tail that is written differently in each form of text."""
        core = f"{SIGN}{token_hex(8)}"
        self._keep(name, core)
        return f"{core}{rough}"

    def know(self, name: str, secret: str) -> None:
        """One that somebody else made: the longest part that every form of text leaves as it is."""
        core = max(re.split(r"[^A-Za-z0-9_-]+", secret), key=len)
        assert len(core) >= LEAST, name
        self._keep(name, core)
        self._signs |= forms(core)

    def find(self, data: bytes) -> list[tuple[str, int, str]]:
        """The name, the offset and the form of each mark in it, each form once."""
        if not any(sign in data for sign in self._signs):
            return []
        found = ((*named, data.find(needle)) for needle, named in self._needles.items())
        return sorted((name, offset, form) for name, form, offset in found if offset >= 0)

    def without(self, text: str) -> str:
        """The text as it may be shown."""
        for needle, (name, _) in self._needles.items():
            text = text.replace(needle.decode(), f"({name})")
        return text

    def findings(self, place: str, where: str, data: bytes) -> list[Finding]:
        return [Finding(name, place, self.without(where), offset, form) for name, offset, form in self.find(data)]

    def _keep(self, name: str, core: str) -> None:
        self.names.add(name)
        self._needles |= {needle: (name, form) for needle, form in forms(core).items()}


def forms(core: str) -> dict[bytes, str]:
    """Every form in which the core can stand in a text, with its name."""
    found = {core.encode(): "as it is", core.encode().hex().encode(): "in hexadecimal"}
    for lead in range(3):
        encoded = base64.b64encode(bytes(lead) + core.encode())
        whole = encoded[(8 * lead + 5) // 6 : 8 * (lead + len(core)) // 6]
        for text in (whole, whole.translate(bytes.maketrans(b"+/", b"-_")), quote(whole).encode()):
            found[text] = "in base64"
        found[quote(whole, safe="").encode()] = "in base64"
    return found


def in_files(marks: Marks, folders: Iterable[Path], home: Path) -> Iterator[Finding]:
    """What the files of the folders hold, and their names; unpacked where they are packed. Named from `home` on."""
    for path in sorted({path for folder in folders for path in folder.rglob("*")}):
        name = str(path.relative_to(home)) if path.is_relative_to(home) else str(path)
        yield from marks.findings("the name of a file", name, name.encode())
        for where, data in contents(path, name):
            yield from marks.findings(f"file {name}", where, data)


def contents(path: Path, name: str) -> Iterator[tuple[str, bytes]]:
    """The file as it is, and what is packed into it; nothing of what is no file, or is gone."""
    if not path.is_file() or path.is_symlink():
        return
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    yield name, data
    with contextlib.suppress(OSError, EOFError, zipfile.BadZipFile):
        if data.startswith(b"\x1f\x8b"):
            yield f"{name} (unpacked)", gzip.decompress(data)
        elif data.startswith(b"PK\x03\x04"):
            with zipfile.ZipFile(io.BytesIO(data)) as packed:
                for member in packed.namelist():
                    yield f"{name} ({member})", packed.read(member)


class Watch:
    """While inside, reads every process's command line and environment over and over, and the files in `folders`.

    `program` says what a process is, by its command line, its environment and its working directory.
    """

    def __init__(
        self, marks: Marks, program: Callable[[bytes, bytes, str], str], folders: Sequence[Path], home: Path
    ) -> None:
        self._marks, self._program, self._folders, self._home = marks, program, folders, home
        self._processes: dict[tuple[bytes, bytes], str] = {}
        self._files: dict[tuple[str, int, int], list[Finding]] = {}
        self._over = threading.Event()

    @property
    def programs(self) -> set[str]:
        """What was seen running."""
        return set(self._processes.values())

    def findings(self) -> Iterator[Finding]:
        """With the marks that are known by now; of files that went meanwhile, with those that were then."""
        for (line, environment), what in list(self._processes.items()):
            yield from self._marks.findings(f"command line of {what}", f"the command line of {what}", line)
            yield from self._marks.findings(f"environment of {what}", f"the environment of {what}", environment)
        for found in list(self._files.values()):
            yield from found

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self._look, name="looks at processes and files")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._thread.is_alive(), "nobody looked to the end"
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.1):
            for folder in Path("/proc").glob("[0-9]*"):
                self._look_at_process(folder)
            # Folders come and go meanwhile, which `rglob` does not bear.
            for place, _, names in (each for folder in self._folders for each in os.walk(folder)):
                for name in names:
                    self._look_at_file(Path(place, name))

    def _look_at_process(self, folder: Path) -> None:
        with contextlib.suppress(OSError):  # it ended meanwhile, or is not ours
            seen = ((folder / "cmdline").read_bytes(), (folder / "environ").read_bytes())
            if seen[0] and seen not in self._processes:
                self._processes[seen] = self._program(*seen, str((folder / "cwd").readlink()))

    def _look_at_file(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            told = path.stat()
            key = (str(path), told.st_mtime_ns, told.st_size)
            if key not in self._files and path.is_file():
                name = str(path.relative_to(self._home))
                self._files[key] = self._marks.findings(f"file {name}", name, path.read_bytes())
