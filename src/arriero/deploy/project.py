"""Where a project keeps its state: the folder `.arriero` beside the spec file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Project:
    """A spec file and the state folder beside it; nothing is written anywhere else."""

    spec: Path
    overlay: str | None = None

    @property
    def folder(self) -> Path:
        return self.spec.parent

    @property
    def state(self) -> Path:
        return self.folder / ".arriero"

    @property
    def stage(self) -> Path:
        return self.state / "stage"

    @property
    def edge(self) -> Path:
        return self.state / "edge"

    @property
    def nginx(self) -> Path:
        return self.state / "nginx"

    @property
    def keys(self) -> Path:
        """The API keys of this project's gateways, where the spec names no other file."""
        return self.state / "gateway" / "keys.json"

    def file(self, name: str) -> Path:
        """A file that the spec names: paths start at the spec's folder."""
        return (self.folder / Path(name).expanduser()).absolute()

    def make_state(self) -> Path:
        """The state folder, made if need be, readable by its owner only and ignored by git."""
        self.state.mkdir(mode=0o700, exist_ok=True)
        ignore = self.state / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
        return self.state
