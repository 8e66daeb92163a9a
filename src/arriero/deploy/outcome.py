"""How a run of a playbook ended, site by site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from arriero.errors import Problem

Ending = Literal["finished", "interrupted", "timed out", "lease lost", "broken"]


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """`ok` sites went through, `changed` are those of them where something changed; each failed one has its problem.

    `ending` is "broken" where Ansible itself could not start or go on. `code` is ansible-playbook's exit code.
    """

    ok: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()
    failed: Mapping[str, Problem] = field(default_factory=dict)
    ending: Ending = "finished"
    code: int = 0
    seconds: float = 0.0

    @classmethod
    def nothing(cls) -> RunOutcome:
        """The outcome of a run at no site."""
        return cls()

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(self.failed.values())


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a deployment ended: `done` sites are as planned, a failed one has its problem. `is_judged_bad`: the release
    itself was, and went back.
    """

    done: frozenset[str] = frozenset()
    problems: tuple[Problem, ...] = ()
    is_judged_bad: bool = False

    def and_then(self, other: Outcome) -> Outcome:
        """Both together."""
        problems = (*self.problems, *other.problems)
        return Outcome(self.done | other.done, problems, self.is_judged_bad or other.is_judged_bad)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM ended a run; its children are gone. `outcome` says how far each site came."""

    def __init__(self, outcome: RunOutcome) -> None:
        super().__init__("interrupted")
        self.outcome = outcome
