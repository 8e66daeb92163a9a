"""The door to a container engine: the `docker` command, with BuildKit. No other module starts it.

Debian's docker.io has BuildKit built in and no `buildx`; its command reaches it by DOCKER_BUILDKIT=1 up to version 22.
Newer commands ask for the plugin. Whichever is there is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from arriero.errors import ArrieroError, Problem
from arriero.pipeline.image import refusal

_LAST_LINES = 400
_PIECE = 1 << 20
_WITHOUT_PLUGIN = 23  # the first version of the command that needs it


@dataclass(frozen=True, slots=True)
class Built:
    """An image as the engine has it: its id, bytes, layers from the bottom up (by their contents), and labels."""

    id: str
    size: int
    layers: tuple[str, ...]
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Engine:
    """`builds` begins every build; `version` is the server's."""

    version: str
    builds: tuple[str, ...]

    @classmethod
    def found(cls) -> Engine:
        """Raises ArrieroError where there is no engine, or one that can't build this."""
        said = _asked("version", "--format", "{{json .}}", missing="install docker.io, and start its daemon")
        about = json.loads(said)
        if about.get("Server") is None:
            raise ArrieroError(Problem("no Docker daemon answers", "start it, or set DOCKER_HOST", "docker"))
        return cls(about["Server"]["Version"], _builder(about["Client"]["Version"]))

    def build(self, folder: Path, arguments: Mapping[str, str], *, network: str = "", fresh: bool = False) -> str:
        """Builds `folder` and returns the image's id; it gets no name yet. The build's log goes to stderr.

        Raises ArrieroError with what went wrong, in the words of the step that failed.
        """
        note = folder.with_name(f"{folder.name}.id")
        note.unlink(missing_ok=True)
        words = [*self.builds, "--progress", "plain", "--iidfile", str(note), *(["--no-cache"] if fresh else [])]
        words += ["--network", network] if network else []
        words += [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
        lines: deque[str] = deque(maxlen=_LAST_LINES)
        with _started([*words, str(folder)]) as process:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line.rstrip("\n"))
                sys.stderr.write(line)
        if process.returncode != 0:
            raise ArrieroError(refusal.of_build(lines))
        return note.read_text().strip()

    def look(self, image: str) -> Built:
        """Raises ArrieroError where there is no such image."""
        remedy = "build it: arriero image build"
        about = json.loads(_asked("image", "inspect", image, what=f"there is no image {image}", missing=remedy))[0]
        labels = about["Config"].get("Labels") or {}
        return Built(about["Id"], about["Size"], tuple(about["RootFS"]["Layers"]), labels)

    def name(self, image: str, name: str) -> None:
        _asked("image", "tag", image, name)

    def push(self, name: str) -> str:
        """Pushes one name; returns the digest under which its registry has it."""
        lines: list[str] = []
        with _started(["docker", "push", name]) as process:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line.rstrip("\n"))
                sys.stderr.write(line)
        digests = [line.partition(" digest: ")[2].split()[0] for line in lines if " digest: " in line]
        if process.returncode != 0 or not digests:
            raise ArrieroError(refusal.of_push(name, lines))
        return digests[-1]

    def digests(self, image: str, path: str) -> dict[str, str]:
        """The sha256 of every file below a folder of an image, by its path from there. No container is started."""
        container = _asked("create", image).strip()
        found: dict[str, str] = {}
        try:
            with (
                subprocess.Popen(
                    ["docker", "cp", f"{container}:{path}", "-"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
                ) as process,
                tarfile.open(fileobj=process.stdout, mode="r|") as archive,
            ):
                for entry in archive:
                    if entry.isfile() and (held := archive.extractfile(entry)):
                        found[entry.name.partition("/")[2]] = _sha256(held)
        except tarfile.ReadError:
            return {}  # there is no such folder
        finally:
            _asked("rm", "--volumes", container)
        return found


def _sha256(held: IO[bytes]) -> str:
    sum_ = hashlib.sha256()
    while piece := held.read(_PIECE):
        sum_.update(piece)
    return f"sha256:{sum_.hexdigest()}"


def _builder(client: str) -> tuple[str, ...]:
    if subprocess.run(["docker", "buildx", "version"], capture_output=True, check=False).returncode == 0:
        return ("docker", "buildx", "build", "--load")
    major = client.partition(".")[0]
    if major.isdecimal() and int(major) < _WITHOUT_PLUGIN:
        return ("docker", "build")
    what = f"the docker command {client} has no BuildKit: its plugin buildx is missing"
    raise ArrieroError(Problem(what, "install docker-buildx, or use Debian's docker.io", "docker"))


@contextmanager
def _started(words: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
    with subprocess.Popen(
        words, env=environment, text=True, errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            yield process
        except BaseException:
            process.terminate()
            raise


def _asked(*words: str, what: str = "", missing: str = "") -> str:
    """What docker answers; raises ArrieroError with its own last line, or with `what`."""
    try:
        ended = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    except OSError:
        raise ArrieroError(
            Problem("there is no program docker", "install docker.io, or another engine", "docker")
        ) from None
    if ended.returncode != 0:
        said: Any = ended.stderr.strip().splitlines() or [f"`docker {words[0]}` failed"]
        raise ArrieroError(Problem(what or said[-1], missing, "docker"))
    return ended.stdout
