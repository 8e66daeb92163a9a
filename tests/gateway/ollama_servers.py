"""Servers as processes of their own: the built-in engine, or the real Ollama that ARRIERO_OLLAMA names."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from running_gateway import free_port

from arriero.control.messages import TargetEntry

_RECORD_END = b"\n\r\n"  # a record's end and its chunk's
PROFILE = {"load_seconds": 0.0, "first_token_seconds": 0.001, "tokens_per_second": 200.0}
REAL = os.environ.get("ARRIERO_OLLAMA", "")
TEMPLATES = {
    "open": "{{ if .System }}<system>{{ .System }}\n{{ end }}<user>{{ .Prompt }}\n<assistant>{{ .Response }}",
    "turns": '{{ range $i, $_ := .Messages }}<{{ .Role }}>{{ .Content }}{{ if ne .Role "assistant" }}\n{{ end }}'
    '{{ if and (eq .Role "user") (eq (len (slice $.Messages $i)) 1) }}<assistant>{{ end }}{{ end }}',
    "shut": "{{ range .Messages }}<{{ .Role }}>{{ .Content }}\n{{ end }}<assistant>",
}


@dataclass
class Server:
    name: str
    port: int
    process: subprocess.Popen[bytes]
    entry: TargetEntry = field(init=False)

    def __post_init__(self) -> None:
        self.entry = TargetEntry(self.name, f"site-{self.name}", f"127.0.0.1:{self.port}", slots=4)

    def kill(self) -> None:
        """The server and what it started: Ollama's runners outlive it else."""
        self._signal(signal.SIGKILL)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


class Relay:
    """Stands before a server and, once armed, kills it after so many records of an answer, however fast it is.

    A head that comes with the first record counts as one.
    """

    def __init__(self, server: Server) -> None:
        self._server, self._left = server, -1
        self.entry = server.entry

    def arm(self, after: int) -> None:
        self._left = after

    async def start(self) -> None:
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        self.entry = dataclasses.replace(self._server.entry, address=f"127.0.0.1:{port}")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._server.port)
        except OSError:
            writer.transport.abort()
            return
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_copy(reader, back))
            tasks.create_task(self._pass_on(there, writer))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                *records, rest = data.split(_RECORD_END)
                if self._left >= 0 and b'"done":false' in data + b'"done":false' * (b"data: {" in data):
                    passed = records[: self._left]
                    self._left -= len(passed)
                    data = b"".join(record + _RECORD_END for record in passed)
                    data += rest if self._left else b""
                writer.write(data)
                await writer.drain()
                if self._left == 0:
                    self._server.kill()
                    break
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


def make_models(folder: Path) -> Path:
    """A store with the models `open` and `shut` of one file, whose template leaves a last assistant turn open, or not.

    The file knows single letters alone, so that each text has one way to be cut into tokens.
    """
    file, store = folder / "letters.gguf", folder / "models"
    maker = Path(__file__).parents[2] / "benchmarks" / "tiny_gguf.py"
    subprocess.run([sys.executable, str(maker), str(file), "--letters"], check=True)
    digest = f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
    with servers(folder, "maker", is_real=True, OLLAMA_MODELS=str(store)) as (server,):
        url = f"http://{server.entry.address}"
        httpx.post(f"{url}/api/blobs/{digest}", content=file.read_bytes()).raise_for_status()
        for name, template in TEMPLATES.items():
            made = {"model": name, "files": {file.name: digest}, "template": template, "parameters": {"num_thread": 1}}
            answer = httpx.post(f"{url}/api/create", json=made, timeout=60)
            assert '"success"' in answer.text, answer.text
    return store


@contextlib.contextmanager
def servers(folder: Path, *names: str, is_real: bool = False, **environment: str) -> Iterator[list[Server]]:
    """Starts one server a name; all end with the block."""
    started = []
    try:
        for name in names:
            started.append(_start(folder / name, name, is_real, environment))
        for server in started:
            _wait_for(server)
        yield started
    finally:
        for server in started:
            server.kill()
            server.process.wait(10)


def _wait_for(server: Server) -> None:
    for _ in range(400):
        with contextlib.suppress(httpx.TransportError):
            httpx.get(f"http://{server.entry.address}/")
            return
        time.sleep(0.05)
    raise TimeoutError(f"{server.name} does not answer")


def _start(folder: Path, name: str, is_real: bool, environment: dict[str, str]) -> Server:
    folder.mkdir()
    port = free_port()
    own = {"PATH": os.environ["PATH"], "HOME": str(folder), "OLLAMA_HOST": f"127.0.0.1:{port}", "OLLAMA_NO_CLOUD": "1"}
    if is_real:
        own |= {"OLLAMA_NUM_PARALLEL": "1"}
    else:
        own |= {"ARRIERO_ENGINE_PROFILE": json.dumps(PROFILE), "ARRIERO_MODELS": "llama2", "OLLAMA_NUM_PARALLEL": "4"}
    command = [REAL] if is_real else [sys.executable, "-m", "arriero.rehearse.engine"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "serve"], env={**own, **environment}, stdout=log, stderr=log, start_new_session=True
        )
    return Server(name, port, process)
