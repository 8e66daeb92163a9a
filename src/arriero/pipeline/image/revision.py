"""The door to git: which commit of the spec's repository an image is made from, and where that repository is."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

SHOWN = 12


@dataclass(frozen=True, slots=True)
class Revision:
    """`commit` is empty where there is none; `is_clean`: the folder is as that commit has it."""

    commit: str = ""
    source: str = ""
    is_clean: bool = True

    @property
    def tag(self) -> str:
        """`git-<sha>`; what was changed since then is said, for no commit tells it."""
        return f"git-{self.commit[:SHOWN]}{'' if self.is_clean else '-changed'}" if self.commit else ""


def of_folder(folder: Path) -> Revision:
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return Revision()
    source = re.sub(r"//[^/@]*@", "//", _git(folder, "config", "--get", "remote.origin.url"))
    return Revision(commit, source, not _git(folder, "status", "--porcelain", "--untracked-files=no", "--", "."))


def _git(folder: Path, *words: str) -> str:
    try:
        ended = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return ended.stdout.strip() if ended.returncode == 0 else ""
