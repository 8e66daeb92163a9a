"""Names of an image in its registries, pure: `git-<sha>`, `r<release>`, `stable-v<n>`, `stable`.

The first moves with a commit that is built again; `r<n>` and `stable-v<n>` never move; `stable` moves where the
registry lets it. Those of the CUDA variant begin with `cuda-`, so that both variants of a commit may lie in one
repository; with it in front, and not behind, a registry's rules count each variant's releases by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from arriero.errors import Problem
from arriero.plan.registries import PREFIXES
from arriero.spec.image import Variant

STABLE = "stable"


@dataclass(frozen=True, slots=True)
class Wanted:
    """`fixed` are given once and never to another digest, `moving` may be; in the order in which they are given."""

    first: str
    fixed: tuple[str, ...]
    moving: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        return (self.first, *self.fixed, *self.moving)


def wanted(commit: str, release: int | None, stable: int | None, variant: Variant = "cpu") -> Wanted:
    """`stable` is the number of `stable-v<n>`."""
    head = PREFIXES[variant]
    fixed = [f"{head}r{release}"] if release is not None else []
    fixed += [f"{head}{STABLE}-v{stable}"] if stable is not None else []
    return Wanted(f"{head}{commit}", tuple(fixed), (f"{head}{STABLE}",) if stable is not None else ())


def next_stable(known: Iterable[str], variant: Variant = "cpu") -> int:
    """One more than the highest `stable-v<n>` that any of the registries has."""
    numbers = (re.fullmatch(rf"{PREFIXES[variant]}{STABLE}-v([1-9]\d*)", tag) for tag in known)
    return max((int(found[1]) for found in numbers if found), default=0) + 1


def conflicts(asked: Wanted, there: Mapping[str, Mapping[str, bool]]) -> list[Problem]:
    """Fixed tags that stand for another image already; `there` has, by repository, whether each tag is this image."""
    remedy = "a release's tag never moves: release under the next number"
    return [
        Problem(f"{repository}:{tag} is another image already", remedy, "image push")
        for repository, known in there.items()
        for tag in asked.fixed
        if not known.get(tag, True)
    ]
