"""One look at the repository, and what follows: deploy a new commit, refuse it, or tell how the world drifted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, cast

from arriero.events import Json
from arriero.pipeline.sync.report import State
from arriero.pipeline.sync.repository import Policy, Repository

DONE, PENDING, VERDICT_FAILED = 0, 2, 3
Act = Literal["deployed", "failed", "refused", "back", "pending", "drifted", "unchanged"]


@dataclass(frozen=True, slots=True)
class Ran:
    """How a verb ended that was run in the clone: exit code, and its words."""

    code: int
    out: str
    err: str

    @property
    def last_words(self) -> str:
        lines = [line for line in f"{self.out}\n{self.err}".splitlines() if line.strip()]
        return lines[-1] if lines else ""


# Runs a verb on the clone's spec, e.g. ("plan", "--json").
Verbs = Callable[..., Ran]
Tell = Callable[[str, State, str], None]


@dataclass(frozen=True, slots=True)
class Round:
    """What came of it: `act` on `commit`, why, and what was found different. `back`: it was tried, and went back."""

    act: Act
    commit: str
    text: str
    changes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Json]:
        return {"schema": 1, **asdict(self), "changes": list(self.changes)}


@dataclass(frozen=True, slots=True)
class Sync:
    """One repository's way into the world. `exports` are kinds of exported files and the folders that hold them."""

    repository: Repository
    policy: Policy
    memory: Path
    verbs: Verbs
    tell: Tell
    exports: Mapping[str, str]
    may_rewind: bool = False

    def look(self, check_only: bool = False) -> Round:
        """Raises ArrieroError where the repository can't be reached; the world stays as it is then."""
        commit, known = self.repository.fetch(), self._known()
        is_new = known.get("commit") != commit
        if is_new or known.get("act") == "failed":
            return self._arrive(commit, str(known.get("deployed") or ""), check_only)
        if known.get("act") in ("refused", "back"):
            return Round(cast(Act, known["act"]), commit, str(known["text"]))
        return self._drift(commit)

    def _arrive(self, commit: str, former: str, check_only: bool) -> Round:
        if objection := self._objection(commit, former):
            return self._keep(Round("refused", commit, objection), former, check_only)
        self.repository.check_out(commit)
        if stale := self._stale():
            return self._keep(Round("refused", commit, stale), former, check_only)
        plan = self.verbs("plan", "--json")
        changes = _changes(plan)
        if check_only:
            if plan.code not in (DONE, PENDING):
                return Round("failed", commit, plan.last_words)
            return Round("pending", commit, f"commit {commit[:12]} is not deployed: {len(changes)} changes", changes)
        self.tell(commit, "pending", "is being deployed")
        return self._keep(self._deployed(commit, changes), former, check_only)

    def _deployed(self, commit: str, changes: tuple[str, ...]) -> Round:
        ran = self.verbs("up", "--yes")
        if ran.code == DONE:
            return Round("deployed", commit, f"commit {commit[:12]} is deployed", changes)
        # What was judged not good is not tried again: only another commit changes that.
        act: Act = "back" if ran.code == VERDICT_FAILED else "failed"
        return Round(act, commit, ran.last_words, changes)

    def _objection(self, commit: str, former: str) -> str:
        if former and not self.may_rewind and not self.repository.follows(commit, former):
            return f"commit {commit[:12]} does not follow {former[:12]}, which is deployed: the branch was rewritten"
        why = self.repository.verify(commit, self.policy)
        return f"commit {commit[:12]} is not signed by a key that is allowed: {why}" if why else ""

    def _stale(self) -> str:
        for kind, folder in self.exports.items():
            ran = self.verbs("export", kind, "--out", folder, "--check")
            if ran.code:
                return f"the exported files of {kind} in {folder} don't match the spec: {ran.last_words}"
        return ""

    def _drift(self, commit: str) -> Round:
        plan = self.verbs("plan", "--json")
        if plan.code == DONE:
            return Round("unchanged", commit, f"commit {commit[:12]} is deployed, and nothing has changed")
        if plan.code == PENDING:
            changes = _changes(plan)
            return Round("drifted", commit, f"{len(changes)} things are not as commit {commit[:12]} says", changes)
        return Round("failed", commit, plan.last_words)

    def _known(self) -> dict[str, Json]:
        try:
            found = json.loads(self.memory.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _keep(self, found: Round, former: str, check_only: bool) -> Round:
        """Remembers it; a commit that was refused, or failed, never becomes what later ones have to follow."""
        if check_only:
            return found
        states: dict[Act, State] = {"deployed": "success", "refused": "failure", "back": "failure", "failed": "error"}
        self.tell(found.commit, states[found.act], found.text)
        deployed = found.commit if found.act == "deployed" else former
        kept = {"schema": 1, "commit": found.commit, "act": found.act, "text": found.text, "deployed": deployed}
        self.memory.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.memory.with_name(self.memory.name + ".new")
        fresh.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
        fresh.replace(self.memory)
        return found


def _changes(plan: Ran) -> tuple[str, ...]:
    """`aws-east: replace task definition llm: image: is …` of each change that a plan tells as JSON."""
    try:
        sites = json.loads(plan.out)["sites"]
        return tuple(
            f"{site['name']}: {change['action']} {change['kind']} {change['name']}: {change['reason']}"
            for site in sites
            for step in site["steps"]
            for change in step["changes"]
        )
    except (ValueError, KeyError, TypeError):
        return ()
