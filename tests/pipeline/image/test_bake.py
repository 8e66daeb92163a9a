"""What runs inside the build to bake one model, with an `ollama` that only pretends: nothing is in the layer that was
not asked for, and what went wrong is one line.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from arriero.pipeline.image import bake

PLACE = "registry.ollama.ai/library/tiny/latest"
WEIGHTS, CONFIG = b"weights", b"{}"

# Serves until it is ended; its `pull` and `create` lay out a model as Ollama's folder has it, its `cp` does nothing.
OLLAMA = f"""#!{sys.executable}
import hashlib, http.server, json, os, pathlib, sys

command, broken = sys.argv[1], os.environ.get("BROKEN", "")
if command == "serve":
    if broken == "serve":
        sys.exit("no such device")
    host, _, port = os.environ["OLLAMA_HOST"].partition(":")
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
    http.server.HTTPServer((host, int(port)), Answer).serve_forever()
if command == broken:
    sys.exit("Error: pull model manifest: file does not exist")
if command in ("pull", "create"):
    models = pathlib.Path(os.environ["OLLAMA_MODELS"])
    parts = []
    for content in ({WEIGHTS!r}, {CONFIG!r}):
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        file = models / "blobs" / digest.replace(":", "-")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"other" if broken == "files" else content)
        parts.append({{"digest": digest}})
    manifest = models / "manifests" / {PLACE!r}
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(json.dumps({{"layers": parts[:1], "config": parts[1]}}))
"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="gives its files to root, as in a build")


@dataclass
class Kitchen:
    folder: Path

    def bake(self, *words: str, broken: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(Path(bake.__file__)), "--name", "tiny:latest", "--manifest", PLACE]
        for name in ("cache", "before", "out"):
            command += [f"--{name}", str(self.folder / name)]
        environment = {"PATH": f"{self.folder}:{os.environ['PATH']}", "BROKEN": broken}
        return subprocess.run(
            [*command, *(words or ("--pull", "tiny:latest"))],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    @property
    def layer(self) -> dict[str, Path]:
        models = self.folder / "out/models"
        return {str(path.relative_to(models)): path for path in models.rglob("*") if path.is_file()}


@pytest.fixture
def kitchen(tmp_path: Path) -> Kitchen:
    (tmp_path / "ollama").write_text(OLLAMA)
    (tmp_path / "ollama").chmod(0o755)
    return Kitchen(tmp_path)


def blob(content: bytes) -> str:
    return f"blobs/sha256-{hashlib.sha256(content).hexdigest()}"


@pytest.mark.parametrize("words", [("--pull", "tiny:latest"), ("--create", "/")], ids=["pulled", "made"])
def test_a_model_is_copied_whole_with_one_owner_mode_and_time(kitchen: Kitchen, words: tuple[str, ...]) -> None:
    done = kitchen.bake(*words)
    assert done.returncode == 0, done.stderr
    manifest = kitchen.layer[f"manifests/{PLACE}"].read_bytes()
    assert done.stdout.split() == ["arriero-model", "tiny:latest", f"sha256:{hashlib.sha256(manifest).hexdigest()}"]
    assert set(kitchen.layer) == {f"manifests/{PLACE}", blob(WEIGHTS), blob(CONFIG)}
    facts = [path.stat() for path in (kitchen.folder / "out").rglob("*")]
    assert {(fact.st_uid, fact.st_gid, fact.st_mtime) for fact in facts} == {(0, 0, float(bake.EPOCH))}
    assert {fact.st_mode & 0o777 for fact in facts} == {0o755, 0o644}


def test_files_that_an_earlier_layer_has_are_not_there_again(kitchen: Kitchen) -> None:
    earlier = kitchen.folder / "before/model-1/models" / blob(WEIGHTS)
    earlier.parent.mkdir(parents=True)
    earlier.write_bytes(WEIGHTS)
    assert kitchen.bake().returncode == 0
    assert set(kitchen.layer) == {f"manifests/{PLACE}", blob(CONFIG)}


@pytest.mark.parametrize(
    ("broken", "words", "said"),
    [
        ("serve", (), "arriero: `ollama serve` does not start in the build"),
        ("pull", (), "arriero: model tiny:latest: pull model manifest: file does not exist"),
        ("create", ("--create", "/"), "arriero: model tiny:latest: pull model manifest: file does not exist"),
        ("cp", ("--pull", "other:1"), "arriero: model tiny:latest: pull model manifest: file does not exist"),
        ("files", (), "is damaged; build again"),
        ("", ("--pull", "tiny:latest", "--digest", "sha256:0"), "and sha256:0 was asked for; it was changed at its"),
    ],
)
def test_what_goes_wrong_is_one_line_and_the_layer_holds_no_model(
    kitchen: Kitchen, broken: str, words: tuple[str, ...], said: str
) -> None:
    done = kitchen.bake(*words, broken=broken)
    assert done.returncode == 1
    ours = [line for line in done.stderr.splitlines() if line.startswith("arriero: ")]
    assert len(ours) == 1
    assert said in ours[0]
    assert not {blob(WEIGHTS), blob(CONFIG)} <= set(kitchen.layer)


def test_a_damaged_file_is_taken_out_of_the_cache_for_the_next_build(kitchen: Kitchen) -> None:
    assert kitchen.bake(broken="files").returncode == 1
    left = {path.name for path in (kitchen.folder / "cache/blobs").iterdir()}
    assert len(left) == 1, "the one that was found to be damaged is gone"
    shutil.rmtree(kitchen.folder / "out")  # the next build begins with none
    assert kitchen.bake().returncode == 0
