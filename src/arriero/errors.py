"""What went wrong, said in three parts: where, what, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault with its remedy; prints as `file:line: key: what; remedy`, leaving out what is not known."""

    what: str
    remedy: str = ""
    key: str = ""
    file: str = ""
    line: int | None = None

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        parts = [part for part in (place, self.key) if part]
        return ": ".join([*parts, "; ".join(text for text in (self.what, self.remedy) if text)])

    def as_json(self) -> dict[str, str | int | None]:
        return {"file": self.file, "line": self.line, "key": self.key, "what": self.what, "remedy": self.remedy}


class ArrieroError(Exception):
    """An error that the user can act upon: it carries every problem found, in the order to be read."""

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class SpecError(ArrieroError):
    """The spec file is wrong; problems are sorted by file and line."""


class Refused(ArrieroError):
    """What was asked is not allowed here, or not now; nothing was touched."""


class VerdictFailed(ArrieroError):
    """What was asked for was done, and what it had to show was not shown: exit code 3."""


class CloudError(ArrieroError):
    """A cloud could not be read or did not do what was asked; `site` names where."""

    def __init__(self, site: str, problems: Problem | Iterable[Problem]) -> None:
        self.site = site
        super().__init__(problems)
