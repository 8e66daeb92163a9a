"""Servers to measure with: the real Ollama with tiny models, or the built-in engine; each on an address of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from proxies import free_port, is_listening, until

from arriero.rehearse.launch import engine_command

_LOADED = re.compile(r'"llama runner started in ')


@dataclass
class Server:
    """One process that answers as Ollama; `log` is what it printed."""

    name: str
    address: str
    process: subprocess.Popen[bytes]
    log: Path
    command: Sequence[str]
    environment: Mapping[str, str]

    def loads(self) -> int:
        """How many times it brought a model into memory, by its own log."""
        return len(_LOADED.findall(self.log.read_text(errors="replace")))

    def is_listening(self) -> bool:
        host, _, port = self.address.partition(":")
        return is_listening(host, int(port))

    def signal(self, number: int) -> None:
        """To it and to what it started (Ollama leaves its runners behind when it is killed)."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def end(self) -> None:
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGKILL)
        self.process.wait()


def real_ollama() -> str | None:
    """The program that ARRIERO_OLLAMA names, else the one on PATH, else the one that `make ollama` built."""
    built = Path(sys.prefix) / "ollama" / "ollama"
    return shutil.which(os.environ.get("ARRIERO_OLLAMA") or "ollama") or (str(built) if built.exists() else None)


@contextlib.contextmanager
def engines(
    folder: Path, count: int, models: Sequence[str], profile: Mapping[str, object], **settings: str
) -> Iterator[list[Server]]:
    """Built-in engines with these models; `settings` are Ollama's own environment variables."""
    own = {"ARRIERO_MODELS": ",".join(models), "ARRIERO_ENGINE_PROFILE": json.dumps(dict(profile)), **settings}
    with _started(folder, count, [*engine_command(), "serve"], own) as servers:
        yield servers


@contextlib.contextmanager
def ollamas(folder: Path, count: int, seeds: Sequence[int], **settings: str) -> Iterator[list[Server]]:
    """Real Ollamas that share one store with the models `tiny<seed>`: each seed its own file, so its own runner."""
    program = real_ollama()
    if program is None:
        sys.exit("there is no Ollama: build one (`make ollama`), name one in ARRIERO_OLLAMA, or give --engine")
    store = folder / "models"
    with _started(folder, 1, [program, "serve"], {"OLLAMA_MODELS": str(store)}, "maker") as (maker,):
        for seed in seeds:
            _make(program, maker, folder, seed)
    with _started(folder, count, [program, "serve"], {"OLLAMA_MODELS": str(store), **settings}) as servers:
        yield servers


def restart(server: Server) -> Server:
    """Anew in its place, when what was there has ended; listens when this returns."""
    server.end()
    home = server.log.parent
    new = start(home.parent, server.name, server.command, server.environment, server.address)
    until(new.is_listening, f"{new.log} tells why it does not listen", 60)
    return new


def start(folder: Path, name: str, command: Sequence[str], environment: Mapping[str, str], address: str = "") -> Server:
    """One process, at a free port if no address is given; it may not listen yet."""
    home = folder / name
    home.mkdir(exist_ok=True)
    address, log = address or f"127.0.0.1:{free_port()}", home / "log"
    kept = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
    own = {"OLLAMA_HOST": address, "HOME": str(home), "OLLAMA_NO_CLOUD": "1", **environment}
    with log.open("ab") as file:
        process = subprocess.Popen(
            command,
            env={**kept, **own},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            # A group of its own: a runner is the child of whichever thread started it, so nobody lists them all.
            start_new_session=True,
        )
    return Server(name, address, process, log, command, environment)


@contextlib.contextmanager
def _started(
    folder: Path, count: int, command: Sequence[str], environment: Mapping[str, str], name: str = "server"
) -> Iterator[list[Server]]:
    servers: list[Server] = []
    try:
        for place in range(count):
            servers.append(start(folder, f"{name}{place + 1}", command, environment))
        for server in servers:
            until(server.is_listening, f"{server.log} tells why it does not listen", 60)
        yield servers
    finally:
        for server in servers:
            server.end()


def _make(program: str, maker: Server, folder: Path, seed: int) -> None:
    model, recipe = folder / f"tiny{seed}.gguf", folder / f"Modelfile{seed}"
    tool = Path(__file__).parent / "tiny_gguf.py"
    subprocess.run([sys.executable, str(tool), str(model), "--seed", str(seed)], check=True)
    recipe.write_text(f"FROM {model}\nPARAMETER num_thread 1\n")
    made = subprocess.run(
        [program, "create", f"tiny{seed}", "-f", str(recipe)],
        env={**os.environ, "OLLAMA_HOST": maker.address, "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        sys.exit(f"ollama create ended with {made.returncode}: {made.stderr[-500:]}")
