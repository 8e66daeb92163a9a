"""Takes models out of a site's storage that no release needs any more: a job of the same image that filled it.

It removes what it is told by name, and what belongs to nothing else: a file that a model which stays has too stays with
it. Whatever it was not told of stays, and is named in its report. Listing does the same but for the removing.

It may be killed at any time. First it writes down which files may go, then manifests go, then files: so a model that is
still named is whole. A list that is found was left by a job that was killed, and the next one finishes it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from arriero.errors import ArrieroError, Problem
from arriero.gateway.stored.folder import File, files_of, manifest_of
from arriero.gateway.words.naming import canonical

NOTE = ".arriero-cleaning.json"
_NAMED_AT_MOST = 20  # files of unknown origin in a report: it is one line of a log
_PARTIAL = "-partial"


@dataclass(frozen=True, slots=True)
class Cleaning:
    """`gone` are models by name that nothing needs, `kept` those that something does: of one that is in both the
    latter holds.
    """

    storage: Path
    gone: tuple[str, ...]
    kept: tuple[str, ...]
    is_listing: bool = True

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Cleaning:
        """Raises ArrieroError where a variable is missing or wrong."""
        if not environment.get("ARRIERO_STORAGE"):
            raise ArrieroError(Problem("it is not set", "give it", "ARRIERO_STORAGE", "environment"))
        try:
            told = json.loads(environment.get("ARRIERO_CLEANING", ""))
            gone, kept = ([str(name) for name in told[key]] for key in ("gone", "kept"))
            return cls(Path(environment["ARRIERO_STORAGE"]), tuple(gone), tuple(kept), told["list"] is not False)
        except (ValueError, TypeError, KeyError) as error:
            what, remedy = f"it can't be read: {error!r}", "give JSON with gone, kept and list"
            raise ArrieroError(Problem(what, remedy, "ARRIERO_CLEANING", "environment")) from error


@dataclass(frozen=True, slots=True)
class Holding:
    """What the storage holds: the files that each manifest names (None where it can't be read), blobs with their bytes,
    what else lies there with its bytes, and `left`: the files that a job which was killed had still to remove.
    """

    manifests: Mapping[str, tuple[File, ...] | None]
    blobs: Mapping[str, int]
    others: Mapping[str, int] = field(default_factory=dict)
    left: frozenset[str] = frozenset()

    def used(self, without: Collection[str] = ()) -> set[str]:
        """The blobs that manifests name, but for those `without`."""
        return {file.name for path, files in self.manifests.items() if path not in without for file in files or ()}


@dataclass(frozen=True, slots=True)
class Decision:
    """Which manifests and blobs go, and which files nobody told of: they stay."""

    manifests: tuple[str, ...]
    blobs: tuple[str, ...]
    strange: tuple[str, ...]


def decide(held: Holding, gone: Collection[str], kept: Collection[str]) -> Decision:
    """Pure. Raises ArrieroError where a manifest that stays can't be read: what it names can't be known, then."""
    wanted = {str(manifest_of(name)) for name in gone} - {str(manifest_of(name)) for name in kept}
    going = sorted(wanted & held.manifests.keys())
    if broken := sorted(p for p, files in held.manifests.items() if files is None and p not in wanted):
        remedy = "pull the model anew, or remove that file"
        raise ArrieroError([Problem("its manifest can't be read, so nothing is removed", remedy, p) for p in broken])
    used = held.used(without=going)
    named = {file.name for path in going for file in held.manifests[path] or ()} | held.left
    # Whose parts are there is being pulled, or was, and will be gone on with.
    pulled = {Path(path).name.partition(_PARTIAL)[0] for path in held.others if _PARTIAL in path}
    blobs = sorted(name for name in (named - used - pulled) & held.blobs.keys())
    strange = [*(f"blobs/{name}" for name in held.blobs.keys() - used - set(blobs)), *held.others]
    return Decision(tuple(going), tuple(blobs), tuple(sorted(strange)))


def clean(cleaning: Cleaning) -> Iterator[str]:
    """Does it, and says a line for each model; the last line is a report for `arriero models`, as JSON."""
    held = look(cleaning.storage)
    decided = decide(held, cleaning.gone, cleaning.kept)
    freed = sum(held.blobs[name] for name in decided.blobs)
    if not cleaning.is_listing and (decided.manifests or decided.blobs or any(cleaning.storage.glob(f"{NOTE}*"))):
        _note(cleaning.storage, [*decided.blobs, *held.left])
        for path in decided.manifests:
            yield f"{_name(path)}: it goes"
            _remove_manifest(cleaning.storage, path)
        freed = _remove_blobs(cleaning.storage)
    rows = [_row(held, path, cleaning, decided) for path in sorted(held.manifests)]
    told = {"strange": decided.strange[:_NAMED_AT_MOST], "strange_count": len(decided.strange)}
    yield json.dumps({"listed": cleaning.is_listing, "models": rows, "freed_bytes": freed, **told})


def look(storage: Path) -> Holding:
    """Raises ArrieroError where the folder can't be read."""
    found: dict[str, tuple[File, ...] | None] = {}
    blobs: dict[str, int] = {}
    others: dict[str, int] = {}
    for path in _files(storage):
        name, size = str(path.relative_to(storage)), path.lstat().st_size
        top, _, below = name.partition("/")
        if top == "manifests" and below.count("/") == 3:
            found[below] = _manifest(path)
        elif top == "blobs" and len(below) == 71 and below.startswith("sha256-"):
            blobs[below] = size
        elif not name.startswith(NOTE):
            others[name] = size
    return Holding(found, blobs, others, _left(storage, blobs))


def _files(storage: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        what = f"the storage can't be read: {error.strerror or error}"
        raise ArrieroError(Problem(what, "see its mount", str(error.filename or storage)))

    for folder, _, names in os.walk(storage, onerror=refuse):
        yield from (Path(folder) / name for name in names)


def _manifest(path: Path) -> tuple[File, ...] | None:
    try:
        return files_of(path.read_bytes())
    except (OSError, ValueError):
        return None


def _left(storage: Path, blobs: Collection[str]) -> frozenset[str]:
    """Of a former job's list what is still there; what came after the list is another's."""
    note = storage / NOTE
    try:
        named, at = json.loads(note.read_text()), note.stat().st_mtime
        return frozenset(name for name in named if name in blobs and (storage / "blobs" / name).stat().st_mtime <= at)
    except (OSError, ValueError, TypeError):
        return frozenset()


def _note(storage: Path, blobs: Collection[str]) -> None:
    new = storage / f"{NOTE}.new"
    with new.open("w") as writer:
        json.dump(sorted(set(blobs)), writer)
        writer.flush()
        os.fsync(writer.fileno())
    new.replace(storage / NOTE)


def _remove_manifest(storage: Path, path: str) -> None:
    top = storage / "manifests"
    place = top / path
    place.unlink(missing_ok=True)
    for folder in list(place.parents)[:3]:
        with contextlib.suppress(OSError):  # another model lies there
            folder.rmdir()


def _remove_blobs(storage: Path) -> int:
    """What the list names and no manifest does, as it is now: looked at again, for a pull may have ended meanwhile.
    Returns the bytes.
    """
    held, freed = look(storage), 0
    for name in decide(held, (), ()).blobs:
        (storage / "blobs" / name).unlink(missing_ok=True)
        freed += held.blobs[name]
    (storage / NOTE).unlink(missing_ok=True)
    return freed


def _row(held: Holding, path: str, cleaning: Cleaning, decided: Decision) -> dict[str, object]:
    known = {str(manifest_of(name)) for name in (*cleaning.gone, *cleaning.kept)}
    state = "goes" if path in decided.manifests else "stays" if path in known else "unknown"
    return {"name": _name(path), "bytes": sum(file.size for file in held.manifests[path] or ()), "state": state}


def _name(path: str) -> str:
    above, _, tag = path.rpartition("/")
    return canonical(f"{above}:{tag}")
