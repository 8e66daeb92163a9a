"""Whose requests Ollama's lines are. Pure.

Ollama knows no ids, and writes down the address that the sidecar made of one (`control/footprint.py`): a line of a
gateway or a sidecar that tells the id tells whose address it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from arriero.control.footprint import footprint
from arriero.observe.logs.entry import Entry

# Ten seconds of 2,000 requests each: a line waits for a fraction of that.
IDS_LIMIT = 20_000
_ADDRESS = re.compile(r"\[GIN\] [^|]*\|[^|]*\|[^|]*\| *(fd[0-9a-f:]{37}) *\|")


@dataclass
class Requests:
    """The ids that were told lately, `limit` at most, by their address."""

    limit: int = IDS_LIMIT
    _ids: dict[str, str] = field(default_factory=dict)

    def learn(self, entry: Entry) -> None:
        if not entry.request:
            return
        address = footprint(entry.request)
        self._ids.pop(address, None)
        self._ids[address] = entry.request
        if len(self._ids) > self.limit:
            self._ids.pop(next(iter(self._ids)))

    def named(self, entry: Entry) -> Entry:
        """With the id of its request, if it is a line of Ollama's whose request is known."""
        match = None if entry.request else _ADDRESS.match(entry.text)
        found = self._ids.get(match[1], "") if match else ""
        return replace(entry, request=found) if found else entry
