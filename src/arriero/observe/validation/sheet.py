"""What is noted about one place while it is looked at."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from arriero.observe.validation.findings import Finding, Speed, Verdict
from arriero.observe.validation.server import NoAnswer


@dataclass
class Sheet:
    """The findings about one place, and the speed of each answer there, by model."""

    place: str
    findings: list[Finding] = field(default_factory=list)
    measured: dict[str, list[Speed]] = field(default_factory=dict)
    digests: dict[str, set[str]] = field(default_factory=dict)

    def note(self, target: str, check: str, look: Callable[[], tuple[bool, str]]) -> bool:
        """Makes one check; no answer fails it."""
        started = time.perf_counter()
        try:
            is_right, found = look()
        except NoAnswer as error:
            is_right, found = False, str(error)
        verdict: Verdict = "passed" if is_right else "failed"
        self.findings.append(Finding(self.place, target, check, verdict, found, time.perf_counter() - started))
        return is_right

    def tell(self, target: str, check: str, is_right: bool, found: str) -> None:
        """A check that needed no answer of its own."""
        self.findings.append(Finding(self.place, target, check, "passed" if is_right else "failed", found))

    def skip(self, target: str, check: str, why: str) -> None:
        self.findings.append(Finding(self.place, target, check, "skipped", why))
