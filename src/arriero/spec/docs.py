"""The reference: one commented, valid example a section, in `reference/*.yaml`. The tests load each of them."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable

from arriero.errors import Problem, Refused
from arriero.spec.suggest import suggest


def sections() -> tuple[str, ...]:
    """The sections that have a page, by name."""
    return tuple(sorted(file.name.removesuffix(".yaml") for file in _folder().iterdir() if file.name.endswith(".yaml")))


def section(name: str) -> str:
    """The page of a section; raises Refused, with what may have been meant, if there is none."""
    if name not in sections():
        raise Refused(Problem(f"there is no section '{name[:40]}'", suggest(name, sections()), key="docs"))
    return _folder().joinpath(f"{name}.yaml").read_text("utf-8")


def _folder() -> Traversable:
    return resources.files("arriero.spec").joinpath("reference")
