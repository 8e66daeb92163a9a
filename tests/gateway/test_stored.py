"""Models from a storage: what is laid out for an Ollama, and what a job puts there."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arriero.clock import ManualClock
from arriero.errors import ArrieroError
from arriero.gateway.stored.folder import files_of, manifest_of
from arriero.gateway.stored.lay import Layout, lay
from arriero.gateway.stored.main import run_lay
from arriero.gateway.stored.seed import Job, Seed, seed

BIG = "llama2:70b"


def name_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def put(folder: Path, model: str, weights: bytes) -> Path:
    """A model as Ollama keeps it; returns the file of its weights."""
    config = json.dumps({"of": model}).encode()
    parts = [{"digest": name_of(each), "size": len(each)} for each in (config, weights)]
    (folder / "blobs").mkdir(parents=True, exist_ok=True)
    for each in (config, weights):
        (folder / "blobs" / name_of(each).replace(":", "-")).write_bytes(each)
    manifest = folder / "manifests" / manifest_of(model)
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(json.dumps({"schemaVersion": 2, "config": parts[0], "layers": parts[1:]}))
    return folder / "blobs" / name_of(weights).replace(":", "-")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """One small model in the image, a big one in the storage."""
    made = Layout(tmp_path / "image", tmp_path / "storage", tmp_path / "shelf", (BIG,))
    put(made.baked, "llama2", b"small")
    put(made.storage, BIG, b"big")
    return made


def refusal(layout: Layout) -> str:
    with pytest.raises(ArrieroError) as refused:
        list(lay(layout))
    return str(refused.value)


@pytest.mark.parametrize("copies", [False, True], ids=["linked", "copied"])
def test_both_kinds_of_models_stand_in_one_folder(layout: Layout, copies: bool) -> None:
    said = list(lay(replace(layout, copies=copies)))
    assert said == ["llama2/latest: of the image", f"{BIG}: 23 bytes {'copied' if copies else 'linked'}"]
    manifests = {str(path.relative_to(layout.shelf / "manifests")) for path in layout.shelf.rglob("manifests/*/*/*/*")}
    assert manifests == {str(manifest_of("llama2")), str(manifest_of(BIG))}
    blobs = {path.name: path for path in (layout.shelf / "blobs").iterdir()}
    for content, is_link in ((b"small", True), (b"big", not copies)):
        blob = blobs[name_of(content).replace(":", "-")]
        assert blob.read_bytes() == content
        assert blob.is_symlink() is is_link


def test_what_was_laid_out_is_laid_out_again_without_a_word(layout: Layout) -> None:
    """A container that is started anew finds the folder as it left it."""
    for copies in (True, True, False):
        list(lay(replace(layout, copies=copies)))
    assert (layout.shelf / "blobs" / name_of(b"big").replace(":", "-")).read_bytes() == b"big"


def test_every_model_that_is_not_whole_is_named_and_nothing_is_laid_out(layout: Layout) -> None:
    put(layout.storage, "qwen:72b", b"cut off").write_bytes(b"cut")
    put(layout.storage, "phi:3b", b"gone").unlink()
    (layout.storage / "manifests" / manifest_of("bad:1b")).parent.mkdir()
    (layout.storage / "manifests" / manifest_of("bad:1b")).write_text('{"layers": []}')
    said = refusal(replace(layout, models=(BIG, "qwen:72b", "phi:3b", "bad:1b", "none:1b"))).splitlines()
    remedy = "run arriero up, which puts it there"
    cut, gone = (name_of(content).replace(":", "-") for content in (b"cut off", b"gone"))
    assert said == [
        f"qwen:72b: the storage's file {cut} has 3 bytes, and not 7; {remedy}",
        f"phi:3b: the storage's file {gone} is missing; {remedy}",
        f"bad:1b: its manifest in the storage is broken: it is no manifest: KeyError('config'); {remedy}",
        f"none:1b: the site's storage does not have it; {remedy}",
    ]
    assert not layout.shelf.exists()


def test_a_copy_is_held_against_its_digest(layout: Layout) -> None:
    put(layout.storage, BIG, b"big").write_bytes(b"bag")
    said = refusal(replace(layout, copies=True))
    assert "has another content than its name says; remove it there, and run arriero up" in said
    assert not list(layout.shelf.rglob("manifests/*/*/llama2/70b"))
    assert not list(layout.shelf.rglob("*.new"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_copies_belong_to_ollamas_own_user(layout: Layout) -> None:
    list(lay(replace(layout, copies=True, owner=10001)))
    assert {path.lstat().st_uid for path in [layout.shelf, *layout.shelf.rglob("*")]} == {10001}
    assert (layout.baked / "blobs").stat().st_uid == 0


def test_settings_that_are_missing_or_wrong_are_told_all_at_once() -> None:
    with pytest.raises(ArrieroError) as refused:
        run_lay({"ARRIERO_LAY": "move", "ARRIERO_OWNER": "ollama", "ARRIERO_SHELF": "/tmp/shelf"})
    assert [problem.key for problem in refused.value.problems] == [
        "OLLAMA_MODELS",
        "ARRIERO_STORAGE",
        "ARRIERO_STORED_MODELS",
        "ARRIERO_LAY",
        "ARRIERO_OWNER",
    ]


def test_names_lead_to_ollamas_places() -> None:
    assert str(manifest_of("llama2")) == "registry.ollama.ai/library/llama2/latest"
    assert str(manifest_of("acme/llm:7b")) == "registry.ollama.ai/acme/llm/7b"
    assert str(manifest_of("models.example.com:5000/acme/llm:7b")) == "models.example.com:5000/acme/llm/7b"


JSON = st.recursive(
    st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(st.binary(max_size=200) | JSON.map(json.dumps).map(str.encode))
def test_whatever_a_manifest_holds_it_is_read_or_refused(content: bytes) -> None:
    try:
        files_of(content)
    except ValueError:
        return
    raise AssertionError(content)


@pytest.mark.parametrize("digest", ["sha256:../../etc/passwd", "sha256:" + "g" * 64, "md5:0", ""])
def test_a_manifest_can_name_no_file_elsewhere(digest: str) -> None:
    manifest = {"config": {"digest": digest, "size": 1}, "layers": []}
    with pytest.raises(ValueError, match="which is no digest"):
        files_of(json.dumps(manifest).encode())


class Ollama(ThreadingHTTPServer):
    """Just as much of Ollama as a job asks for; `has` are its models, `pulls` what it answers to a pull, in turn."""

    def __init__(self) -> None:
        self.has: dict[str, str] = {}
        self.pulls: list[list[dict[str, Any]]] = []
        self.asked: list[tuple[str, Any]] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Ollama

    def do_GET(self) -> None:
        models = [{"name": name, "digest": digest} for name, digest in self.server.has.items()]
        self.answer([{"version": "0.6.5"} if self.path == "/api/version" else {"models": models}])

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, body))
        if self.path == "/api/copy":
            self.server.has[body["destination"]] = self.server.has[body["source"]]
            return self.answer([{}])
        lines = self.server.pulls.pop(0)
        if lines and lines[-1].get("status") == "success":
            self.server.has[body["model"]] = "ab" * 32
        return self.answer(lines)

    def do_DELETE(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, body))
        del self.server.has[body["model"]]
        self.answer([{}])

    def answer(self, lines: list[dict[str, Any]]) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write("".join(json.dumps(line) + "\n" for line in lines).encode())

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002
        return


@pytest.fixture
def ollama() -> Iterator[Ollama]:
    server = Ollama()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


SUCCESS = [
    {"status": "pulling manifest"},
    *({"status": "pulling abab", "total": 1000, "completed": done} for done in (0, 50, 120, 1000)),
    {"status": "success"},
]


def told(ollama: Ollama, *seeds: Seed, clock: ManualClock | None = None) -> list[str]:
    return list(seed(Job(ollama.address, seeds), clock or ManualClock()))


def test_a_model_is_pulled_under_its_source_and_called_its_name(ollama: Ollama) -> None:
    ollama.pulls = [SUCCESS]
    source = "models.example.com/acme/llm:70b"
    said = told(ollama, Seed(BIG, source, f"sha256:{'ab' * 32}", insecure=True))
    assert ollama.asked == [
        ("/api/pull", {"model": source, "insecure": True}),
        ("/api/copy", {"source": source, "destination": BIG}),
    ]
    assert said == [
        f"{BIG}: pulling abab, 0 % of 1000 bytes",
        f"{BIG}: pulling abab, 10 % of 1000 bytes",
        f"{BIG}: pulling abab, 100 % of 1000 bytes",
        f"{BIG}: it is in the storage",
    ]


def test_what_is_there_is_not_pulled_again_but_another_digest_is(ollama: Ollama) -> None:
    ollama.has = {BIG: "ab" * 32, "qwen:72b": "cd" * 32}
    ollama.pulls = [SUCCESS]
    said = told(ollama, Seed(BIG, BIG, f"sha256:{'ab' * 32}"), Seed("qwen:72b", "qwen:72b", f"sha256:{'ab' * 32}"))
    assert [path for path, _ in ollama.asked] == ["/api/pull"]
    assert (said[0], said[-1]) == (f"{BIG}: it is there", "qwen:72b: it is in the storage")


def test_a_pull_that_breaks_is_tried_three_times(ollama: Ollama) -> None:
    clock = ManualClock()
    ollama.pulls = [[{"error": "EOF"}], [], SUCCESS]
    said = told(ollama, Seed(BIG, BIG), clock=clock)
    assert said[:2] == [f"{BIG}: try 1 failed, once more", f"{BIG}: try 2 failed, once more"]
    assert clock.monotonic() - ManualClock().monotonic() == 20
    ollama.pulls, ollama.has = [[{"error": "file does not exist"}]] * 3, {}
    with pytest.raises(ArrieroError, match=f"{BIG}: it can't be pulled: file does not exist; see its registry"):
        told(ollama, Seed(BIG, BIG))


def test_a_model_of_another_digest_is_taken_away_again(ollama: Ollama) -> None:
    ollama.pulls = [SUCCESS]
    with pytest.raises(ArrieroError, match=f"its digest is sha256:{'ab' * 32}, and sha256:00 was asked for"):
        told(ollama, Seed(BIG, BIG, "sha256:00"))
    assert ollama.has == {}


def test_an_ollama_that_never_comes_is_waited_for_two_minutes() -> None:
    clock = ManualClock()
    with pytest.raises(ArrieroError, match="Ollama does not answer"):
        list(seed(Job("127.0.0.1:1", (Seed(BIG, BIG),)), clock))
    assert clock.monotonic() - ManualClock().monotonic() == pytest.approx(120, abs=1)


@pytest.mark.parametrize("text", ["", "{}x", '{"name": 1}', '[{"name": "a"}]', '[{"name": "a", "pull": "a", "x": 1}]'])
def test_a_job_that_can_not_be_read_is_refused(text: str) -> None:
    with pytest.raises(ArrieroError, match="give a JSON list of models"):
        Job.of({"ARRIERO_SEEDS": text})
