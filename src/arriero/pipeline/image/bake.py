"""Runs inside the image's build, by itself: puts one model into a folder that becomes a layer.

It starts `ollama serve`, has it pull or create the model, holds its manifest against the digest that was asked for and
every file against its own, and copies them out with one owner, mode and time, so that the same model is the same layer
in every build. The standard library is all it has; it imports nothing of arriero, so that a new arriero bakes no model
anew. What went wrong is one line on stderr that begins with `arriero: `.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

START_SECONDS = 60
PIECE = 1 << 20
# 2020-01-01: any fixed time will do; this one is no date that a tool takes for unset.
EPOCH = 1_577_836_800
MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"


def main() -> int:
    asked = _arguments()
    cache, out = Path(asked.cache), Path(asked.out)
    environment = {
        **os.environ,
        "OLLAMA_MODELS": str(cache),
        "OLLAMA_HOST": f"127.0.0.1:{_free_port()}",
        "OLLAMA_NOPRUNE": "1",
        "HOME": "/tmp",
    }
    server = _started(environment, cache)
    try:
        if asked.pull:
            _pull(asked, cache, environment)
        else:
            _run(asked.name, ["create", asked.name, "-f", "Modelfile"], environment, folder=asked.create)
    finally:
        server.terminate()
        server.wait()
    manifest = cache / "manifests" / asked.manifest
    found = f"sha256:{hashlib.sha256(manifest.read_bytes()).hexdigest()}"
    if asked.digest and found != asked.digest:
        _fail(asked.name, f"its digest is {found}, and {asked.digest} was asked for; it was changed at its source")
    try:
        _copy(asked.name, manifest, cache, out / "models", asked.manifest, Path(asked.before))
    except OSError as error:
        _fail(asked.name, error.strerror or str(error))
    _settle(out)
    print(f"arriero-model {asked.name} {found}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", required=True, help="what the model is called in the image")
    parser.add_argument("--manifest", required=True, help="where its manifest lies, below manifests/")
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--pull", help="the name to pull it under")
    way.add_argument("--create", type=Path, help="the folder with its Modelfile")
    parser.add_argument("--insecure", action="store_true", help="its registry speaks plain http")
    parser.add_argument("--digest", default="", help="sha256:… that its manifest must have; empty: any")
    parser.add_argument("--cache", default="/cache", help="what earlier builds have pulled already")
    parser.add_argument("--before", default="/before", help="what earlier layers hold, a folder each")
    parser.add_argument("--out", default="/layer")
    return parser.parse_args()


def _free_port() -> int:
    """A build may share its host's network."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _started(environment: Mapping[str, str], cache: Path) -> subprocess.Popen[bytes]:
    cache.mkdir(parents=True, exist_ok=True)
    with Path("/tmp/ollama.log").open("wb") as log:
        server = subprocess.Popen(["ollama", "serve"], env=environment, stdout=log, stderr=log)
    end = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < end:
        try:
            urllib.request.urlopen(f"http://{environment['OLLAMA_HOST']}/", timeout=5).close()
            return server
        except OSError:
            time.sleep(0.05)
    server.kill()
    sys.stderr.write(Path("/tmp/ollama.log").read_text(errors="replace")[-2000:])
    _fail("", "`ollama serve` does not start in the build")


def _pull(asked: argparse.Namespace, cache: Path, environment: Mapping[str, str]) -> None:
    command = ["pull", *(["--insecure"] if asked.insecure else []), asked.pull]
    said = _tried(command, environment)
    if said and "no Location header" in said:
        # Ollama 0.6 reads files only where a registry redirects to; a plain registry hands them out itself.
        _fetch_files(asked, cache)
        said = _tried(command, environment)
    if said:
        _fail(asked.name, said)
    if asked.pull != asked.name:
        _run(asked.name, ["cp", asked.pull, asked.name], environment)


def _fetch_files(asked: argparse.Namespace, cache: Path) -> None:
    host, _, path = asked.pull.partition("/")
    repository, _, tag = path.rpartition(":")
    base = f"{'http' if asked.insecure else 'https'}://{host}/v2/{repository}"
    try:
        ask = urllib.request.Request(f"{base}/manifests/{tag}", headers={"Accept": MANIFEST_TYPE})
        with urllib.request.urlopen(ask, timeout=60) as answer:
            manifest = json.loads(answer.read())
        for digest in _digests(manifest):
            _fetch(asked.name, f"{base}/blobs/{digest}", digest, cache / "blobs" / digest.replace(":", "-"))
    except (OSError, ValueError) as error:
        _fail(asked.name, f"{host} does not hand it out: {error}")


def _fetch(name: str, url: str, digest: str, file: Path) -> None:
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    part, sum_ = file.with_suffix(".part"), hashlib.sha256()
    with urllib.request.urlopen(url, timeout=60) as answer, part.open("wb") as out:
        while piece := answer.read(PIECE):
            sum_.update(piece)
            out.write(piece)
    if f"sha256:{sum_.hexdigest()}" != digest:
        part.unlink()
        _fail(name, f"its registry handed out another file than {digest}")
    part.rename(file)


def _copy(name: str, manifest: Path, cache: Path, models: Path, place: str, before: Path) -> None:
    """Copies what the manifest names and no earlier layer has, every file held against its digest as it passes."""
    there = {blob.name for blob in before.glob("*/models/blobs/*")}
    target = models / "manifests" / place
    target.parent.mkdir(parents=True)
    (models / "blobs").mkdir()
    shutil.copyfile(manifest, target)
    for digest in _digests(json.loads(manifest.read_bytes())):
        file, sum_ = digest.replace(":", "-"), hashlib.sha256()
        if file in there:
            continue
        with (cache / "blobs" / file).open("rb") as source, (models / "blobs" / file).open("wb") as out:
            while piece := source.read(PIECE):
                sum_.update(piece)
                out.write(piece)
        if f"sha256:{sum_.hexdigest()}" != digest:
            (cache / "blobs" / file).unlink()
            _fail(name, f"its file {digest} is damaged; build again")


def _digests(manifest: Mapping[str, Any]) -> list[str]:
    parts = [*manifest["layers"], manifest["config"]]
    return sorted({part["digest"] for part in parts if part.get("digest")})


def _settle(out: Path) -> None:
    """One owner, mode and time for all: root's, readable by everybody, written by nobody else."""
    for path in (*sorted(out.rglob("*"), reverse=True), out):
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.chown(path, 0, 0)
        os.utime(path, (EPOCH, EPOCH))


def _run(name: str, arguments: list[str], environment: Mapping[str, str], folder: Path | None = None) -> None:
    if said := _tried(arguments, environment, folder):
        _fail(name, said)


def _tried(arguments: list[str], environment: Mapping[str, str], folder: Path | None = None) -> str:
    """What Ollama said against it; empty where it did it. Its progress goes on to the build's log."""
    ended = subprocess.run(
        ["ollama", *arguments], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    sys.stderr.write(ended.stderr[-2000:])
    if ended.returncode == 0:
        return ""
    errors = [line.partition("Error: ")[2] for line in ended.stderr.splitlines() if "Error: " in line]
    return errors[-1].strip() if errors else f"`ollama {arguments[0]}` ended with {ended.returncode}"


def _fail(name: str, why: str) -> NoReturn:
    print(f"arriero: {f'model {name}: ' if name else ''}{why}", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    sys.exit(main())
