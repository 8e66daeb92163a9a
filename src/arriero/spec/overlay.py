"""An overlay: a second file whose values go over the first's, section by section; null takes a key away."""

from __future__ import annotations

from arriero.errors import Problem
from arriero.spec.document import KeyPath, Node, Scalar, Table, dotted


def merged(base: Table, over: Table, problems: list[Problem], path: KeyPath = ()) -> Table:
    """The base with the overlay's values over it. Lists are replaced whole; nothing to take away is a problem."""
    entries = dict(base.entries)
    for key, node in over.entries.items():
        below: Node | None = entries.get(key)
        if isinstance(node, Scalar) and node.value is None:
            if entries.pop(key, None) is None:
                problems.append(_nothing_to_remove((*path, key), node))
        elif isinstance(node, Table) and isinstance(below, Table):
            entries[key] = merged(below, node, problems, (*path, key))
        else:
            entries[key] = node
    return Table(base.place, entries)


def _nothing_to_remove(path: KeyPath, node: Scalar) -> Problem:
    what = "the overlay takes away a key that isn't there"
    return Problem(what, "remove the line", dotted(path), node.place.file, node.place.line)
