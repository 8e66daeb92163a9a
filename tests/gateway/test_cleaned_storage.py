"""A storage that is cleaned: real folders as Ollama lays them out, and what goes, what stays, what is told."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from arriero.errors import ArrieroError
from arriero.gateway.stored import clean as cleaner
from arriero.gateway.stored.clean import NOTE, Cleaning, Decision, Holding, clean, decide, look
from arriero.gateway.stored.folder import File, manifest_of
from arriero.gateway.stored.main import run_clean

OLD, NEW = "llama2:70b", "qwen:72b"


def blob(content: bytes) -> str:
    return f"sha256-{hashlib.sha256(content).hexdigest()}"


def put(storage: Path, model: str, *parts: bytes) -> None:
    """A model as Ollama keeps it: its last part is its config."""
    (storage / "blobs").mkdir(parents=True, exist_ok=True)
    for each in parts:
        (storage / "blobs" / blob(each)).write_bytes(each)
    named = [{"digest": blob(each).replace("-", ":"), "size": len(each)} for each in parts]
    manifest = storage / "manifests" / manifest_of(model)
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(json.dumps({"schemaVersion": 2, "config": named[-1], "layers": named[:-1]}))


@pytest.fixture
def cleaning(tmp_path: Path) -> Cleaning:
    """Two models that share a file."""
    put(tmp_path, OLD, b"old weights", b"shared", b"old config")
    put(tmp_path, NEW, b"new weights", b"shared", b"new config")
    return Cleaning(tmp_path, (OLD,), (NEW,), is_listing=False)


def blobs(storage: Path) -> set[str]:
    return {path.name for path in (storage / "blobs").iterdir()}


def report(cleaning: Cleaning) -> Any:
    *_, last = clean(cleaning)
    return json.loads(last)


def whole(storage: Path) -> set[str]:
    """The models of the storage; each has all its files."""
    held = look(storage)
    for files in held.manifests.values():
        assert files is not None
        assert all(held.blobs[file.name] == file.size for file in files)
    return set(held.manifests)


A, B, C = (File(f"sha256:{letter * 64}", 10) for letter in "abc")
CASES = {
    "what only the one that goes has goes": ("old", {}, ("old",), (A,), ()),
    "what nobody told of stays": ("", {}, (), (), ()),
    "what is needed stays though it was named": ("old new", {}, ("old",), (A,), ()),
    "of a file that is being pulled nothing goes": ("old", {f"blobs/{A.name}-partial-0": 3}, ("old",), (), (A,)),
    "a file of another's is told of": ("", {"blobs/notes.txt": 1}, (), (), ()),
}


@pytest.mark.parametrize(("gone", "others", "manifests", "files", "strange"), CASES.values(), ids=CASES)
def test_it_is_decided(
    gone: str, others: dict[str, int], manifests: tuple[str, ...], files: tuple[File, ...], strange: tuple[File, ...]
) -> None:
    held = Holding(
        {str(manifest_of("old")): (A, B), str(manifest_of("new")): (B, C)}, {f.name: 10 for f in (A, B, C)}, others
    )
    told = sorted([*others, *(f"blobs/{file.name}" for file in strange)])
    wanted = tuple(str(manifest_of(name)) for name in manifests)
    assert decide(held, gone.split(), ["new"]) == Decision(wanted, tuple(f.name for f in files), tuple(told))


def test_of_two_spellings_of_a_model_that_is_needed_neither_goes(cleaning: Cleaning) -> None:
    both = replace(cleaning, gone=("library/qwen:72b", OLD))
    assert [row["state"] for row in report(both)["models"]] == ["goes", "stays"]
    assert whole(cleaning.storage) == {str(manifest_of(NEW))}


def test_a_model_goes_and_what_another_has_too_stays(cleaning: Cleaning) -> None:
    told = report(cleaning)
    assert told["models"] == [
        {"name": OLD, "bytes": 27, "state": "goes"},
        {"name": NEW, "bytes": 27, "state": "stays"},
    ]
    assert told["freed_bytes"] == 21
    assert blobs(cleaning.storage) == {blob(each) for each in (b"new weights", b"shared", b"new config")}
    assert whole(cleaning.storage) == {str(manifest_of(NEW))}
    assert not (cleaning.storage / "manifests/registry.ollama.ai/library/llama2").exists()
    assert not (cleaning.storage / NOTE).exists()


def test_a_second_time_there_is_nothing_to_do(cleaning: Cleaning) -> None:
    list(clean(cleaning))
    told = report(cleaning)
    assert [row["name"] for row in told["models"]] == [NEW]
    assert told["freed_bytes"] == told["strange_count"] == 0


def test_listing_says_the_same_and_removes_nothing(cleaning: Cleaning) -> None:
    before = {path: path.stat().st_mtime_ns for path in cleaning.storage.rglob("*")}
    told = report(replace(cleaning, is_listing=True))
    assert {path: path.stat().st_mtime_ns for path in cleaning.storage.rglob("*")} == before
    assert {**report(cleaning), "listed": True} == told


def test_what_we_did_not_put_there_stays_and_is_told(cleaning: Cleaning) -> None:
    storage = cleaning.storage
    put(storage, "models.example.com/acme/theirs:1b", b"their weights", b"their config")
    (storage / "blobs" / blob(b"stray")).write_bytes(b"stray")
    (storage / "blobs" / f"{blob(b'coming')}-partial").write_bytes(b"com")
    (storage / "README").write_text("ours")
    told = report(cleaning)
    stray = [f"blobs/{blob(b'stray')}", f"blobs/{blob(b'coming')}-partial", "README"]
    assert told["strange"] == sorted(stray)
    assert told["strange_count"] == 3
    assert [row["state"] for row in told["models"] if "theirs" in row["name"]] == ["unknown"]
    assert all((storage / name).exists() for name in stray)
    assert whole(storage) == {str(manifest_of(NEW)), "models.example.com/acme/theirs/1b"}


def test_a_manifest_that_stays_and_cant_be_read_keeps_all_and_is_named(cleaning: Cleaning) -> None:
    (cleaning.storage / "manifests" / manifest_of(NEW)).write_text("{")
    before = blobs(cleaning.storage)
    with pytest.raises(ArrieroError) as refused:
        list(clean(cleaning))
    assert str(refused.value).startswith(f"{manifest_of(NEW)}: its manifest can't be read, so nothing is removed")
    assert blobs(cleaning.storage) == before
    assert (cleaning.storage / "manifests" / manifest_of(OLD)).exists()


def test_what_a_job_that_was_killed_left_goes_with_the_next(cleaning: Cleaning) -> None:
    """Between manifests and files: those that are named are whole, and the rest is known by the list."""
    lines = clean(cleaning)
    assert next(lines) == f"{OLD}: it goes"
    cleaner._remove_manifest(cleaning.storage, str(manifest_of(OLD)))
    del lines
    assert whole(cleaning.storage) == {str(manifest_of(NEW))}
    assert blob(b"old weights") in blobs(cleaning.storage)
    told = report(replace(cleaning, gone=()))
    assert told["freed_bytes"] == 21
    assert blobs(cleaning.storage) == {blob(each) for each in (b"new weights", b"shared", b"new config")}


def test_what_was_pulled_anew_after_a_job_was_killed_stays(cleaning: Cleaning) -> None:
    lines = clean(cleaning)
    next(lines)
    del lines
    pulled = cleaning.storage / "blobs" / blob(b"old weights")
    later = (cleaning.storage / NOTE).stat().st_mtime + 10
    (cleaning.storage / "manifests" / manifest_of(OLD)).unlink()
    os.utime(pulled, (later, later))
    told = report(replace(cleaning, gone=()))
    assert told["strange"] == [f"blobs/{pulled.name}"]
    assert pulled.exists()
    assert blob(b"old config") not in blobs(cleaning.storage)


KILLED_AT = """
import os, pathlib, signal, sys
from arriero.gateway.stored.clean import Cleaning, clean
left = int(sys.argv[2])
def before(event, arguments):
    global left
    if event in ("os.remove", "os.rename", "os.rmdir"):
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
sys.addaudithook(before)
list(clean(Cleaning(pathlib.Path(sys.argv[1]), ("llama2:70b",), ("qwen:72b",), False)))
"""


def test_it_may_be_killed_before_any_of_its_steps(cleaning: Cleaning) -> None:
    """Each time every model that is still named is whole, and the next job leaves nothing behind."""
    storage, step, code = cleaning.storage, 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        put(storage, OLD, b"old weights", b"shared", b"old config")
        code = subprocess.run([sys.executable, "-c", KILLED_AT, storage, str(step)], check=False).returncode
        assert str(manifest_of(NEW)) in whole(storage)
        list(clean(cleaning))
        assert whole(storage) == {str(manifest_of(NEW))}
        assert blobs(storage) == {blob(each) for each in (b"new weights", b"shared", b"new config")}
        assert {path.name for path in storage.iterdir()} == {"blobs", "manifests"}
        step += 1
    assert code == 0
    assert step > 5  # the list, a manifest, its folders, two files, and the list again


@pytest.mark.parametrize(
    ("environment", "key"),
    [
        ({}, "ARRIERO_STORAGE"),
        ({"ARRIERO_STORAGE": "/storage"}, "ARRIERO_CLEANING"),
        ({"ARRIERO_STORAGE": "/storage", "ARRIERO_CLEANING": '{"gone": []}'}, "ARRIERO_CLEANING"),
    ],
)
def test_settings_that_are_missing_or_wrong_are_refused(environment: dict[str, str], key: str) -> None:
    with pytest.raises(ArrieroError) as refused:
        run_clean(environment)
    assert [problem.key for problem in refused.value.problems] == [key]


def test_the_program_tells_its_report_last(cleaning: Cleaning, capsys: pytest.CaptureFixture[str]) -> None:
    told = json.dumps({"gone": [OLD], "kept": [NEW], "list": True})
    assert run_clean({"ARRIERO_STORAGE": str(cleaning.storage), "ARRIERO_CLEANING": told}) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["listed"] is True


def test_a_storage_that_cant_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ArrieroError, match="the storage can't be read: No such file or directory; see its mount"):
        look(tmp_path / "nowhere")
