"""The sequence of steps: what a site needs first comes first, what is taken away goes last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from arriero.plan.model import Change, Step

RETIRE = "retire"
REMOVE = "remove"
# What waits until a new release was seen to serve: what it replaces goes, and what is kept ready follows it.
LATE = ("spares", RETIRE)


def steps(site: str, changes: Iterable[Change], kinds: Mapping[str, str]) -> tuple[Step, ...]:
    """One Step for each task file that is needed, in the order of `kinds`; removals wait in `retire` until the end."""
    grouped: dict[str, list[Change]] = {name: [] for name in [*dict.fromkeys(kinds.values()), RETIRE]}
    for change in changes:
        grouped[RETIRE if change.action == "remove" else kinds[change.kind]].append(change)
    return tuple(Step(site, name, tuple(members), _undo(members)) for name, members in grouped.items() if members)


def _undo(changes: Iterable[Change]) -> str:
    """In words, how to take the step back: what was made is removed, what was set is set back."""
    return "; ".join(filter(None, map(_undo_one, changes)))


def _undo_one(change: Change) -> str:
    if change.action == "create":
        return f"remove {change.name}"
    if change.action in ("update", "replace"):
        return ", ".join(f"set {change.name}.{d.property} back" for d in change.differences)
    return ""
