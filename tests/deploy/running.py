"""What is needed to look at runs from outside."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

START = str(Path(__file__).with_name("start_run.py"))


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Other processes tell no clock of ours when they are ready; so this looks, until a deadline."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def processes_with(word: str) -> list[int]:
    """The processes whose command line holds the word, this one left out."""
    return [pid for pid, line in command_lines() if word in line and pid != os.getpid()]


def command_lines() -> list[tuple[int, str]]:
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdecimal():
            try:
                found.append((int(path.name), (path / "cmdline").read_bytes().decode(errors="replace")))
            except OSError:
                continue
    return found


def files_with(words: list[str], *folders: Path) -> list[str]:
    """Every file below the folders that holds one of the words, as `file: word`."""
    hits = []
    for folder in folders:
        for path in folder.rglob("*"):
            try:
                content = path.read_bytes() if path.is_file() else b""
            except OSError:
                continue
            hits += [f"{path}: {word}" for word in words if word.encode() in content]
    return hits
