"""What mkdocs asks while it builds: adds the pages that are generated from the code, and the order of all pages.

A page that is in docs/ and named nowhere here is a guide: whoever writes one need not change this file.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import reference  # noqa: E402 - beside this file, which mkdocs loads by its path

FIRST = ("index.md", "tutorial.md", "first-deployment.md")
LAST = ("stage-only.md", "critique.md", "dependencies.md")


def on_config(config: Any) -> Any:
    docs = Path(config.docs_dir)
    guides = sorted(path.name for path in docs.glob("*.md") if path.name not in (*FIRST, *LAST))
    decisions = sorted(f"decisions/{path.name}" for path in (docs / "decisions").glob("*.md"))
    made = list(reference.pages())
    config.nav = [
        *FIRST,
        {"Guides": guides},
        {"Runbooks": [name for name in made if name.startswith("runbooks/")]},
        {"Reference": [name for name in made if name.startswith("reference/")]},
        {"Decisions": ["decisions/index.md", *decisions]},
        {"How good it is": list(LAST)},
    ]
    return config


def on_files(files: Files, config: Any) -> Files:
    pages = {**reference.pages(), "decisions/index.md": _decisions(Path(config.docs_dir) / "decisions")}
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def _decisions(folder: Path) -> str:
    """Each with its own title."""
    titles = {path.name: path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ") for path in folder.glob("0*.md")}
    lines = [f"- [{title}]({name})" for name, title in sorted(titles.items())]
    return "\n".join(["# Decisions", "", "What was chosen, why, and what would change our mind.", "", *lines, ""])
