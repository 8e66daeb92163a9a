"""The user's own rules: Python files that the spec names, imported when a check is made.

from arriero.policy.rule import Hit, rule

@rule("our-regions", "error", reason="our contract is for Europe", remedy="choose a region of Europe")
def our_regions(subject):
    for name, site in subject.spec.sites.items():
        if site.region == "us-east-1":
            yield Hit(f"sites.{name}.region", f"{site.region} is not in Europe")
"""

from __future__ import annotations

import runpy
from collections.abc import Iterable, Iterator
from pathlib import Path

from arriero.errors import ArrieroError, Problem
from arriero.policy.rule import Rule


def rules(files: Iterable[str], home: Path, known: Iterable[Rule]) -> tuple[Rule, ...]:
    """The rules of all files, in their order; raises ArrieroError with every file that can't be used."""
    found: list[Rule] = []
    problems: list[Problem] = []
    for index, name in enumerate(files):
        key = f"policy.rules[{index}]"
        try:
            found += _of_file(home / name)
        except FileNotFoundError:
            problems.append(Problem(f"there is no file {name}", "correct the path", key))
        except Exception as error:  # noqa: BLE001 - a file of rules may be anybody's code
            problems.append(Problem(f"{name} can't be used: {type(error).__name__}: {error}", "mend the file", key))
    problems += _twice([*known, *found])
    if problems:
        raise ArrieroError(problems)
    return tuple(found)


def _of_file(path: Path) -> Iterator[Rule]:
    """Every Rule that stands in the file under a name of its own."""
    made = {id(value): value for value in runpy.run_path(str(path)).values() if isinstance(value, Rule)}
    if not made:
        raise ValueError("it holds no function with @rule")
    yield from made.values()


def _twice(found: Iterable[Rule]) -> Iterator[Problem]:
    seen: set[str] = set()
    for each in found:
        if each.id in seen:
            yield Problem(f"there are two rules {each.id}", "give yours another id", "policy.rules")
        seen.add(each.id)
