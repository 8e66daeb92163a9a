"""A program that somebody else wrote and that may not be there: what it says, or a problem with its remedy."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from arriero.errors import ArrieroError, Problem


@dataclass(frozen=True, slots=True)
class Program:
    name: str
    remedy: str

    @property
    def path(self) -> str | None:
        """On PATH, or beside the Python that runs, where packages put their programs."""
        return shutil.which(self.name) or shutil.which(self.name, path=str(Path(sys.executable).parent))

    @property
    def absent(self) -> Problem | None:
        return None if self.path else Problem(f"there is no program {self.name}", self.remedy, "image scan")

    def said(self, words: Sequence[str], good: Sequence[int] = (0,)) -> str:
        """Runs it, `words` being its command line, and gives back its stdout. Raises ArrieroError."""
        if self.path is None:
            raise ArrieroError(Problem(f"there is no program {self.name}", self.remedy, "image scan"))
        ended = subprocess.run([self.path, *words[1:]], capture_output=True, text=True, errors="replace", check=False)
        if ended.returncode not in good:
            said = [line for line in ended.stderr.splitlines() if line.strip()] or [f"exit code {ended.returncode}"]
            raise ArrieroError(
                Problem(f"{self.name} failed: {said[-1][:300]}", "run it by hand for more", "image scan")
            )
        return ended.stdout

    def unreadable(self, error: Exception) -> ArrieroError:
        what = f"{self.name} said what it is not documented to say: {type(error).__name__} {error}"
        return ArrieroError(Problem(what, "use a version whose JSON is as documented", "image scan"))
