"""How a container becomes a process: the real Ollama under a keeper, the built-in engine, our own sidecar, or an image
that exits. With the engine an image's tag may say how its release fails: `:errors-30` (percent of the answers),
`:empty-60`, `:slow-2` (times the wait for the first token), `:noisy-60` (that wait spreads by 0.6), after any name and
dash of its own.

The child's environment is made from an allow-list plus the container's own; where it stores models is forced, and every
address on which it listens or asks becomes its target's: here a target has no network of its own, only an address.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Literal

from arriero.clouds.endpoints import sealed
from arriero.errors import Problem, Refused
from arriero.rehearse.engine.profile import Profile

_SOURCE = str(Path(__file__).parents[2])
_PROFILE = "ARRIERO_ENGINE_PROFILE"
_FORCED = ("HOME", "TMPDIR")
_SETTINGS, _CONTROL = "ARRIERO_SETTINGS", ("control", "11436")
_VERBS = ("edge", "sidecar", "lay-models", "seed-models", "clean-models")
_OURS = frozenset(("arriero", "gateway", verb) for verb in _VERBS)
_EXITS = re.compile(r":exit-(\d{1,3})\b")
_FAILS = re.compile(r":(?:[\w.-]+-)?(errors|empty|slow|noisy)-(\d{1,3})$")
# Neither site-packages nor the user's settings: 30 ms and 5 MB less a process.
_PYTHON = (sys.executable, "-I", "-S", "-c")
_WITH_PACKAGES = (sys.executable, "-I", "-c")
_ENTER = "import sys; sys.path.insert(0, sys.argv.pop(1)); from arriero.rehearse.{} import main; main()"


@dataclass(frozen=True)
class Launch:
    """`pid` is the server's own; `process` is what ends with it (the server itself, or its keeper)."""

    pid: int
    process: subprocess.Popen[bytes]
    engine: Literal["ollama", "simulated"]


def find_ollama(environment: Mapping[str, str]) -> str | None:
    """The real program: what ARRIERO_OLLAMA names, else the `ollama` on PATH, else None (the built-in engine)."""
    named = environment.get("ARRIERO_OLLAMA")
    if named is None:
        return shutil.which("ollama", path=environment.get("PATH", os.defpath))
    found = shutil.which(named, path=environment.get("PATH", os.defpath))
    if found is None:
        raise Refused(
            Problem("no such program", "correct or unset it", key=f"ARRIERO_OLLAMA={named}", file="environment")
        )
    return found


def is_ours(command: Sequence[str]) -> bool:
    """Whether it is the product's own program: the sidecar, or a job about models."""
    return tuple(command[:3]) in _OURS


def port_of(command: Sequence[str], environment: Mapping[str, str], opened: Sequence[int]) -> int:
    """Where a container listens: as its own settings say, else the first port that it opens, else Ollama's."""
    told = environment.get("ARRIERO_LISTEN" if is_ours(command) else "OLLAMA_HOST", "")
    port = told.rpartition(":")[2]
    return int(port) if port.isdecimal() else opened[0] if opened else 11434


def placed(inner: Mapping[str, str], address: str, resolver: str) -> dict[str, str]:
    """The container's environment, with a gateway's settings at the target's own address and with its network's name
    server, which another machine would have in /etc/resolv.conf.
    """
    if _SETTINGS not in inner:
        return dict(inner)
    try:
        told = json.loads(inner[_SETTINGS])
    except ValueError:
        return dict(inner)  # the gateway says itself what is wrong
    here = {
        key: f"{address}:{port}" for key, port in (("listen", str(told.get("listen", "")).rpartition(":")[2]), _CONTROL)
    }
    names = {"targets_resolver": resolver} if resolver else {}
    return {**inner, _SETTINGS: json.dumps({**told, **here, **names})}


def engine_command() -> list[str]:
    """The built-in engine as a command to which `serve` is to be added; it stands for the program `ollama`."""
    return [*_PYTHON, _ENTER.format("engine.main"), _SOURCE]


