"""What was built here last, and pushed: two small files in the project's state folder, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from arriero.errors import ArrieroError, Problem

NOT_BUILT = Problem("no image was built here yet", "build it: arriero image build", "image")


@dataclass(frozen=True, slots=True)
class Built:
    """`models` has the digest of each model in the image; `layers` the contents' digests, those of models by name."""

    id: str
    revision: str
    size: int
    models: Mapping[str, str]
    model_layers: Mapping[str, str]
    seconds: float


@dataclass(frozen=True, slots=True)
class Pushed:
    """One digest, the repositories that have it under each of the tags, and the digest of each model in it, as far as
    they were noted.
    """

    digest: str
    id: str
    repositories: tuple[str, ...]
    tags: tuple[str, ...]
    models: Mapping[str, str]


def write(file: Path, record: Built | Pushed) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps({"schema": 1, **asdict(record)}, indent=2) + "\n")
    fresh.replace(file)


def read_built(file: Path) -> Built:
    """Raises ArrieroError where nothing was built."""
    try:
        found = json.loads(file.read_text())
        found.pop("schema")
        return Built(**found)
    except FileNotFoundError:
        raise ArrieroError(NOT_BUILT) from None
    except (OSError, ValueError, TypeError, KeyError):
        raise ArrieroError(Problem("can't be read", "build it again: arriero image build", file=str(file))) from None


def read_pushed(file: Path) -> Pushed | None:
    try:
        found = json.loads(file.read_text())
        repositories, tags = tuple(found["repositories"]), tuple(found["tags"])
        return Pushed(found["digest"], found["id"], repositories, tags, dict(found.get("models", {})))
    except (OSError, ValueError, TypeError, KeyError):
        return None
