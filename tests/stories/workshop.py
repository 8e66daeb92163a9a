"""A workshop for images: Debian's Docker engine and registries as processes of our own, a base image, a real Ollama."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from places import free_port

ROOT = Path(__file__).parents[2]
PACKAGES = ("ca-certificates", "python3", "tini")
REGISTRY = """\
version: 0.1
log: {{level: error}}
storage:
  filesystem: {{rootdirectory: {folder}}}
  maintenance: {{readonly: {{enabled: {readonly}}}}}
http: {{addr: "{address}"}}
"""


def missing() -> str:
    """Why no image can be built here; empty if one can."""
    if os.geteuid() != 0:
        return "needs root, for a Docker engine of its own"
    programs = ("dockerd", "docker-registry", "debootstrap", "runc")
    absent = [name for name in programs if not shutil.which(name)]
    if absent:
        return f"needs {', '.join(absent)}"
    return "" if ollama().exists() else "needs a real Ollama: make ollama, or ARRIERO_OLLAMA"


def ollama() -> Path:
    return Path(os.environ.get("ARRIERO_OLLAMA") or ROOT / ".venv/ollama/ollama")


@dataclass
class Engine:
    """A Docker engine of its own; `environment` leads to it, and to Debian's docker, whose BuildKit needs no plugin."""

    environment: dict[str, str]

    def docker(self, *words: str, check: bool = True) -> str:
        ended = subprocess.run(
            ["docker", *words], env=self.environment, capture_output=True, text=True, check=False, timeout=300
        )
        assert not check or ended.returncode == 0, ended.stderr
        return ended.stdout.strip()


@contextlib.contextmanager
def engine(folder: Path) -> Iterator[Engine]:
    """No bridge and no firewall rules: containers and builds that need a network share the host's."""
    folder.mkdir(parents=True, exist_ok=True)
    place = f"unix://{folder}/sock"
    command = ["dockerd", "--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--pidfile"]
    command += [f"{folder}/pid", "--host", place, "--bridge=none", "--iptables=false", "--ip-forward=false"]
    environment = {**os.environ, "DOCKER_HOST": place, "DOCKER_CONFIG": f"{folder}/config"}
    environment["PATH"] = f"/usr/bin:{os.environ['PATH']}"
    try:
        with ended_with_block(command, folder / "log"):
            found = Engine(environment)
            wait_for(lambda: bool(found.docker("info", "--format", "{{.ServerVersion}}", check=False)))
            yield found
    finally:
        # The engine leaves the name of the host's network mounted, and its folder could not be removed.
        subprocess.run(["umount", f"{folder}/exec/netns/default"], capture_output=True, check=False)


@contextlib.contextmanager
def registry(folder: Path, readonly: bool = False) -> Iterator[str]:
    """Debian's docker-registry; gives its address."""
    folder.mkdir(parents=True, exist_ok=True)
    address = f"127.0.0.1:{free_port()}"
    text = REGISTRY.format(folder=folder / "data", address=address, readonly=str(readonly).lower())
    (folder / "config.yml").write_text(text)
    with ended_with_block(["docker-registry", "serve", str(folder / "config.yml")], folder / "log"):
        wait_for(lambda: answers(f"http://{address}/v2/"))
        yield address


@contextlib.contextmanager
def ended_with_block(command: list[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=out, stderr=out, start_new_session=True
        )
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(is_so: object, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not is_so():  # type: ignore[operator]
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.1)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status) == 200
    except OSError:
        return False


def make_base(made: Engine, folder: Path, address: str) -> str:
    """A Debian with Python and tini, pushed to a registry; gives its name there, with the digest."""
    with (folder / "debootstrap.log").open("wb") as log:
        words = [
            "debootstrap",
            "--variant=minbase",
            f"--include={','.join(PACKAGES)}",
            "bookworm",
            str(folder / "root"),
        ]
        subprocess.run(words, check=True, stdout=log, stderr=log)
    name = f"{address}/base:bookworm"
    packed = [
        "tar",
        "-C",
        str(folder / "root"),
        "--exclude=./var/cache/apt",
        "--exclude=./var/lib/apt/lists",
        "-c",
        ".",
    ]
    with subprocess.Popen(packed, stdout=subprocess.PIPE) as archive:
        subprocess.run(["docker", "import", "-", name], stdin=archive.stdout, env=made.environment, check=True)
    shutil.rmtree(folder / "root")
    said = made.docker("push", name)
    return f"{address}/base@{said.rpartition('digest: ')[2].split()[0]}"


def make_wheels(folder: Path) -> None:
    """What a build without internet installs: the lock's packages, and pip."""
    lock = ROOT / "src/arriero/pipeline/image/data/sidecar.lock"
    python = shutil.which("python3", path="/usr/bin") or sys.executable
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(folder), "--only-binary", ":all:"]
    pip += ["--python-version", subprocess.check_output([python, "-c", _VERSION], text=True).strip()]
    subprocess.run([*pip, "--require-hashes", "--no-deps", "--requirement", str(lock)], check=True)
    subprocess.run([*pip, "--no-deps", "pip"], check=True)


_VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"


def push_model(folder: Path, address: str) -> str:
    """A tiny model, pushed by a real Ollama to a registry; gives its digest there."""
    file = folder / "tiny.gguf"
    subprocess.run([sys.executable, str(ROOT / "benchmarks/tiny_gguf.py"), str(file)], check=True)
    (folder / "Modelfile").write_text(f"FROM {file}\nPARAMETER num_thread 1\n")
    host = f"127.0.0.1:{free_port()}"
    environment = {"OLLAMA_HOST": host, "OLLAMA_MODELS": str(folder / "models"), "HOME": str(folder)}
    with ended_with_block([str(ollama()), "serve"], folder / "ollama.log", **environment):
        wait_for(lambda: answers(f"http://{host}/"))
        name = f"{address}/library/tiny"
        for words in (["create", name, "-f", str(folder / "Modelfile")], ["push", "--insecure", name]):
            subprocess.run([str(ollama()), *words], check=True, env={**os.environ, **environment}, capture_output=True)
    return digest_of(address, "library/tiny", "latest")


def digest_of(address: str, repository: str, name: str) -> str:
    accept = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
    asked = urllib.request.Request(f"http://{address}/v2/{repository}/manifests/{name}", headers=accept, method="HEAD")
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return str(answer.headers["Docker-Content-Digest"])


def ask(address: str, prompt: str = "hello", tokens: int = 8, model: str = "tiny") -> list[dict[str, object]]:
    """The records of an answer of /api/chat."""
    body = {"model": model, "messages": [{"role": "user", "content": prompt}], "options": {"num_predict": tokens}}
    asked = urllib.request.Request(f"http://{address}/api/chat", data=json.dumps(body).encode())
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return [json.loads(line) for line in answer]