def launch(
    image: str,
    command: Sequence[str],
    ollama: str | None,
    listen: str,
    folder: Path,
    outer: Mapping[str, str],
    inner: Mapping[str, str],
    output: IO[bytes],
    mounts: Mapping[str, Path] = MappingProxyType({}),
    enter: Sequence[str] = (),
) -> Launch:
    """Starts the process of a container, `folder` being its working directory, `listen` its `address:port`. `mounts`
    are folders of this machine by the paths at which the container would see them; its command begins with `enter`.
    """
    environment = {**_environment(folder, listen, outer, inner), **_seen(inner, mounts)}
    if exits := _EXITS.search(image):
        script = 'echo "$1 exits with $2"; exit "$2"'
        process = _spawn([*enter, "/bin/sh", "-c", script, "sh", image, exits[1]], folder, environment, output)
        return Launch(process.pid, process, "simulated")
    if is_ours(command):
        beside = [*enter, *_WITH_PACKAGES, _ENTER.format("beside"), _SOURCE, command[2]]
        process = _spawn(beside, folder, environment, output)
        return Launch(process.pid, process, "ollama" if ollama else "simulated")
    arguments = list(command[1:] if command[:1] == ("ollama",) else command) or ["serve"]
    if ollama is None:
        environment |= _failing(image, environment)
        process = _spawn([*enter, *engine_command(), *arguments], folder, environment, output)
        return Launch(process.pid, process, "simulated")
    _fill_store(outer.get("ARRIERO_STAGE_MODELS"), Path(environment["OLLAMA_MODELS"]))
    return _launch_kept([*enter, ollama, *arguments], folder, environment, output)


def _launch_kept(command: Sequence[str], folder: Path, environment: Mapping[str, str], output: IO[bytes]) -> Launch:
    reader, writer = os.pipe()
    try:
        keeper = [*_PYTHON, _ENTER.format("keeper"), _SOURCE, str(writer), *command]
        process = _spawn(keeper, folder, environment, output, pass_on=(writer,))
    finally:
        os.close(writer)
    with os.fdopen(reader) as told:
        pid = told.readline()
    return Launch(int(pid) if pid.strip() else process.pid, process, "ollama")


def _spawn(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], output: IO[bytes], pass_on: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=pass_on,
    )


def _environment(folder: Path, listen: str, outer: Mapping[str, str], inner: Mapping[str, str]) -> dict[str, str]:
    store = folder / "models"
    store.mkdir(exist_ok=True)
    forced = {
        "OLLAMA_HOST": listen,
        **_at(listen.rpartition(":")[0], inner),
        "OLLAMA_MODELS": str(store),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "ARRIERO_PARENT": str(os.getpid()),
    }
    profile = {k: outer[k] for k in (_PROFILE,) if k in outer}
    return {**sealed(outer, {"OLLAMA_NO_CLOUD": "1", **profile}), **inner, **forced}


def _seen(inner: Mapping[str, str], mounts: Mapping[str, Path]) -> dict[str, str]:
    """Those variables that name something in a mounted folder, which is another folder here."""
    found = {}
    for key, value in inner.items():
        for path, folder in mounts.items():
            if key not in _FORCED and (value == path or value.startswith(f"{path}/")):
                found[key] = f"{folder}{value.removeprefix(path)}"
    return found


def _failing(image: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The engine's profile as the image's tag changes it."""
    found = _FAILS.search(image)
    if not found:
        return {}
    profile, amount = json.loads(environment.get(_PROFILE) or "{}"), int(found[2])
    if found[1] == "slow":
        profile["first_token_seconds"] = amount * profile.get("first_token_seconds", Profile().first_token_seconds)
    else:
        profile[{"errors": "error_share", "empty": "empty_share", "noisy": "spread"}[found[1]]] = amount / 100
    return {_PROFILE: json.dumps(profile)}


def _at(address: str, inner: Mapping[str, str]) -> dict[str, str]:
    """The sidecar's addresses, at the target's own."""
    keys = [key for key in ("ARRIERO_LISTEN", "ARRIERO_OLLAMA_ADDRESS") if key in inner]
    return {key: f"{address}:{inner[key].rpartition(':')[2]}" for key in keys}


def _fill_store(source: str | None, store: Path) -> None:
    """Gives a real server the models of an existing store, as hard links where the file system can."""
    if not source:
        return
    for file in Path(source).rglob("*"):
        link = store / file.relative_to(source)
        if file.is_file() and not link.exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(file, link)
            except OSError:  # another file system
                shutil.copy2(file, link)
