"""The IPv4 addresses of this machine, read from the kernel's own table (a pure folder opens no sockets)."""

from __future__ import annotations

import re
from pathlib import Path

LOCAL_TABLE = Path("/proc/net/fib_trie")


def own_addresses(table: Path = LOCAL_TABLE) -> frozenset[str]:
    """Every address that the kernel takes packets for; empty where there is no such table."""
    try:
        text = table.read_text("ascii", errors="replace")
    except OSError:
        return frozenset()
    # An address' own line comes before the line that says `/32 host LOCAL` of it.
    return frozenset(re.findall(r"\|-- (\d+\.\d+\.\d+\.\d+)\n\s+/32 host LOCAL", text))
