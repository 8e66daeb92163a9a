"""Lays out the folder that a target's Ollama reads, before it starts: models of the image as links, models of the
site's storage as links where Ollama's own user can read it (EFS), as copies where only root can (Azure Files).

It is the first container of a target, from the same image, so that a link into the image leads somewhere in the next
one, too. A copy is held against its digest; what a link leads to against its size, for hashing tens of gigabytes over
a network would take as long as loading them. A model that is not whole ends the target's start: better than a server
without it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from arriero.errors import ArrieroError, Problem
from arriero.gateway.stored.folder import File, files_of, manifest_of

_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Layout:
    """`baked` is the image's folder of models, `storage` the site's, `shelf` the one to lay out. A copy belongs to
    `owner` (a user's number) where this program runs as root; None: to whom it runs as.
    """

    baked: Path
    storage: Path
    shelf: Path
    models: tuple[str, ...]
    copies: bool = False
    owner: int | None = None

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Layout:
        """Raises ArrieroError with every variable that is missing or wrong."""
        wanted = ("OLLAMA_MODELS", "ARRIERO_STORAGE", "ARRIERO_SHELF", "ARRIERO_STORED_MODELS")
        problems = [
            Problem("it is not set", "give it", key, "environment") for key in wanted if not environment.get(key)
        ]
        way, owner = environment.get("ARRIERO_LAY", "link"), environment.get("ARRIERO_OWNER", "")
        if way not in ("link", "copy"):
            problems.append(Problem(f"{way!r} is neither link nor copy", "correct it", "ARRIERO_LAY", "environment"))
        if owner and not owner.isdecimal():
            problems.append(Problem(f"{owner!r} is no user's number", "correct it", "ARRIERO_OWNER", "environment"))
        if problems:
            raise ArrieroError(problems)
        baked, storage, shelf = (Path(environment[key]) for key in wanted[:3])
        models = tuple(filter(None, environment[wanted[3]].split(",")))
        return cls(baked, storage, shelf, models, way == "copy", int(owner) if owner else None)


def lay(layout: Layout) -> Iterator[str]:
    """Does it, and says a line for each model. Raises ArrieroError with every model that the storage lacks a part of;
    then nothing was laid out of it that Ollama would take for a model.
    """
    wanted = {model: _read(layout, model) for model in layout.models}
    if problems := [found for found in wanted.values() if isinstance(found, Problem)]:
        raise ArrieroError(problems)
    (layout.shelf / "blobs").mkdir(parents=True, exist_ok=True)
    yield from _lay_baked(layout)
    for model, manifest in wanted.items():
        assert isinstance(manifest, bytes)
        files = files_of(manifest)
        for file in files:
            _lay_file(layout, model, file)
        _write(layout.shelf / "manifests" / manifest_of(model), manifest)
        yield f"{model}: {sum(file.size for file in files)} bytes {'copied' if layout.copies else 'linked'}"
    if layout.owner is not None and os.geteuid() == 0:
        for path in [layout.shelf, *layout.shelf.rglob("*")]:
            os.chown(path, layout.owner, layout.owner, follow_symlinks=False)


def _read(layout: Layout, model: str) -> bytes | Problem:
    """The model's manifest, all of whose files are there; or what is missing."""
    remedy = "run arriero up, which puts it there"
    try:
        manifest = (layout.storage / "manifests" / manifest_of(model)).read_bytes()
    except FileNotFoundError:
        return Problem("the site's storage does not have it", remedy, model)
    except OSError as error:
        return Problem(f"its manifest can't be read: {error.strerror or error}", "see the storage's mount", model)
    try:
        files = files_of(manifest)
    except ValueError as error:
        return Problem(f"its manifest in the storage is broken: {error}", remedy, model)
    for file in files:
        found = _size_of(layout.storage / "blobs" / file.name)
        if found != file.size:
            what = "is missing" if found is None else f"has {found} bytes, and not {file.size}"
            return Problem(f"the storage's file {file.name} {what}", remedy, model)
    return manifest


def _lay_baked(layout: Layout) -> Iterator[str]:
    """Small manifests are copied, for a link's target is not what Ollama looks for models by."""
    manifests = layout.baked / "manifests"
    for manifest in sorted(path for path in manifests.rglob("*") if path.is_file()):
        _write(layout.shelf / "manifests" / manifest.relative_to(manifests), manifest.read_bytes())
        yield f"{'/'.join(manifest.parts[-2:])}: of the image"
    for blob in (layout.baked / "blobs").glob("sha256-*"):
        _link(layout.shelf / "blobs" / blob.name, blob)


def _lay_file(layout: Layout, model: str, file: File) -> None:
    source, place = layout.storage / "blobs" / file.name, layout.shelf / "blobs" / file.name
    if not layout.copies:
        _link(place, source)
    elif _size_of(place) != file.size:  # another model of the same weights may have brought it
        _copy(source, place, model, file)


def _copy(source: Path, place: Path, model: str, file: File) -> None:
    new, found = place.with_name(f"{place.name}.new"), hashlib.sha256()
    try:
        with source.open("rb") as reader, new.open("wb") as writer:
            while piece := reader.read(_PIECE_BYTES):
                found.update(piece)
                writer.write(piece)
    except OSError as error:
        needed = f"{file.size / 2**30:.1f} GiB are needed, {shutil.disk_usage(place.parent).free / 2**30:.1f} are free"
        what = f"{file.name} can't be copied from the storage: {error.strerror or error}; {needed}"
        raise ArrieroError(Problem(what, "write a larger size.storage", model)) from error
    if f"sha256:{found.hexdigest()}" != file.digest:
        new.unlink()
        what = f"the storage's file {file.name} has another content than its name says"
        raise ArrieroError(Problem(what, "remove it there, and run arriero up, which puts it there anew", model))
    new.rename(place)


def _link(place: Path, source: Path) -> None:
    if not place.is_symlink() and not place.exists():
        place.symlink_to(source)


def _write(place: Path, content: bytes) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
