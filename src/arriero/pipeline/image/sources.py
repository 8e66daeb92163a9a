"""What a recipe needs from elsewhere, looked at before anything is built: the user's files, and models' registries.

All that is missing is told at once, each with the key of the spec that names it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from arriero.errors import ArrieroError, Problem
from arriero.pipeline.image.files import context, users_files
from arriero.pipeline.image.recipe import Baked, Recipe
from arriero.pipeline.image.registry import Manifest, Repository
from arriero.spec.model import Spec

Find = Callable[[Baked], Manifest | None]


@dataclass(frozen=True, slots=True)
class Sources:
    """`found` has the manifest of each model that is pulled, by its name."""

    found: Mapping[str, Manifest]

    @property
    def digests(self) -> dict[str, str]:
        return {name: manifest.digest for name, manifest in self.found.items()}


def ask_registry(each: Baked) -> Manifest | None:
    return Repository.of_model(each.source, each.model.insecure).find(each.source.tag)


def look(spec: Spec, wanted: Recipe, file: Callable[[str], Path], find: Find = ask_registry) -> Sources:
    """Raises ArrieroError with every file that is not there, model that no registry has, and digest that differs."""
    problems = [*_missing_files(spec, wanted, file)]
    found: dict[str, Manifest] = {}
    for each in wanted.models:
        if not each.is_pulled:
            continue
        key = f"models[{spec.models.index(each.model)}]"
        try:
            manifest = find(each)
        except ArrieroError as error:
            problems += [Problem(f"{problem.key}: {problem.what}", problem.remedy, key) for problem in error.problems]
            continue
        if manifest is None:
            remedy = "correct the name, or say under which one it is pulled"
            problems.append(Problem(f"{each.source.host} has no model {each.source.name}", remedy, key))
        elif each.model.digest and manifest.digest != each.model.digest:
            what = f"{each.source.name} is {manifest.digest} now, not {each.model.digest}"
            problems.append(Problem(what, "look at what changed, then write the new digest", f"{key}.digest"))
        else:
            found[each.name] = manifest
    if problems:
        raise ArrieroError(problems)
    return Sources(found)


def write_context(wanted: Recipe, folder: Path, file: Callable[[str], Path]) -> None:
    """The build's folder, made anew; large files are linked where that can be done. Raises ArrieroError."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
        for place, source in users_files(wanted).items():
            _place(file(source), folder / place)
        for place, content in context(wanted).items():
            target = folder / place
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content if isinstance(content, bytes) else content.encode())
    except OSError as error:
        raise ArrieroError(Problem(f"can't be written: {error.strerror}", "make room there", str(folder))) from None


def _missing_files(spec: Spec, wanted: Recipe, file: Callable[[str], Path]) -> Iterator[Problem]:
    named = {"image.ollama_file": wanted.image.ollama_file, "image.wheels": wanted.image.wheels}
    for each in wanted.models:
        key = f"models[{spec.models.index(each.model)}]"
        named |= {f"{key}.gguf": each.model.gguf, f"{key}.modelfile": each.model.modelfile}
    for key, name in named.items():
        if name and not file(name).exists():
            yield Problem(f"there is no {name}", "correct the path; it starts at the spec's folder", key)
        elif key == "image.wheels" and name and not any(file(name).glob("pip-*.whl")):
            remedy = "pip download --dest DIR pip, and with --requirement the lock that `export docker` writes"
            yield Problem(f"{name} has no pip, which installs the others", remedy, key)
    for each in wanted.models:
        if each.model.modelfile and Path(each.model.modelfile).name != "Modelfile":
            key = f"models[{spec.models.index(each.model)}].modelfile"
            yield Problem(f"{each.model.modelfile} is not named Modelfile", "rename it; its folder goes along", key)


def _place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, copy_function=_link)
    else:
        _link(source, target)


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(Path(source).resolve(), target)
    except OSError:
        shutil.copy2(source, target)
