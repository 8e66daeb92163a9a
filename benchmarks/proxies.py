"""The proxies that are measured side by side: nginx and HAProxy as Debian has them, and ours; each before the same
servers, each with its access log on, each ended with its block."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from arriero.control.client import Gateway
from arriero.control.messages import TargetEntry, Targets
from arriero.control.settings import GatewaySettings
from arriero.secret import Secret

TOKEN = "a-token-for-benchmarks"
START_SECONDS = 20


@dataclass(frozen=True)
class Proxy:
    """`pids` are the processes that do its work: what it costs is theirs together."""

    name: str
    port: int
    pids: tuple[int, ...]
    control: Gateway | None = None
    headers: str = ""


@contextlib.contextmanager
def nginx(folder: Path, servers: Sequence[str], balance: str = "", name: str = "nginx") -> Iterator[Proxy]:
    """`servers` are `address:port`; `balance` a directive such as `least_conn;`."""
    port, home = free_port(), folder / name.replace(" ", "-")
    home.mkdir()
    upstreams = " ".join(f"server {server};" for server in servers)
    (home / "nginx.conf").write_text(
        f"worker_processes 1; daemon off; pid {home}/nginx.pid; error_log {home}/error.log;\n"
        f"events {{ worker_connections 8192; }}\n"
        f"http {{ access_log {home}/access.log combined buffer=64k; keepalive_requests 1000000;\n"
        f"  client_max_body_size 64m; client_body_buffer_size 64k; client_body_temp_path {home};\n"
        f"  proxy_temp_path {home}; fastcgi_temp_path {home}; uwsgi_temp_path {home}; scgi_temp_path {home};\n"
        f"  upstream o {{ {balance} {upstreams} keepalive 512; keepalive_requests 1000000; }}\n"
        f"  server {{ listen 127.0.0.1:{port} backlog=4096;\n"
        f"    location / {{ proxy_pass http://o; proxy_http_version 1.1; proxy_set_header Connection '';\n"
        f"      proxy_set_header Host localhost; proxy_read_timeout 900s; proxy_buffering off; }} }} }}\n"
    )
    program = _program("nginx")
    with running([program, "-p", str(home), "-c", str(home / "nginx.conf")], port, home / "out") as master:
        children = Path(f"/proc/{master}/task/{master}/children")
        # The master listens before it has a worker.
        until(children.read_text, f"{name} has no worker")
        yield Proxy(name, port, (int(children.read_text().split()[0]),))


@contextlib.contextmanager
def haproxy(folder: Path, servers: Sequence[str], balance: str = "leastconn", name: str = "haproxy") -> Iterator[Proxy]:
    """Its access log goes to its standard output, which is a file."""
    port, file = free_port(), folder / f"{name}.cfg"
    lines = "".join(f"  server s{place} {server}\n" for place, server in enumerate(servers))
    file.write_text(
        "global\n  nbthread 1\n  maxconn 8192\n  log stdout format raw local0\n"
        "defaults\n  mode http\n  log global\n  option httplog\n  option http-no-delay\n  http-reuse always\n"
        "  timeout connect 2s\n  timeout client 900s\n  timeout server 900s\n"
        f"frontend f\n  bind 127.0.0.1:{port} backlog 4096\n  default_backend b\n"
        f"backend b\n  balance {balance}\n  http-request set-header Host localhost\n{lines}"
    )
    with running([_program("haproxy"), "-db", "-f", str(file)], port, folder / f"{name}.out") as pid:
        yield Proxy(name, port, (pid,))


@contextlib.contextmanager
def arriero(
    folder: Path,
    entries: Sequence[TargetEntry],
    name: str = "arriero",
    keys: bool = False,
    more: Mapping[str, object] | None = None,
) -> Iterator[Proxy]:
    """Our edge before these targets, all of which answer when the block begins; `more` are settings of its own.

    With `keys` it asks for an API key, and counts requests, tokens and streams of that key.
    """
    home = folder / name.replace(" ", "-")
    home.mkdir()
    headers = f"Authorization: Bearer {_key(home / 'keys.json')}\r\n" if keys else ""
    port, control, token = free_port(), free_port(), home / "token"
    token.touch(mode=0o600)
    token.write_text(TOKEN)
    settings = GatewaySettings(
        "bench", f"127.0.0.1:{port}", f"127.0.0.1:{control}", str(token), access_log=str(home / "access.log")
    )
    named = {"keys_file": str(home / "keys.json")} if keys else {}
    replace(settings, **{**named, **(more or {})}).write(home / "gateway.json")
    command = [sys.executable, "-m", "arriero.gateway", str(home / "gateway.json")]
    with running(command, port, home / "out") as pid:
        gateway = Gateway(f"http://127.0.0.1:{control}", Secret(TOKEN))
        gateway.set_targets(Targets(tuple(entries)))
        until(lambda: all(target.state == "up" for target in gateway.status().targets), f"{name}: targets are not up")
        yield Proxy(name, port, (pid,), gateway, headers)


@contextlib.contextmanager
def sidecar(folder: Path, server: str, slots: int, name: str = "sidecar") -> Iterator[Proxy]:
    """Ours beside the server at that address."""
    port = free_port()
    environment = {
        **os.environ,
        "ARRIERO_LISTEN": f"127.0.0.1:{port}",
        "ARRIERO_OLLAMA_ADDRESS": server,
        "ARRIERO_SLOTS": str(slots),
    }
    command = [sys.executable, "-m", "arriero.gateway", "sidecar"]
    with running(command, port, folder / f"{name}.out", environment) as pid:
        yield Proxy(name, port, (pid,))


@contextlib.contextmanager
def running(
    command: list[str], port: int, out: Path, environment: Mapping[str, str] | None = None, host: str = "127.0.0.1"
) -> Iterator[int]:
    """The process's id, once it listens; it ends with the block. `out` gets what it prints."""
    with out.open("wb") as file:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, env=environment
        )
    try:
        until(
            lambda: process.poll() is not None or is_listening(host, port),
            f"{command[0]} does not listen on {host}:{port}",
        )
        if process.poll() is not None:
            raise RuntimeError(f"{' '.join(command)} ended:\n{out.read_text()[-2000:]}")
        yield process.pid
        if process.poll() is not None:
            raise RuntimeError(f"{' '.join(command)} ended by itself ({process.poll()}):\n{out.read_text()[-3000:]}")
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()


def is_listening(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def until(condition: object, otherwise: str, seconds: float = START_SECONDS) -> None:
    """Waits for `condition()`; RuntimeError with the text `otherwise` if that takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise RuntimeError(otherwise)
        time.sleep(0.02)


def cpu_seconds(pids: Sequence[int]) -> float:
    """Time on a CPU of all their threads, in user and kernel mode, from the kernel."""
    tasks = [task for pid in pids for task in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def resident_mb(pids: Sequence[int]) -> float:
    lines = [line for pid in pids for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _key(file: Path) -> str:
    """A key with limits that no benchmark reaches, so that all of them are counted."""
    limits = ("--requests-a-minute", "100000000", "--tokens-a-minute", "1000000000", "--concurrency", "100000")
    command = [sys.executable, "-m", "arriero", "keys", "add", "bench", "--keys", str(file), "--json", *limits]
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    return str(json.loads(made.stdout)["key"])


def _program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        sys.exit(f"{name} is not installed: a benchmark beside it needs it (Debian: apt-get install {name})")
    return found
