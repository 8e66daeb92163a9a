"""The loopback ports of the emulated clouds: chosen once, then kept, so that what was told to a client stays true."""

from __future__ import annotations

import json
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path

from arriero.errors import Problem, Refused

_FIRST, _COUNT = 20_000, 10_000  # below the range from which Linux takes ports for outgoing connections


def keep(folder: Path, names: tuple[str, ...]) -> dict[str, int]:
    """A free port for each name: last time's where nobody else has taken it meanwhile."""
    file = folder / "ports.json"
    remembered: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
    chosen: dict[str, int] = {}
    for name in names:
        chosen[name] = next(p for p in _candidates(remembered.get(name), folder) if p not in chosen.values())
    file.write_text(json.dumps(chosen))
    return chosen


def _candidates(remembered: int | None, folder: Path) -> Iterator[int]:
    if remembered is not None and _is_free(remembered):
        yield remembered
    first = zlib.crc32(str(folder).encode())
    for step in range(_COUNT):
        port = _FIRST + (first + step) % _COUNT
        if _is_free(port):
            yield port
    raise Refused(Problem(f"no port from {_FIRST} to {_FIRST + _COUNT} is free", "end what uses them"))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
