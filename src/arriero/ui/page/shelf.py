"""Reports and drills that were written as files: which there are, and each one's bytes by a name that we gave it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

KINDS = {".html": "text/html; charset=utf-8", ".json": "application/json", ".md": "text/plain; charset=utf-8"}
MOST = 50


@dataclass(frozen=True, slots=True)
class Report:
    """`name` is its way from its folder; `at` when it was written."""

    name: str
    path: Path
    at: datetime

    @property
    def kind(self) -> str:
        return KINDS[self.path.suffix]


class Shelf:
    """Folders, of which some need not be there."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = tuple(folders)

    def all(self) -> list[Report]:
        """The newest first, fifty at most. Links that lead out of a folder are left out."""
        found = [report for folder in self._folders for report in _in(folder)]
        return sorted(found, key=lambda report: report.at, reverse=True)[:MOST]

    def find(self, name: str) -> Report | None:
        """By the names of `all` only: no path is made of what a browser says."""
        return next((report for report in self.all() if report.name == name), None)


def _in(folder: Path) -> Iterable[Report]:
    if not folder.is_dir():
        return
    top = folder.resolve()
    for path in folder.rglob("*"):
        if path.suffix in KINDS and path.is_file() and path.resolve().is_relative_to(top):
            at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            yield Report(f"{folder.name}/{path.relative_to(folder)}", path, at)
